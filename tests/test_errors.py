"""What the user can mend ends a program in one line; a name that is unknown gets a suggestion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import InputError, did_you_mean, reported


@given(st.text(), st.lists(st.text()))
def test_a_suggestion_is_a_known_name_or_nothing(name, known):
    assert did_you_mean(name, known) in {"", *(f"; did you mean {item}?" for item in known)}


def test_a_suggestion_ignores_case():
    assert did_you_mean("dropuot", ["Dropout", "lr"]) == "; did you mean Dropout?"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.npy is missing"), "error: a.npy is missing"),
        (OSError("disk full"), "error: disk full; what was there before is untouched"),
        (MemoryError(), "error: out of memory; lower train.batch_size, "),
        (RuntimeError("CUDA out of memory. Tried 2 GB\nmore"), "CUDA out of memory. Tried 2 GB; "),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_what_the_user_can_mend_ends_in_one_line(error, message):
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    assert message in str(ended.value) and "\n" not in str(ended.value)


def test_any_other_error_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="shapes differ"), reported():
        raise RuntimeError("shapes differ")
