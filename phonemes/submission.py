"""Check a file of predictions before it is uploaded: number and label, one row a test frame.

The file is read line by line and never as a whole, whatever it is. Each check names the
first line that is wrong, from 1 for the header, and what to do.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError, did_you_mean, raise_true_cause
from phonemes.inventory import comparable
from phonemes.storage.layout import Spelling
from phonemes.wording import counted, percent

LONGEST = 1_000  # bytes of a line
SHOWN = 40  # characters of a wrong text in a message
FAR = 0.25  # total variation distance of two distributions of labels, from which on to warn
PASS, WARN, FAIL = "pass", "warn", "fail"
MARK = b"\xef\xbb\xbf"  # byte order mark of UTF-8


class Check(NamedTuple):
    """One check."""

    name: str
    result: str  # PASS, WARN or FAIL
    detail: str  # on one line: what was found, or what is wrong, where, and what to do


@dataclass(frozen=True)
class Expected:
    """What the file has to be."""

    header: tuple[str, str]  # names of the columns
    rows: int  # N, test frames
    spelling: Spelling  # how the data write the P phonemes
    as_text: bool  # whether phonemes are asked for, or integers
    frames: NDArray[np.integer]  # (P,) of the training set, by label

    def labels(self, as_text: bool) -> dict[str, int]:
        """Return the number of each label, by how it is written."""
        names = self.spelling.phonemes
        written = names if as_text else map(str, range(len(names)))
        return {name: label for label, name in enumerate(written)}


class _Found:
    """What is in a file: rows, labels, and the first problem of each check."""

    def __init__(self, expected: Expected) -> None:
        self.header = ",".join(expected.header)
        self.wanted = "a phoneme" if expected.as_text else "an integer"
        self.known, self.others = (
            expected.labels(as_text) for as_text in (expected.as_text, not expected.as_text)
        )
        self.rows, self.windows_ends, self.is_text = 0, False, True
        self.frames = np.zeros(len(self.known), np.int64)  # by label
        self.problems: dict[str, str] = {}

    def problem(self, check: str, line: int, what: str) -> None:
        """Keep what is wrong in a line, if it is the first problem of its check."""
        self.problems.setdefault(check, f"line {line:,}: {what}")

    def read(self, path: Path) -> None:
        """Read a file to its end, or up to where it is no text or has no lines."""
        with path.open("rb") as file:
            number = 0
            while self.is_text and (raw := file.readline(LONGEST)):
                number += 1
                if len(raw) == LONGEST and not raw.endswith(b"\n"):
                    self.problem("header", number, f"more than {LONGEST:,} characters")
                    return
                cells = self._cells(number, raw)
                if number > 1:
                    self._row(number, cells)
                elif ",".join(cells) != self.header:
                    self.problem("header", 1, f"{_shown(cells)}, expected {self.header}")
        if not number:
            self.problem("header", 1, f"the file is empty, expected {self.header}")

    def _cells(self, number: int, raw: bytes) -> list[str]:
        """Return the cells of a line; note where it is no UTF-8, or ends in another way."""
        if number == 1 and raw.startswith(MARK):
            self.problem("encoding", 1, "a byte order mark; save the file as UTF-8 without it")
            raw = raw.removeprefix(MARK)
        self.is_text = b"\0" not in raw
        if not self.is_text:
            self.problem("encoding", number, "a zero byte, as of UTF-16; save the file as UTF-8")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.problem("encoding", number, "no UTF-8; save the file as UTF-8")
            line = raw.decode("latin-1")
        line = line.removesuffix("\n")
        self.windows_ends |= line.endswith("\r")
        line = line.removesuffix("\r")
        if "\r" in line:
            self.problem("line ends", number, "a carriage return alone; save it with line feeds")
        return next(csv.reader([line]), []) if '"' in line else line.split(",")

    def _row(self, number: int, cells: list[str]) -> None:
        if len(cells) != 2:
            self.problem("header", number, f"{counted(len(cells), 'column')}, expected 2")
        else:
            if cells[0] != str(self.rows):
                self.problem("ids", number, f"id {_shown(cells[:1])}, expected {self.rows}")
            self._label(number, cells[1])
        self.rows += 1

    def _label(self, number: int, label: str) -> None:
        if label in self.known:
            self.frames[self.known[label]] += 1
            return
        shown = f"label {_shown([label])}"
        if label in self.others:
            fix = "set predict.label to what the course asks for"
            self.problem("label type", number, f"{shown}, expected {self.wanted}; {fix}")
        elif "labels" not in self.problems:  # looking for one alike takes its time
            alike = [name for name in self.known if comparable(name) == comparable(label.strip())]
            hint = f", expected {alike[0]}" if alike else did_you_mean(label[:SHOWN], [*self.known])
            self.problem("labels", number, f"unknown {shown}{hint}")


def check_submission(path: Path, expected: Expected) -> list[Check]:
    """Return every check of a file of predictions, the first alone where the file is no text.

    Raises:
        InputError: it is missing, or the machine cannot read it.
    """
    found = _Found(expected)
    try:
        found.read(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run `dvc repro predict` to make it") from None
    except OSError as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path}: {error}") from None
    if difference := expected.rows - found.rows:
        what = "missing" if difference > 0 else "too many"
        found.problems["rows"] = (
            f"{found.rows:,} for {expected.rows:,} test frames: {abs(difference):,} {what}"
        )
    passed = {
        "encoding": "UTF-8",
        "line ends": "line feeds",
        "header": found.header,
        "rows": f"{found.rows:,}, one a test frame",
        "ids": "0 and on, in order",
        "label type": "phonemes" if expected.as_text else "integers",
        "labels": f"{np.count_nonzero(found.frames)} of {len(found.known)} occur",
    }
    checks = {name: Check(name, PASS, detail) for name, detail in passed.items()}
    if found.windows_ends:
        checks["line ends"] = Check("line ends", WARN, "those of Windows, which some refuse")
    checks |= {name: Check(name, FAIL, why) for name, why in found.problems.items()}
    return [*checks.values(), _content(found, expected)] if found.is_text else [checks["encoding"]]


def _content(found: _Found, expected: Expected) -> Check:
    """Look whether labels are distributed as in the training set."""
    given, trained = (each / max(1, each.sum()) for each in (found.frames, expected.frames))
    distance = float(np.abs(given - trained).sum() / 2)

    def name(label: np.intp) -> str:
        written, phoneme = list(found.known)[label], expected.spelling.phonemes[label]
        return written if written == phoneme else f"{written} ({phoneme})"

    match np.count_nonzero(given):
        case 0:
            what = "no label is known"
        case 1 if expected.rows > 1:
            what = f"every label is {name(given.argmax())}; look at metrics/history.csv"
        case _ if distance > FAR:
            off = np.abs(given - trained).argmax()
            what = (
                f"labels unlike the training set's, distance {distance:.2f}; above all "
                f"{name(off)}, {percent(given[off], 1)} here and {percent(trained[off], 1)} there; "
                "look at the scores of dev"
            )
        case _:
            near = f"labels as in the training set, distance {distance:.2f}"
            return Check("content", PASS, near)
    return Check("content", WARN, what)


def _shown(cells: list[str]) -> str:
    """Return a text from the file for a message, on one line and cut short."""
    text = ",".join(cells)
    return repr(text[:SHOWN]) + "..." * (len(text) > SHOWN)
