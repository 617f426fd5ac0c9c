"""The words of a text are found whatever its case, quotes, punctuation and numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.alignment.text import Word, words_of
from phonemes.errors import InputError

KNOWN = frozenset(
    "don't well known x-ray p.m. the 'em cat's cats' cats cafe say u.s. end i e-mail".split()
)


def keys(text: str) -> list[str]:
    return [word.key for word in words_of(text, KNOWN, "a.txt")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don\u2019t say \u201cthe cat\u2019s!\u201d", "don't say the cat's"),
        ("the\u2014end, the -- END\u2026 the...end", "the end the end the end"),
        ("well-known x-ray\u2010s", "well known x ray s"),
        ("at 5 p.m. or p.m.? The end.", "at 5 p.m. or p.m. the end"),
        ("\u2018the cats\u2019 give 'em 'say' cats'", "the cats' give 'em say cats'"),
        ("caf\u00e9 CAFE\u0301", "cafe cafe"),
        ("[noise] the <unk> end [x y]", "the end"),
        ("$5, 3.14% of 1,234 at 3:30;", "$5 3.14% of 1,234 at 3:30"),
        ("21st 1990s 24/7", "21st 1990s 24 7"),
        ("U.S. R&D, me@home + you", "u.s. r & d me @ home + you"),
        ("na\u00efve * the ** _end_ /i/", "na\u00efve the end i"),
        ("e-mail e-\nmail", "e-mail e mail"),
    ],
)  # fmt: skip
def test_words_are_those_of_the_lexicon_or_what_stands_between_punctuation(text, expected):
    assert keys(text) == expected.split()


def test_a_word_is_shown_as_it_is_written():
    assert words_of("The \u201cCaf\u00e9\u201d", KNOWN, "a.txt") == [
        Word("The", "the"),
        Word("Caf\u00e9", "cafe"),
    ]


@pytest.mark.parametrize("text", ["", " \n", "... -- !", "[noise] <sil>", "* _ '"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(InputError, match=r"^a\.txt has no words$"):
        keys(text)


@pytest.mark.parametrize("word", ["\u043f\u0440\u0438\u0432\u0435\u0442", "\u4f60\u597d", "\u0968"])
def test_a_word_in_other_letters_is_refused_by_its_place(word):
    with pytest.raises(InputError, match=rf"^a\.txt, word 3: '{word}' is not in Latin letters"):
        keys(f"say the {word} end")


def test_a_word_in_other_letters_that_the_lexicon_has_is_taken():
    assert (
        words_of("\u041f\u0440\u0438", {"\u043f\u0440\u0438"}, "a.txt")[0].key
        == "\u043f\u0440\u0438"
    )


def test_a_word_without_end_is_refused():
    with pytest.raises(InputError, match=r"word 1: 'a{100}'\.\.\. is longer than 100 letters"):
        keys("a" * 101)


@given(st.text())
def test_any_text_has_words_or_is_refused(text):
    try:
        found = words_of(text, KNOWN, "a.txt")
    except InputError:
        return
    assert all(word.key and word.written and not word.key.isspace() for word in found)
