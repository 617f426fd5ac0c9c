"""The files of NTU's machine learning course, HW2 "libriphone", as downloaded.

    feat/{train,test}/NAME.pt   a tensor (T, C) of each utterance
    {train,test}_split.txt      the names of the utterances, one a line, in their order
    train_labels.txt            a line for each utterance: its name and T labels; there may be a
                                test_labels.txt too

Names are those of LibriSpeech, SPEAKER-CHAPTER-NUMBER. The course has no dev: it is a seeded share
of train's speakers. Labels are integers, 0 to 40. The course does not say which phonemes they are,
so numbers are their names, unless there is a phonemes.txt. Its submissions have the header
Id,Class.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.arrays.files import examples, files_in, find
from phonemes.corpus.arrays.labels import LabelReader, listed_reader
from phonemes.corpus.arrays.safe_torch import load_tensor
from phonemes.corpus.params import ArraysParams
from phonemes.corpus.shares import draw_splits, share_sizes
from phonemes.corpus.source import Source, Utterance, composed
from phonemes.errors import InputError, raise_true_cause
from phonemes.inventory import default_inventory

SIGN = "train_split.txt"  # of this edition
CLASSES = 41
HEADER = ("Id", "Class")
LONGEST_LINE = 1 << 20  # bytes; labels of an hour
MOST_DIGITS = 9  # of a label; `pack.write_corpus` checks the range


class _Item(NamedTuple):
    """An utterance in the files."""

    name: str
    speaker: str  # "" where the name does not tell
    features: Path
    labels: str | None  # as they stand in the file


def open_libriphone(folder: Path, above: Iterable[Path], arrays: ArraysParams) -> Source:
    """Open the edition in `folder`; frames are read while a split is iterated.

    Args:
        folder: with train_split.txt.
        above: folders that may hold a phonemes.txt.
        arrays: how dev is drawn.

    Raises:
        InputError: names the file, what is missing or wrong, and the fix; also while a split is
            read.
    """
    reader = listed_reader(above) or LabelReader(default_inventory(CLASSES))
    train, test = (_find_items(folder, split) for split in ("train", "test"))
    dtypes = _Dtypes()
    items = {**_train_and_dev(train, arrays, folder), "test": test}
    splits: dict[str, Callable[[], Iterator[Utterance]]] = {
        split: partial(_read, found, folder / _labels_file(split), reader, dtypes)
        for split, found in items.items()
    }
    return Source(reader.phonemes, splits, reader.spelling, reader.mixtures, HEADER)


def _find_items(folder: Path, split: str) -> list[_Item]:
    """Return the utterances of train or test, in the order of its list."""
    listed = find(folder, f"{split}_split.txt")
    files = {composed(file.stem): file for file in files_in(folder, f"feat/{split}", ".pt")}
    names: dict[str, None] = {}  # an ordered set
    for line, (name, rest) in enumerate(_rows(listed), 1):
        if name in names or rest:
            what = "is listed twice" if name in names else "is followed by more"
            raise InputError(
                f"{listed}, line {line}: {name[:100]!r} {what}; expected a name a line"
            )
        if name not in files:  # a name is only looked up, so it cannot lead elsewhere
            raise InputError(
                f"{listed}, line {line}: {folder / 'feat' / split} has no {name[:100]!r}.pt; add "
                "the file or remove the line"
            )
        names[name] = None
    if unlisted := {file for name, file in files.items() if name not in names}:
        raise InputError(f"{examples(unlisted)} not in {listed}; add or delete")
    labels = _find_labels(folder, split, names)
    return [
        _Item(name, _speaker(name), files[name], labels[name] if labels else None) for name in names
    ]


def _speaker(name: str) -> str:
    speaker, _, rest = name.partition("-")
    return speaker if rest else ""


def _labels_file(split: str) -> str:
    return f"{'test' if split == 'test' else 'train'}_labels.txt"


def _find_labels(folder: Path, split: str, names: Iterable[str]) -> dict[str, str] | None:
    """Return the labels of every utterance, as they stand in the file; None where test has none."""
    file = _labels_file(split)
    if split == "test" and not (folder / file).exists():
        return None
    path = find(folder, file)
    known = {*names}
    labels: dict[str, str] = {}
    for line, (name, rest) in enumerate(_rows(path), 1):
        if name not in known or name in labels:
            what = "is labelled twice" if name in labels else f"is not in {split}_split.txt"
            raise InputError(f"{path}, line {line}: {name[:100]!r} {what}; remove the line")
        labels[name] = rest
    if missing := sorted(known - labels.keys()):
        raise InputError(
            f"{path} has no labels of {missing[0]!r} and {len(missing) - 1} more; every utterance "
            f"in {split}_split.txt needs them"
        )
    return labels


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the first word of each line that is not empty, and what follows it."""
    if not path.is_file():  # a pipe would never end
        raise InputError(f"{path} is not a file; put a list of utterances in its place")
    try:
        with path.open(encoding="utf-8-sig") as file:
            while line := file.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise InputError(
                        f"{path}: a line has {LONGEST_LINE:,} characters or more, which no "
                        "utterance needs; write one utterance a line"
                    )
                if words := line.split(maxsplit=1):
                    yield composed(words[0]), words[1].rstrip() if len(words) > 1 else ""
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"{path} cannot be read: {error}; save it as text in UTF-8") from None


def _train_and_dev(
    items: list[_Item], arrays: ArraysParams, folder: Path
) -> dict[str, list[_Item]]:
    """Return the utterances of train and dev, each speaker's in one of them.

    Where a name tells no speaker, the utterance is drawn by itself.
    """
    drawn_by = [item.speaker or item.name for item in items]
    known = sorted({*drawn_by})
    sizes = share_sizes(len(known), {"dev": arrays.dev_share})
    if sizes["dev"] >= len(known):
        raise InputError(
            f"corpus.arrays.dev_share leaves train no speaker: dev takes {sizes['dev']} of "
            f"{len(known)} in {folder / SIGN}; add speakers or lower it"
        )
    splits = draw_splits(known, sizes, arrays.seed)
    return {
        split: [item for item, key in zip(items, drawn_by, strict=True) if splits[key] == split]
        for split in ("train", "dev")
    }


class _Dtypes:
    """Refuses files of another type than the first one: they were not extracted in one way."""

    def __init__(self) -> None:
        self._first: tuple[np.dtype, Path] | None = None

    def check(self, dtype: np.dtype, path: Path) -> None:
        if self._first is None:
            self._first = dtype, path
        first, other = self._first
        if dtype != first:
            raise InputError(
                f"{path} holds {dtype}, {other} holds {first}; extract all with the same settings"
            )


def _read(
    items: list[_Item], labels_path: Path, reader: LabelReader, dtypes: _Dtypes
) -> Iterator[Utterance]:
    for name, speaker, path, written in items:
        frames = load_tensor(path)
        dtypes.check(frames.dtype, path)
        labels = None
        if written is not None:
            where = f"{labels_path}, {name}"
            labels = reader.indices(_integers(written, where), where)
        yield Utterance(name, speaker, frames, labels, str(path))


def _integers(written: str, where: str) -> NDArray[np.int64]:
    """Return the labels, (T,), of a line of a file."""
    words = written.split()
    values = {}
    for word in {*words}:
        if not (word.isascii() and word.isdecimal() and len(word) <= MOST_DIGITS):
            raise InputError(
                f"{where}: label {words.index(word)} is {word[:40]!r}; expected whole numbers from "
                "0, separated by spaces"
            )
        values[word] = int(word)
    return np.array([values[word] for word in words], np.int64)
