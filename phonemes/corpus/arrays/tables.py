"""Read one column of the course's CSV files, row by row, so that no table fills the memory."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonemes.errors import InputError, raise_true_cause
from phonemes.storage.layout import MOST_PHONEMES

MISSING = ("", "NA", "NaN", "nan", "null")  # what spreadsheets write where a value is missing


def read_column(path: Path, column: str | None = None) -> Iterator[str]:
    """Yield the values of a column of a CSV file with a header, "" where a row is too short.

    Args:
        path: of the file; it is opened at the first value.
        column: its name, None for the first one.

    Raises:
        InputError: it is no CSV file, or lacks the column.
    """
    if not path.is_file():  # a pipe would never end
        raise InputError(f"{path} is not a file; put a CSV file in its place")
    wanted = "" if column is None else f" with a column {column}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            found = header.count(column) if column else len(header)
            if not found or (column and found > 1):
                what = "no columns" if not header else f"{found} columns named {column!r}"
                raise ValueError(f"it has {what}")
            place = header.index(column) if column else 0
            for row in rows:
                if row:  # empty lines are no rows
                    yield row[place] if place < len(row) else ""
    except (OSError, ValueError, csv.Error) as error:
        raise_true_cause(error, path)
        raise InputError(f"{path} cannot be read: {error}; expected CSV in UTF-8{wanted}") from None


def read_labels(path: Path, frames: int) -> NDArray:
    """Return the labels of a CSV file with a row a frame, (N,) integers or (N,) object of str.

    Args:
        path: of the file, with a column `label`.
        frames: N.

    Raises:
        InputError: as `read_column`, and where a row has no label, or rows and frames differ.
    """
    codes = np.empty(frames, np.int32)
    known: dict[str, int] = {}  # distinct labels in the order in which they come
    rows = 0
    for rows, label in enumerate(read_column(path, "label"), 1):
        if label in MISSING:
            raise InputError(f"{path}, row {rows - 1}: has no label; every frame needs one")
        if rows <= frames:
            codes[rows - 1] = known.setdefault(label, len(known))
        if len(known) > MOST_PHONEMES:
            raise InputError(f"{path} has more than {MOST_PHONEMES} different labels")
    if rows != frames:
        raise InputError(
            f"{path} has {rows} rows, the utterances have {frames} frames; "
            "take both from one edition"
        )
    distinct: NDArray = np.array([*known], object)
    with suppress(ValueError, OverflowError):  # else they are phonemes
        distinct = pd.to_numeric(distinct)
    return distinct[codes]
