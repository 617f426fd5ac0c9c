"""Each word gets its pronunciations from the first that has any: own lexicon, CMUdict, rules."""

from pathlib import Path

from phonemes.alignment import dictionary
from phonemes.alignment.align import Spoken
from phonemes.alignment.dictionary import prepare, read_lexicons
from phonemes.alignment.transcripts import Text

LEXICON = {"cat": (("K", "AE1", "T"),)}


def test_words_of_ones_own_replace_those_of_cmudict(tmp_path):
    own = tmp_path / "own.dict"
    own.write_text("tomato T AH0 M AA1 T OW2\nsnorfle S N AO1 R F AH0 L\n")
    lexicon = read_lexicons(own)
    assert lexicon["tomato"] == (("T", "AH0", "M", "AA1", "T", "OW2"),)
    assert lexicon["snorfle"] == (("S", "N", "AO1", "R", "F", "AH0", "L"),)
    assert lexicon["cat"] == LEXICON["cat"]


def texts(*written):
    return [Text(text, Path(f"{number}.txt")) for number, text in enumerate(written)]


def test_only_unknown_words_are_spelled_each_once(monkeypatch):
    asked = []
    blat = {"the": (("DH", "AH0"),), "blat": (("B", "L", "AE1", "T"),)}
    monkeypatch.setattr(dictionary, "pronounce", lambda words: asked.append(words) or blat)
    prepared = prepare(texts("the Cat", "the Blat cat", "cat"), LEXICON)
    assert asked == [["the", "blat"]]
    assert prepared.spelled == blat
    assert prepared.words[1] == [
        Spoken("the", (("DH", "AH0"),)),
        Spoken("Blat", (("B", "L", "AE1", "T"),)),
        Spoken("cat", (("K", "AE1", "T"),)),
    ]


def test_nothing_is_spelled_where_all_words_are_known(monkeypatch):
    monkeypatch.setattr(dictionary, "pronounce", None)
    assert prepare(texts("cat"), LEXICON) == ([[Spoken("cat", LEXICON["cat"])]], {})


def test_a_text_that_cannot_be_used_leaves_the_others(monkeypatch):
    monkeypatch.setattr(dictionary, "pronounce", lambda words: {"blat": ()})
    cat, empty, blat = prepare(texts("cat", "...", "cat Blat"), LEXICON).words
    assert cat == [Spoken("cat", LEXICON["cat"])]
    assert str(empty) == "1.txt has no words"
    assert str(blat).startswith("2.txt, word 2: nothing says how 'Blat' sounds; ")
