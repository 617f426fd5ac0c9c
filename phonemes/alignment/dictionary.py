"""What each word of a text may sound like: by lexicons and, for what they lack, by espeak-ng."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from phonemes.alignment.align import Spoken
from phonemes.alignment.letter_to_sound import pronounce
from phonemes.alignment.lexicon import Lexicon, read_cmudict, read_lexicon
from phonemes.alignment.text import Word, words_of
from phonemes.alignment.transcripts import Text
from phonemes.errors import InputError


def read_lexicons(own: Path | None) -> Lexicon:
    """Return CMUdict with a user's own lexicon, whose words replace those of CMUdict.

    Raises:
        InputError: one is missing or damaged.
    """
    words = read_lexicon(own) if own else {}  # first: the user can correct a mistake in it
    return read_cmudict() | words


class Prepared(NamedTuple):
    """The words of several texts, ready to be aligned."""

    words: list[list[Spoken] | InputError]  # of each text, or what is wrong with it
    spelled: Lexicon  # what espeak-ng made of the words that the lexicon lacks


def prepare(texts: Iterable[Text | InputError], lexicon: Lexicon) -> Prepared:
    """Look up the words of texts; espeak-ng spells what the lexicon lacks, all in one process.

    Args:
        texts: or why there is none.
        lexicon: of words.

    Raises:
        InputError: espeak-ng is needed and not installed.
    """
    read: list[tuple[str, list[Word] | InputError]] = []
    for text in texts:
        if isinstance(text, InputError):
            read.append(("", text))
            continue
        try:
            read.append((text.where, words_of(text.text, lexicon, text.where)))
        except InputError as error:
            read.append((text.where, error))
    found = (words for _, words in read if not isinstance(words, InputError))
    unknown = dict.fromkeys(
        word.key for words in found for word in words if word.key not in lexicon
    )
    spelled = pronounce([*unknown]) if unknown else {}
    return Prepared([_spoken(words, lexicon, spelled, where) for where, words in read], spelled)


def _spoken(
    words: list[Word] | InputError, lexicon: Lexicon, spelled: Lexicon, where: str
) -> list[Spoken] | InputError:
    """Return words with their pronunciations, or what is wrong with them."""
    if isinstance(words, InputError):
        return words
    found = []
    for number, (written, key) in enumerate(words, 1):
        pronunciations = lexicon.get(key) or spelled.get(key)
        if not pronunciations:
            return InputError(
                f"{where}, word {number}: nothing says how {written!r} sounds; write it as it is "
                "spoken, or its phonemes in a --lexicon"
            )
        found.append(Spoken(written, pronunciations))
    return found
