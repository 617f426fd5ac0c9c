"""Words that no lexicon has are spelled by rules, numbers in the ways they are read."""

import pytest

from phonemes.alignment import letter_to_sound
from phonemes.alignment.letter_to_sound import arpabet, pronounce, readings
from phonemes.alignment.lexicon import PHONEMES, read_cmudict
from phonemes.errors import InputError


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [
        ("h|@|l|'oU", "HH AH0 L OW1"),
        ("b|'V|?|n-", "B AH1 T AH0 N"),  # button
        ("st|@", None),  # no mnemonic of it
        ("n|'i@3", "N IH1 R"),
        ("f|'o@|r", "F AO1 R"),  # the R of the vowel and the one after it are one
        ("k|'A@", "K AA1 R"),
        ("l|'I|t#|@L", "L IH1 T AH0 L"),
        ("@|r|I2|;|'oU", "AH0 R IH0 OW1"),  # a glide between two vowels
        ("f|'aI|v h|'V|n|d|r|I2|d", "F AY1 V HH AH1 N D R IH0 D"),
        ("_:'i:|k|w|@|L|z|_:", None),
        ("_:|'i:|k|w|@L|z|_:", "IY1 K W AH0 L Z"),
        ("", None),
    ],
)
def test_mnemonics_are_arpabet(written, phonemes):
    assert arpabet(written) == (phonemes and tuple(phonemes.split()))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("1984", ["1984", "19 84", "1 9 8 4"]),
        ("1990s", ["1990s", "19 90s"]),
        ("42", ["42", "4 2"]),
        ("7", ["7"]),
        ("12345", ["12345", "1 2 3 4 5"]),
        ("3.14", ["3.14"]),
        ("mp3", ["mp3"]),
        ("word", ["word"]),
    ],
)
def test_a_number_is_read_as_one_in_pairs_and_by_its_digits(word, expected):
    assert [*readings(word)] == expected


@pytest.mark.heavy
def test_words_and_numbers_are_spelled_by_espeak():
    found = pronounce(["snorfle", "1984", "&"])
    assert found["snorfle"] == (("S", "N", "AO1", "R", "F", "AH0", "L"),)
    years = [" ".join(each) for each in found["1984"]]
    assert "N AY1 N T IY0 N EY1 T IY0 F AO1 R" in years
    assert "W AH1 N N AY1 N EY1 T F AO1 R" in years
    assert found["&"] == (("AE1", "N", "D"),)


@pytest.mark.heavy
def test_rules_agree_with_cmudict_on_most_common_words():
    lexicon = read_cmudict()
    words = "garden window teacher doctor music summer winter father mother table paper".split()
    words += "question yard university beach machine garage island picture shadow phone".split()
    found = pronounce(words)
    assert {phoneme for each in found.values() for way in each for phoneme in way} <= {*PHONEMES}

    def plain(pronunciations):
        return {tuple(name.rstrip("012") for name in each) for each in pronunciations}

    agreeing = [word for word in words if plain(found[word]) & plain(lexicon[word])]
    assert len(agreeing) >= 0.7 * len(words), sorted({*words} - {*agreeing})


def test_without_espeak_the_words_and_both_ways_out_are_named(monkeypatch):
    monkeypatch.setattr(letter_to_sound, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^snorfle, blat: .* not installed; run .*--lexicon$"):
        pronounce(["snorfle", "blat"])
