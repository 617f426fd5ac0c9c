"""The words of a text, as they are looked up in a lexicon.

Case, accents, punctuation and the kind of quotes do not count, nor what stands in [ ] or < >,
as [noise] does. What stands between two spaces is one word if the lexicon has it, with its
hyphens, periods and outer apostrophes ("x-ray", "p.m.", "'em"); else it is divided at what is
neither letter, digit nor apostrophe. Numbers stay whole, with their signs: "$5", "3.14", "21st".
"""

import re
import unicodedata
from collections.abc import Container, Iterator
from typing import NamedTuple

from phonemes.alignment.lexicon import key, straightened
from phonemes.errors import InputError

LONGEST = 100  # characters of a word
_MARKS = re.compile(r"\[[^\]\n]*\]|<[^>\n]*>")
_SPACES = re.compile(r"[\s_\u2012-\u2015\u2026]+|--+")  # and dashes, and dots that leave out
_CORE = re.compile(r"[\w'$\u00a3\u20ac&@+](?:.*[\w'%&@+])?", re.DOTALL)
_UNITS = re.compile(
    r"[$\u00a3\u20ac]?\d+(?:[.,:]\d+)*(?:%|[^\W\d_]+)?"  # a number
    r"|[^\W_]+(?:'[^\W_]+)*"  # a word
    r"|[&%@+]"  # a sign that is read out
)


class Word(NamedTuple):
    """A word of a text."""

    written: str  # as it stands there, without punctuation
    key: str  # by which a lexicon has it, if it has


def words_of(text: str, lexicon: Container[str], where: str) -> list[Word]:
    """Return the words of a text in English, in order.

    Args:
        text: of any length.
        lexicon: the keys of the words that it has.
        where: the text's file, for messages.

    Raises:
        InputError: there is no word, or one that nothing could spell.
    """
    words: list[Word] = []
    for piece in _SPACES.split(_MARKS.sub(" ", straightened(text))):
        for word in _divided(piece, lexicon):
            if word.key not in lexicon:
                _require_spellable(word.key, f"{where}, word {len(words) + 1}")
            words.append(word)
    if not words:
        raise InputError(f"{where} has no words")
    return words


def _divided(piece: str, lexicon: Container[str]) -> Iterator[Word]:
    """Yield the words of what stands between two spaces."""
    inner = _CORE.search(piece)
    if inner is None:
        return
    core = inner[0]
    abbreviated = [f"{core}."] if piece.startswith(".", inner.end()) else []
    for written in (*abbreviated, core, core.lstrip("'"), core.rstrip("'"), core.strip("'")):
        if (name := _found(written, lexicon)) is not None:
            yield Word(written, name)
            return
    for unit in _UNITS.findall(core):
        yield Word(unit, _found(unit, lexicon) or key(unit))


def _found(written: str, lexicon: Container[str]) -> str | None:
    """Return the key by which a lexicon has a word, with its accents or without."""
    name = key(written)
    if name in lexicon:
        return name
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if each.isascii())
    return plain if plain in lexicon else None


def _require_spellable(word: str, where: str) -> None:
    """Refuse what English letters and digits do not write."""
    strange = [
        each
        for each in word
        if not each.isascii() and "LATIN" not in unicodedata.name(each, "") and each not in "£€"
    ]
    if strange:
        raise InputError(
            f"{where}: {word[:LONGEST]!r} is not in Latin letters; expected English, or "
            "words of --lexicon"
        )
    if len(word) > LONGEST:
        raise InputError(f"{where}: {word[:LONGEST]!r}... is longer than {LONGEST} letters")
