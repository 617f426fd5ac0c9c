"""The confusion matrix in one view: by phoneme, and by phonetic class around it.

Rows are actual phonemes, columns predicted ones, both in phonetic order. Cells of one shade are
one path of the drawing, and a script tells what is under the pointer, so that 71 phonemes take
some tens of kilobytes. P phonemes.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonemes.inventory import phonetic_classes, phonetic_order

SIDE = 710  # units of the drawing
MOST_NAMED = 100  # phonemes that have their names along the axes
SHADES = 12
LARGEST_CELL = 36  # units


class Group(NamedTuple):
    """Phonemes of one phonetic class, next to each other."""

    name: str
    start: int  # place of the first
    end: int  # place after the last


class Shade(NamedTuple):
    """Cells that look the same."""

    look: str  # class in report.css: accent, good or bad
    opacity: float
    path: str  # unit squares


class Matrix(NamedTuple):
    """A matrix, ready to be drawn."""

    names: tuple[str, ...]  # in their order along the axes
    groups: tuple[Group, ...]  # none where names are of no known inventory
    cell: float  # units of the drawing
    named: bool  # whether names are drawn
    shades: tuple[Shade, ...]
    data: dict[str, object]  # what the script reads
    summary: str  # for those who do not see it


def counts_of(confusion: pd.DataFrame, phonemes: Sequence[str]) -> NDArray[np.int64]:
    """Return the frames by actual and predicted phoneme, (P, P), of a table of pairs."""
    labels = {name: label for label, name in enumerate(phonemes)}
    counts = np.zeros((len(phonemes), len(phonemes)), np.int64)
    rows, columns = (confusion[side].map(labels) for side in ("actual", "predicted"))
    counts[rows, columns] = confusion["count"]
    return counts


def shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return counts, (P, P), as shares of the frames of their row; 0 where it has none."""
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def confusion_matrix(counts: NDArray[np.int64], phonemes: Sequence[str]) -> Matrix:
    """Lay out the confusions of a run: the darker, the larger the share of the actual phoneme.

    The shade follows the square root of the share, so that one frame in a hundred shows.
    """
    order = phonetic_order(phonemes)
    shown = counts[np.ix_(order, order)]
    strength = np.sqrt(shares(shown))
    summary = (
        f"Confusion matrix of {len(phonemes)} phonemes; the table of phonetic classes and the "
        "most frequent mistakes below have its main figures"
    )
    return _matrix(order, phonemes, [("accent", strength)], {"counts": _sparse(shown)}, summary)


def difference_matrix(
    before: NDArray[np.int64], after: NDArray[np.int64], phonemes: Sequence[str]
) -> Matrix:
    """Lay out how the confusions of a second run differ from those of a first.

    A larger share on the diagonal is better, elsewhere it is worse.
    """
    order = phonetic_order(phonemes)
    first, second = (counts[np.ix_(order, order)] for counts in (before, after))
    change = shares(second) - shares(first)
    gain = np.where(np.eye(len(change), dtype=bool), change, -change)
    summary = (
        f"Differences between two confusion matrices of {len(phonemes)} phonemes; the table of "
        "phonemes that changed has its main figures"
    )
    strengths = [("good", np.sqrt(gain.clip(0))), ("bad", np.sqrt((-gain).clip(0)))]
    data = {"counts": _sparse(second), "before": _sparse(first)}
    return _matrix(order, phonemes, strengths, data, summary)


def _matrix(
    order: NDArray[np.int64],
    phonemes: Sequence[str],
    strengths: Sequence[tuple[str, NDArray[np.float64]]],
    data: dict[str, list[list[int]]],
    summary: str,
) -> Matrix:
    names = tuple(phonemes[label] for label in order)
    groups = groups_of(names)
    shades = [shade for look, strength in strengths for shade in _shades(look, strength)]
    ranges = [[group.name, group.start, group.end] for group in groups]
    return Matrix(
        names,
        groups,
        round(min(SIDE / len(names), LARGEST_CELL), 3),
        len(names) <= MOST_NAMED,
        tuple(shades),
        {"names": names, "groups": ranges, **data},
        summary,
    )


def groups_of(names: Sequence[str]) -> tuple[Group, ...]:
    """Return the phonetic classes of phonemes in phonetic order."""
    classes = phonetic_classes(names) or ()
    found = []
    for name, members in groupby(range(len(classes)), key=lambda place: classes[place]):
        places = [*members]
        found.append(Group(name, places[0], places[-1] + 1))
    return tuple(found)


def _shades(look: str, strength: NDArray[np.float64]) -> list[Shade]:
    """Return cells of (P, P) strengths in [0, 1], one path for all of about the same."""
    levels = np.ceil(strength * SHADES).astype(int).clip(0, SHADES)
    found = []
    for level in range(1, SHADES + 1):
        rows, columns = np.nonzero(levels == level)
        if len(rows):
            cells = zip(columns.tolist(), rows.tolist(), strict=True)
            path = "".join(f"M{x} {y}h1v1h-1z" for x, y in cells)
            found.append(Shade(look, round(level / SHADES, 3), path))
    return found


def _sparse(counts: NDArray[np.int64]) -> list[list[int]]:
    """Return the cells that are not 0 of (P, P) counts, as rows, columns and frames."""
    rows, columns = np.nonzero(counts)
    return [rows.tolist(), columns.tolist(), counts[rows, columns].tolist()]
