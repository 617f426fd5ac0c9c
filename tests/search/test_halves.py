"""Dev is cut in two: no speaker in both, about as many frames in each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.search.halves import choosing_half

lengths_of = st.lists(st.integers(1, 500), min_size=2, max_size=40)


@given(st.data(), lengths_of)
def test_halves_share_no_speaker_and_neither_is_empty(data, lengths):
    names = st.sampled_from(["a", "b", "c", "d", ""])
    speakers = [data.draw(names) for _ in lengths]
    if len({who or number for number, who in enumerate(speakers)}) < 2:
        return
    half = choosing_half(speakers, np.array(lengths))
    both = {who for who, there in zip(speakers, half, strict=True) if there and who} & {
        who for who, there in zip(speakers, half, strict=True) if not there and who
    }
    assert not both
    assert 0 < half.sum() < len(half)


@given(st.lists(st.integers(90, 110), min_size=10, max_size=40))
def test_halves_have_about_as_many_frames(lengths):
    for speakers in ([f"s{number}" for number in range(len(lengths))], [""] * len(lengths)):
        half = choosing_half(speakers, np.array(lengths))
        assert abs(np.array(lengths)[half].sum() / sum(lengths) - 0.5) < 0.08


def test_speakers_are_dealt_out_by_their_frames():
    speakers = ["a", "b", "a", "c", "d"]
    half = choosing_half(speakers, np.array([10, 50, 10, 30, 40]))  # b 50, d 40, c 30, a 20
    assert half.tolist() == [True, True, True, False, False]


def test_where_speakers_are_unknown_each_half_is_a_run_of_utterances():
    assert choosing_half([""] * 5, np.array([10, 10, 10, 10, 10])).tolist() == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert choosing_half([""] * 2, np.array([1, 99])).tolist() == [True, False]


@pytest.mark.parametrize(("speakers", "kind"), [(["a", "a", "a"], "speaker"), ([""], "utterance")])
def test_what_cannot_be_cut_is_refused(speakers, kind):
    with pytest.raises(InputError, match=f"^dev has one {kind}; a search needs two"):
        choosing_half(speakers, np.array([5] * len(speakers)))
