"""A reference is compared where it holds phonemes, by time and without stress."""

import pytest

from phonemes.corpus.audio.textgrid import Interval
from phonemes.errors import InputError
from phonemes.pages.reference import Tier, compare, reference_tiers
from phonemes.transcription.segments import Segment

PHONES = (
    Segment(0.0, 0.2, "SIL", 0.9),
    Segment(0.2, 0.5, "AH0", 0.9),
    Segment(0.5, 0.6, "T", 0.9),
    Segment(0.6, 1.0, "SIL", 0.9),
)


def tier(*intervals: tuple[float, float, str]) -> Tier:
    return Tier("phones", tuple(Interval(*each) for each in intervals))


def test_what_agrees_is_counted_in_time():
    found = compare(PHONES, tier((0, 0.3, ""), (0.3, 0.5, "AH1"), (0.5, 0.6, "D"), (0.6, 1, "sp")))
    assert found is not None
    assert found.compared == pytest.approx(1.0)
    assert found.agreeing == pytest.approx(0.2 + 0.2 + 0.4)
    assert (found.speech_agreeing, found.speech) == pytest.approx((0.2, 0.3))
    assert found.differences == ((0.2, 0.3), (0.5, 0.6))
    assert found.differs == (False, False, True, False)
    assert str(found) == "80 % of the time (67 % of its 0.30 s of speech)"


@pytest.mark.parametrize("name", ["AH1", "ah", "AH", " ah0 ", "ax"])
def test_stress_and_case_and_timits_names_do_not_count(name):
    found = compare(PHONES, tier((0.2, 0.5, name)))
    assert found is not None and found.agreeing == pytest.approx(0.3) == found.compared


def test_only_time_within_both_counts():
    found = compare(PHONES, tier((0.4, 0.5, "AH"), (0.9, 3.0, "S")))
    assert found is not None
    assert (found.agreeing, found.compared) == pytest.approx((0.1, 0.2))
    assert found.differences == ((0.9, 1.0),)


@pytest.mark.parametrize("names", [("THE", "CAT"), ("", "sil"), ("AH", "ə")])
def test_a_tier_of_other_labels_is_not_compared(names):
    assert compare(PHONES, tier((0, 0.5, names[0]), (0.5, 1, names[1]))) is None


def test_a_tier_after_the_recording_or_without_intervals_is_not_compared():
    assert compare(PHONES, tier((5, 6, "AH"))) is None
    assert compare(PHONES, tier()) is None


def test_a_model_whose_labels_are_no_phonemes_is_not_compared():
    assert compare([Segment(0, 1, "17", 0.9)], tier((0, 1, "AH"))) is None


def textgrid(*tiers: str) -> str:
    return f'"ooTextFile"\n"TextGrid"\n5 7 <exists> {len(tiers)}\n' + "\n".join(tiers)


def test_interval_tiers_are_read_and_count_from_the_beginning(tmp_path):
    path = tmp_path / "a.TextGrid"
    points = '"TextTier" "points" 5 7 1 6 "x"'
    empty = '"IntervalTier" "empty" 5 7 1 5 7 ""'
    path.write_text(textgrid(points, empty, '"IntervalTier" "phones" 5 7 2 5 6.5 "AH0" 6.5 7 " "'))
    (found,) = reference_tiers(path)
    assert found == Tier("phones", (Interval(0, 1.5, "AH0"), Interval(1.5, 2, "")))


def test_a_textgrid_without_intervals_is_refused(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(textgrid('"TextTier" "points" 5 7 1 6 "x"'))
    with pytest.raises(InputError, match=r"a\.TextGrid has no interval tier with a text in it"):
        reference_tiers(path)
