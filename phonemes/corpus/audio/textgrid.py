"""Praat TextGrids, long and short, read by Praat itself through parselmouth.

Praat accepts files that would mislabel frames: of two items that start together it keeps
one, and it stops after as many items as the file declares. So the number of quotes in the
file is compared with those of the texts that Praat read. It also crashes on a TextGrid whose
tiers are "<absent>", and opens sounds, tables and more; so the file must begin as a TextGrid
in text format does. Times are seconds.
"""

import codecs
import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from phonemes.errors import InputError

_HEAD = re.compile(
    r'\s*(File type = )?"ooTextFile( short)?"\s+(Object class = )?"TextGrid"[^"<!]*<exists>'
)
# One script a tier: the same commands called one by one from Python take ten times as long.
# A script returns numbers, vectors and texts, not lists of texts.
_LIST = """
size = Get number of intervals: tier
starts# = zero# (size)
ends# = zero# (size)
lengths# = zero# (size)
texts$ = ""
for row to size
  starts# [row] = Get start time of interval: tier, row
  ends# [row] = Get end time of interval: tier, row
  text$ = Get label of interval: tier, row
  lengths# [row] = length (text$)
  texts$ = texts$ + text$
endfor
"""


class Interval(NamedTuple):
    """A stretch of time and what is in it."""

    start: float  # s
    end: float  # s
    text: str


class Tier(NamedTuple):
    """One tier of a TextGrid."""

    name: str
    end: float  # s, of the TextGrid
    intervals: list[Interval] | None  # ordered by start; None for a tier of points


def read(path: Path) -> list[Tier]:
    """Return the tiers of a TextGrid in text format.

    Raises:
        InputError: names `path` and what cannot be read, or that Praat read a part of it only.
    """
    from parselmouth import Data, PraatError, PraatWarning
    from parselmouth.praat import call

    written = _text(path)
    head = _HEAD.match(written)
    if not head:
        raise InputError(
            f"{path} is no TextGrid in text format; write it with Praat's "
            '"Save as text file" or "Save as short text file"'
        )
    tiers, quotes = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", PraatWarning)  # what Praat skips
        try:
            grid = Data.read(str(path.absolute()))
            for number in range(1, call(grid, "Get number of tiers") + 1):
                name, intervals = call(grid, "Get tier name", number), None
                if call(grid, "Is interval tier", number):
                    intervals = _intervals(grid, number)
                    texts = [interval.text for interval in intervals]
                else:
                    points = range(1, call(grid, "Get number of points", number) + 1)
                    texts = [call(grid, "Get label of point", number, point) for point in points]
                tiers.append(Tier(name, grid.xmax, intervals))
                quotes += 2 + sum(2 + 2 * text.count('"') for text in [name, *texts])
        except (PraatError, PraatWarning, UnicodeError, TypeError) as error:
            # the last two: a text in the file, or its path, is no Unicode
            reason = str(error).partition("\n")[0].rstrip(".")
            raise InputError(
                f"cannot read {path}: {reason}; write it again as UTF-8 with Praat's "
                '"Save as text file"'
            ) from None
    if quotes < written.count('"', head.end()):
        raise InputError(
            f"{path}: Praat does not read all of its texts; do items of a tier start "
            "together, or are there more than the file declares?"
        )
    return tiers


def _text(path: Path) -> str:
    """Return the file as text; what is not ASCII may be wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _intervals(grid: Any, tier: int) -> list[Interval]:
    from parselmouth.praat import run

    _, found = run(grid, f"tier = {tier}\n{_LIST}", return_variables=True)
    ends = np.cumsum(found["lengths#"]).astype(int).tolist()
    texts = [found["texts$"][start:end] for start, end in pairwise([0, *ends])]
    times = found["starts#"].tolist(), found["ends#"].tolist()
    return list(map(Interval, *times, texts))
