"""Boundaries of a reference are found where the other annotation has the same at the same time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.corpus.audio.textgrid import Interval
from phonemes.errors import InputError
from phonemes.inspection.agreement import Boundary, agreement, pairs, tier_of
from phonemes.pages.reference import Tier

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0 1 <exists> 1 "IntervalTier" "phones" 0 1 1 0 1 "AA1"
"""


def tier(*items, name="phones"):
    """Return a tier of labels, each with where it ends."""
    starts = [0.0, *(end for _, end in items)]
    return Tier(
        name, tuple(Interval(a, b, text) for a, (text, b) in zip(starts, items, strict=False))
    )


def test_a_boundary_is_as_far_off_as_its_interval_begins_elsewhere():
    reference = tier(("SIL", 0.5), ("DH", 0.6), ("AH0", 0.7), ("", 1.0))
    other = tier(("", 0.52), ("dh", 0.6), ("AH1", 0.69), ("sp", 1.0))
    found = agreement(reference, other)
    assert found.boundaries == [
        Boundary("DH", 0.5, 0.52), Boundary("AH0", 0.6, 0.6), Boundary("", 0.7, 0.69)
    ]  # fmt: skip
    assert found.more == 0
    assert found.time.agreeing == pytest.approx(0.97)


def test_what_the_other_has_under_another_name_or_elsewhere_is_not_found():
    reference = tier(("SIL", 0.5), ("T", 0.6), ("IY1", 0.8), ("SIL", 1.0))
    other = tier(("SIL", 0.5), ("D", 0.6), ("SIL", 0.9), ("IY1", 1.0))
    found = agreement(reference, other)
    assert [each.found for each in found.boundaries] == [None, None, 0.6]
    assert found.more == 2  # D and IY1


def test_of_several_the_one_with_most_time_in_common_is_taken_and_each_once():
    reference = tier(("AA1", 0.4), ("B", 0.5), ("AA1", 1.0))
    other = tier(("AA1", 0.45), ("AA1", 0.6), ("AA1", 1.0))
    found = agreement(reference, other)
    assert found.boundaries == [Boundary("B", 0.4, None), Boundary("AA1", 0.5, 0.6)]
    assert found.more == 1
    divided = agreement(
        tier(("M", 0.1), ("AA1", 0.5), ("AA1", 1.0)), tier(("M", 0.1), ("AA1", 1.0))
    )
    assert [each.found for each in divided.boundaries] == [None, 0.1]


def test_silences_in_a_row_and_gaps_are_one_silence():
    reference = tier(("AA1", 0.4), ("SIL", 0.5), ("", 0.7), ("B", 1.0))
    gap = Tier("phones", (Interval(0.0, 0.4, "AA1"), Interval(0.7, 1.0, "B")))
    for one, two in ((reference, gap), (gap, reference)):
        found = agreement(one, two)
        assert [(each.start, each.found) for each in found.boundaries] == [(0.4, 0.4), (0.7, 0.7)]
        assert found.more == 0


def test_labels_of_other_alphabets_are_compared_by_their_text():
    found = agreement(
        tier(("\u0283", 0.4), ("i\u02d0", 1.0)), tier(("\u0283", 0.3), ("i\u02d0", 1.0))
    )
    assert found.boundaries == [Boundary("i\u02d0", 0.4, 0.3)]
    assert found.time is None


@given(st.lists(st.tuples(st.sampled_from(["AA1", "B", "SIL", "", "t"]), st.integers(1, 50))))
def test_an_annotation_agrees_with_itself(lengths):
    ends = [sum(length for _, length in lengths[: n + 1]) / 100 for n in range(len(lengths))]
    same = tier(*zip((label for label, _ in lengths), ends, strict=True))
    found = agreement(same, same)
    assert all(each.found == each.start for each in found.boundaries)
    assert found.more == 0


def test_textgrids_of_the_same_path_are_a_pair(tmp_path):
    for name in ("a/x/1", "a/2", "b/x/1", "b/3", "a/.hidden/4", "b/.hidden/4"):
        path = tmp_path / f"{name}.TextGrid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GRID)
    found, alone = pairs(tmp_path / "a", tmp_path / "b")
    assert [pair.name for pair in found] == ["x/1"]
    assert alone == [tmp_path / "a/2.TextGrid"]
    one, two = tmp_path / "a/2.TextGrid", tmp_path / "b/3.TextGrid"
    assert [pair[1:] for pair in pairs(one, two)[0]] == [(one, two)]
    with pytest.raises(InputError, match="are a folder and a file; give two files"):
        pairs(tmp_path / "a", two)
    with pytest.raises(InputError, match=r"no \.TextGrid of .*x has one of the same name in .*a$"):
        pairs(tmp_path / "b/x", tmp_path / "a")
    with pytest.raises(InputError, match=r"there is no TextGrid or folder .*c$"):
        pairs(tmp_path / "a", tmp_path / "c")
    with pytest.raises(InputError, match="has no tier words with labels; name one of phones"):
        tier_of(one, "words")
