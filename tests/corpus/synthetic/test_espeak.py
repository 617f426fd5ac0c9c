"""What espeak-ng is asked to say and what it reports agree phone by phone, or it is refused."""

import pytest

from phonemes.corpus.synthetic.espeak import match_phones, spelling
from phonemes.inventory import ARPABET_STRESS


def test_two_phones_are_never_spelled_as_one():
    assert spelling(("T", "SH", "CH")) == "t|S|tS"


def test_stress_stands_before_its_vowel_and_reduced_vowels_have_their_own_names():
    assert spelling(("AH0", "B", "AH1", "V", "EY2")) == "@|b|'V|v|,eI"


def test_all_phonemes_are_spelled_differently():
    names = [spelling((phone,)) for phone in ARPABET_STRESS if phone not in ("SIL", "SPN")]
    assert len(set(names)) == len(names) == 69


def test_reported_phones_are_those_asked_for_with_pauses_as_silence():
    events = [(10, "h"), (20, "@"), (30, "_:"), (40, "l")]
    assert match_phones(["HH", "AH0", "L"], events) == (
        ("SIL", "HH", "AH0", "SIL", "L"),
        [0, 10, 20, 30, 40],
    )


def test_a_phone_keeps_its_label_where_english_pronounces_it_otherwise():
    flap_and_glide = [(10, "t#"), (15, "r-"), (20, "3")]
    assert match_phones(["T", "AH0"], flap_and_glide) == (("SIL", "T", "AH0"), [0, 10, 20])


@pytest.mark.parametrize(
    "said", [["b"], ["b", "s"], ["b", "t", "t"], []], ids=["fewer", "others", "more", "none"]
)
def test_other_phones_than_asked_for_match_nothing(said):
    assert match_phones(["B", "T"], [(0, name) for name in said]) is None
