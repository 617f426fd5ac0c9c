"""Praat TextGrids as text, long and short, read by the rules of Praat's manual.

Praat takes of the file what stands free: numbers, texts in double quotes and flags such as
<exists>, between spaces or line ends. All other words, and what follows a free "!" in its
line, are comments; the long format is the short one with such words ("TextGrid file
formats" in Praat's manual). Praat itself is not used for reading: it drops items that start
together and what exceeds the declared number without a word. Times are seconds.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from phonemes.corpus.audio.files import read_file
from phonemes.errors import InputError, raise_true_cause

_TOKEN = re.compile(
    r'(?<!\S)(?:![^\n\r]*|"(?P<text>(?:[^"]++|"")*+)"(?!\S)|(?P<flag><[^>]*>)'
    r'|(?P<number>[-+\d]\S*)|(?P<open>")|\S++)'
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_HEADER = re.compile(r"[^\n\r]*ooTextFile[^\n\r]*")
_KINDS = {"text": "a text in quotes", "number": "a number", "flag": "<exists>"}


class Interval(NamedTuple):
    """A stretch of time and what is in it."""

    start: float  # s
    end: float  # s
    text: str


class Tier(NamedTuple):
    """One tier of a TextGrid."""

    name: str
    start: float  # s, of the TextGrid
    end: float  # s, of the TextGrid
    intervals: list[Interval] | None  # ordered by start; None for a tier of points


class _DamageError(Exception):
    """The file breaks off or holds something else than expected."""


def read(path: Path) -> list[Tier]:
    """Return the tiers of a TextGrid in text format.

    Raises:
        InputError: names `path`, the line and what is wrong there.
    """
    written = _text(path)
    header = _HEADER.match(written)
    tokens = _Tokens(written, header.end() if header else len(written))
    try:
        if header is None or tokens.text() != "TextGrid":
            raise _DamageError
        start, end = tokens.number(), tokens.number()
        if tokens.flag() != "<exists>":
            raise _DamageError
    except _DamageError:
        raise InputError(
            f"{path} is no TextGrid in text format; write it with Praat's "
            '"Save as text file" or "Save as short text file"'
        ) from None
    try:
        tiers = [_tier(tokens, start, end) for _ in range(tokens.count())]
        tokens.expect_no_text()
    except _DamageError as damage:
        raise InputError(
            f"cannot read {path}: {damage}; write it again as UTF-8 with Praat's "
            '"Save as text file"'
        ) from None
    return tiers


def _text(path: Path) -> str:
    """Return the file as text, in the encodings that Praat takes."""
    try:
        data = read_file(path)
    except OSError as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path}: {error}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _tier(tokens: "_Tokens", start: float, end: float) -> Tier:
    """Read the next tier of a TextGrid from `start` to `end`."""
    kind, name = tokens.text(), tokens.text()
    if kind not in ("IntervalTier", "TextTier"):
        raise _DamageError(
            f"{tokens.place()}: expected IntervalTier or TextTier, found {kind[:60]!r}"
        )
    tokens.number(), tokens.number()  # the tier's own start and end, the same as the TextGrid's
    size = range(tokens.count())
    if kind == "TextTier":
        for _ in size:
            tokens.number(), tokens.text()
        return Tier(name, start, end, None)
    intervals = [Interval(tokens.number(), tokens.number(), tokens.text()) for _ in size]
    return Tier(name, start, end, sorted(intervals))


class _Tokens:
    """What stands free in a TextGrid, one after the other."""

    def __init__(self, written: str, begin: int) -> None:
        self._written = written
        self._found = self._scan(begin)
        self._at = begin

    def _scan(self, begin: int) -> Iterator[re.Match[str]]:
        for match in _TOKEN.finditer(self._written, begin):
            if match.lastgroup:
                yield match

    def place(self) -> str:
        """Return the line of what was read last."""
        lines = re.findall(r"\r\n|\r|\n", self._written[: self._at])
        return f"line {len(lines) + 1}"

    def _next(self, kind: str) -> str:
        match = next(self._found, None)
        if match is None:
            raise _DamageError(f"it ends where {_KINDS[kind]} is expected")
        self._at = match.start()
        if match.lastgroup == "open":
            raise _DamageError(
                f"{self.place()}: a quote is not closed, or not doubled within a text"
            )
        if match.lastgroup != kind:
            raise _DamageError(f"{self.place()}: expected {_KINDS[kind]}, found {match[0][:60]!r}")
        return match[kind]

    def text(self) -> str:
        """Return the next text."""
        return self._next("text").replace('""', '"')

    def flag(self) -> str:
        """Return the next flag, with its brackets."""
        return self._next("flag")

    def number(self) -> float:
        """Return the next number."""
        found = self._next("number")
        if not _NUMBER.fullmatch(found):
            raise _DamageError(f"{self.place()}: {found[:60]!r} is no number")
        return float(found)

    def count(self) -> int:
        """Return the next number, which says how many items follow."""
        found = self._next("number")
        if not _COUNT.fullmatch(found):
            raise _DamageError(f"{self.place()}: {found[:60]!r} is no number of items")
        return int(found)

    def expect_no_text(self) -> None:
        """Refuse texts after the last item that was declared."""
        for match in self._found:
            if match.lastgroup in ("text", "open"):
                self._at = match.start()
                raise _DamageError(f"{self.place()}: there are more items than it declares")
