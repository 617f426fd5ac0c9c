"""The text of a recording, in a file next to it.

    NAME.txt, NAME.lab        what is said in NAME.wav
    SPEAKER-CHAPTER.trans.txt  LibriSpeech: a line for each recording of the folder, "NAME TEXT"

They are in UTF-8, or in UTF-16 with a byte order mark. A .lab that holds times, as festival's
and HTS's do, is an alignment and no text.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from phonemes.errors import InputError, raise_true_cause

SUFFIXES = (".txt", ".lab", ".TXT", ".LAB")
_TIMES = re.compile(r"^\s*(?:#\s*$|\d+(?:\.\d+)?\s+\d+(?:\.\d+)?\s+\S+\s*$)", re.MULTILINE)


class Text(NamedTuple):
    """What is said in a recording."""

    text: str
    path: Path  # of the file that has it
    line: int | None = None  # in a file of several

    @property
    def where(self) -> str:
        """Return the place of the text, for messages."""
        return f"{self.path}, line {self.line}" if self.line else str(self.path)


def read_text(path: Path) -> Text:
    """Return the text that a file holds.

    Raises:
        InputError: it cannot be read, is not UTF-8, or holds times.
    """
    text = _read(path)
    if path.suffix.lower() == ".lab" and _TIMES.search(text):
        raise InputError(f"{path} holds times: it is an alignment, not a text")
    return Text(text, path)


def text_of(sound: Path) -> Text | None:
    """Return the text of a recording, None where there is none next to it.

    Raises:
        InputError: as `read_text`; or a line of a .trans.txt is damaged.
    """
    for suffix in SUFFIXES:
        path = sound.with_suffix(suffix)
        if path.is_file() and path != sound:
            return read_text(path)
    for path in _lists(sound.parent):
        if found := _lines(path).get(sound.stem):
            return found
    return None


def texts_of(sounds: Iterable[Path]) -> Iterator[Text | InputError]:
    """Yield the text of each recording, or why there is none."""
    for sound in sounds:
        try:
            yield text_of(sound) or InputError(
                f"{sound} has no text: expected {sound.stem}.txt, {sound.stem}.lab or a line of a "
                ".trans.txt next to it"
            )
        except InputError as error:
            yield error


@lru_cache(maxsize=4)
def _lists(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.trans.txt"))


@lru_cache(maxsize=4)
def _lines(path: Path) -> dict[str, Text]:
    """Return the texts of a .trans.txt, by the names of their recordings."""
    found: dict[str, Text] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        name, _, text = line.strip().partition(" ")
        if name in found:
            raise InputError(f"{path}, line {number}: {name} has another text above; keep one")
        if name:
            found[name] = Text(text, path, number)
    return found


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if marked else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read the text {path}: {error}; save it as UTF-8") from None
