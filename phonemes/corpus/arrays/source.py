"""The course's files: CMU 11-785 HW1P2 in all its editions, read as they are.

Flat editions keep a split in one file, `{train,dev,test}.npy` (dev also named `val`):
an object array of U arrays (T, C) or one array (U, T, C); its labels are in
`{split}_labels.npy`, those of test also in a CSV file. Trees keep one file an
utterance, `{subset}/mfcc/*.npy` and `{subset}/transcript/*.npy`. Either may lie up to
two folders down.

Labels are indices or phonemes, phonemes usually between two sentence marks. The
inventory comes from `phonemes.txt` where there is one, else from the labels of train
and dev. Links out of the data folder are refused, and whatever `safe_numpy` refuses.
"""

import filecmp
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonemes.corpus.arrays.labels import guess_phonemes, label_indices, read_phoneme_list
from phonemes.corpus.arrays.safe_numpy import load
from phonemes.corpus.source import Source, Utterance
from phonemes.errors import InputError
from phonemes.storage.layout import SPLITS

SUBSETS = {
    "train": ("train-clean-100", "train-clean-360"),
    "dev": ("dev-clean",),
    "test": ("test-clean",),
}
NO_TEXT = re.compile("[\ud800-\udfff]")  # how Python reads bytes in a name that are no UTF-8


class _Files(NamedTuple):
    """Where a split is: one path each of a flat edition, one an utterance of a tree."""

    features: list[Path]
    labels: list[Path] | None


def open_source(path: Path) -> Source:
    """Open the course's files at `path`; frames are read while a split is iterated.

    Raises:
        InputError: names the file, what is missing or wrong, and the fix; also while a
            split is read.
    """
    folder = _course_folder(path)
    flat = (folder / "train.npy").exists()
    files = {split: (_find_flat if flat else _find_tree)(folder, split) for split in SPLITS}
    for place in (folder, folder / "test-clean", path):
        if not flat and (place / "test_order.csv").exists():
            files["test"] = _in_order(files["test"], _find(place, "test_order.csv"))
            break
    if flat:
        _refuse_copies({split: found.features[0] for split, found in files.items()})
    if (folder / "phonemes.txt").exists():
        phonemes = read_phoneme_list(_find(folder, "phonemes.txt"))
    else:
        known = chain(files["train"].labels or (), files["dev"].labels or ())
        labels = chain.from_iterable(map(_load_all, known)) if flat else map(load, known)
        phonemes = guess_phonemes(labels, folder)
    read = _read_flat if flat else _read_tree
    return Source(phonemes, {name: partial(read, name, files[name], phonemes) for name in SPLITS})


def _course_folder(path: Path) -> Path:
    """Return the folder at `path`, or up to two below it, that holds an edition."""
    signs = ("train.npy", *SUBSETS["train"])
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; give the one with the course's files")
    level = [path]
    for _ in range(3):
        found = [folder for folder in level if any((folder / sign).exists() for sign in signs)]
        if len(found) > 1:
            raise InputError(f"{found[0]} and {found[1]} both hold train data; give one of them")
        if found:
            return found[0]
        level = [child for folder in level for child in sorted(folder.iterdir()) if _is_ours(child)]
    raise InputError(
        f"{path} and two folders down hold no {' or '.join(signs)}; {path} holds {_listing(path)}: "
        "unpack archives and check the path"
    )


def _is_ours(folder: Path) -> bool:
    """Return whether to search a folder: no link, not hidden, and not macOS's __MACOSX."""
    return folder.is_dir() and not folder.is_symlink() and not folder.name.startswith((".", "__"))


def _listing(folder: Path) -> str:
    """Return the first names in a folder, for messages."""
    names = sorted(child.name for child in folder.iterdir())
    return ", ".join(names[:10]) + ", ..." * (len(names) > 10) or "nothing"


def _find(folder: Path, *names: str) -> Path:
    """Return the path of the first of `names` that is in `folder`."""
    for name in names:
        path = folder / name
        if path.exists() or path.is_symlink():  # a link to nowhere is refused when it is read
            return _contained(path, folder)
    raise InputError(
        f"{folder} has no {' or '.join(names)}; it holds {_listing(folder)}: add what is missing"
    )


def _contained(path: Path, folder: Path) -> Path:
    """Return `path`; refuse a link that leads out of `folder`."""
    # realpath, as Path.resolve raises on links to themselves before Python 3.13
    if not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
        raise InputError(f"{path} is a link out of {folder}; put what it points to in its place")
    return path


def _find_flat(folder: Path, split: str) -> _Files:
    names = ("dev", "val") if split == "dev" else (split,)
    features = _find(folder, *(f"{name}.npy" for name in names))
    labels = [f"{name}_labels.npy" for name in names]
    if split == "test":
        labels.append("phoneme_labels_for_test_data.csv")
        if not any((folder / name).exists() for name in labels):
            return _Files([features], None)
    return _Files([features], [_find(folder, *labels)])


def _refuse_copies(features: dict[str, Path]) -> None:
    """Refuse a split whose file has the same bytes as another split's."""
    for (split, path), (other, copy) in combinations(features.items(), 2):
        # reading a pipe would never end; whatever is no file is refused when it is read
        if path.is_file() and copy.is_file() and filecmp.cmp(path, copy, shallow=False):
            raise InputError(
                f"{copy} is a copy of {path}, so scores of {other} would not be those of data "
                f"unseen in {split}; put the right file in its place"
            )


def _find_tree(folder: Path, split: str) -> _Files:
    subsets = [name for name in SUBSETS[split] if (folder / name).exists()] or SUBSETS[split][:1]
    features = [file for name in subsets for file in _npy_files(folder, f"{name}/mfcc")]
    if split == "test" and not (folder / "test-clean/transcript").exists():
        return _Files(features, None)
    labels = [file for name in subsets for file in _npy_files(folder, f"{name}/transcript")]
    wanted = [_transcript(file) for file in features]
    if unlabelled := set(wanted) - set(labels):
        raise InputError(f"{_examples(unlabelled)} missing; every mfcc file needs a transcript")
    if orphans := set(labels) - set(wanted):
        raise InputError(
            f"{_examples(orphans)} without a file of the same name in mfcc; add or delete"
        )
    return _Files(features, wanted)


def _transcript(features: Path) -> Path:
    return features.parent.parent / "transcript" / features.name


def _examples(paths: Iterable[Path]) -> str:
    first, *others = sorted(paths)
    return f"{first} and {len(others)} more are" if others else f"{first} is"


def _npy_files(folder: Path, name: str) -> list[Path]:
    """Return the .npy files of a folder in the order of their names."""
    inside = _find(folder, name)
    files = sorted(file for file in inside.glob("*.npy") if not file.name.startswith("."))
    for file in files:
        if NO_TEXT.search(file.name):
            raise InputError(f"{str(file)!r}: its name is not UTF-8; rename the file")
    # only links are resolved: there may be 260,000 files
    return [_contained(file, folder) if file.is_symlink() else file for file in files]


def _in_order(files: _Files, order: Path) -> _Files:
    """Return the test files in the order of the names in a CSV file's first column."""
    by_name = {file.stem: file for file in files.features}
    features: dict[Path, None] = {}  # an ordered set
    for row, name in enumerate(_read_column(order, 0, str)):
        stem = str(name).removesuffix(".npy")
        if stem not in by_name:  # a name is only looked up, so it cannot lead elsewhere
            raise InputError(
                f"{order}, row {row}: there is no {name!r} in test-clean/mfcc; add or delete"
            )
        if by_name[stem] in features:
            raise InputError(f"{order}, row {row}: {name!r} is listed twice; remove one")
        features[by_name[stem]] = None
    if unlisted := set(files.features) - set(features):
        raise InputError(f"{_examples(unlisted)} not in {order}; add or delete")
    return _Files([*features], None if files.labels is None else [*map(_transcript, features)])


def _read_column(path: Path, column: str | int, dtype: type | None = None) -> NDArray:
    """Return a column of a CSV file, (rows,)."""
    try:
        table = pd.read_csv(path, usecols=[column], dtype=dtype, index_col=False, low_memory=False)
    except (OSError, ValueError) as error:
        wanted = "" if column == 0 else f" with a column {column}"
        raise InputError(f"{path} cannot be read: {error}; expected CSV in UTF-8{wanted}") from None
    return table.iloc[:, 0].to_numpy()


def _read_flat(split: str, files: _Files, phonemes: Sequence[str]) -> Iterator[Utterance]:
    (path,) = files.features
    frames = _load_all(path)
    labels: Sequence[NDArray | None] = [None] * len(frames)
    where = ""
    if files.labels is not None:
        (labels_path,) = files.labels
        if labels_path.suffix == ".csv":
            labels = _read_rows(labels_path, [len(item) for item in frames])
        else:
            labels = _load_all(labels_path)
        if len(frames) != len(labels):
            raise InputError(
                f"{path} has {len(frames)} utterances, {labels_path} has {len(labels)}; "
                "take both from one edition"
            )
        where = f"{labels_path}, utterance"
    for number, (item, stored) in enumerate(zip(frames, labels, strict=True)):
        targets = None if stored is None else label_indices(stored, phonemes, f"{where} {number}")
        yield Utterance(f"{split}-{number:05d}", "", item, targets, str(path))


def _load_all(path: Path) -> list[NDArray]:
    """Return the arrays of a split's U utterances."""
    array = load(path)
    if array.ndim == 0:
        raise InputError(f"{path}: holds a single value; expected an array of utterances")
    for number, item in enumerate(array):
        if not isinstance(item, np.ndarray) or item.ndim == 0:
            raise InputError(
                f"{path}: utterance {number} is a {type(item).__name__}; expected an array: "
                "save an object array with one array an utterance"
            )
    return list(array)


def _read_rows(path: Path, lengths: list[int]) -> list[NDArray]:
    """Return the utterances' labels from a CSV file with one row a frame."""
    labels = _read_column(path, "label")
    if len(labels) != sum(lengths):
        raise InputError(
            f"{path} has {len(labels)} rows, the utterances have {sum(lengths)} frames; "
            "take both from one edition"
        )
    if (gaps := np.flatnonzero(pd.isna(labels))).size:
        raise InputError(f"{path}, row {gaps[0]}: has no label; every frame needs one")
    return np.split(labels, np.cumsum(lengths)[:-1])


def _read_tree(_split: str, files: _Files, phonemes: Sequence[str]) -> Iterator[Utterance]:
    for number, path in enumerate(files.features):
        targets = None
        if files.labels is not None:
            targets = label_indices(load(files.labels[number]), phonemes, str(files.labels[number]))
        speaker, _, rest = path.stem.partition("-")  # LibriSpeech: speaker-chapter-number
        yield Utterance(path.stem, speaker if rest else "", load(path), targets, str(path))
