"""The course's files: CMU 11-785 HW1P2 in all its editions, and NTU's, read as they are.

Flat editions keep a split in one file, `{train,dev,test}.npy` (dev also named `val`):
an object array of U arrays (T, C) or one array (U, T, C); its labels are in
`{split}_labels.npy`, those of test also in a CSV file. Trees keep one file an
utterance, `{subset}/mfcc/*.npy` and `{subset}/transcript/*.npy`. NTU's are those of
`libriphone`. Each may lie up to two folders down.

Labels are indices or phonemes, phonemes usually between two sentence marks. The
inventory comes from `phonemes.txt` where there is one, else from the labels of train
and dev. What is read is what DVC watches: links out of the data folder are refused, and
links to folders, into which DVC does not look. So is whatever `safe_numpy` refuses.
"""

import filecmp
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, combinations, repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.arrays import libriphone
from phonemes.corpus.arrays.files import examples, files_in, find, in_nfc, listing, only
from phonemes.corpus.arrays.labels import LabelReader, guess_phonemes, listed_reader
from phonemes.corpus.arrays.safe_numpy import PASSED, load
from phonemes.corpus.arrays.tables import read_column, read_labels
from phonemes.corpus.params import ArraysParams
from phonemes.corpus.source import Source, Utterance, composed
from phonemes.errors import InputError
from phonemes.storage.layout import SPLITS
from phonemes.storage.parts import release

SUBSETS = {
    "train": ("train-clean-100", "train-clean-360"),
    "dev": ("dev-clean",),
    "test": ("test-clean",),
}
FLAT = "train.npy"
SIGNS = (FLAT, *SUBSETS["train"], libriphone.SIGN)  # of the editions' training sets


class _Files(NamedTuple):
    """Where a split is: one path each of a flat edition, one an utterance of a tree."""

    features: list[Path]
    labels: list[Path] | None  # one for each of the features


def open_source(path: Path, arrays: ArraysParams) -> Source:
    """Open the course's files at `path`; frames are read while a split is iterated.

    Args:
        path: of the files.
        arrays: how dev is drawn, where an edition has none.

    Raises:
        InputError: names the file, what is missing or wrong, and the fix; also while a
            split is read.
    """
    folder = _course_folder(path)
    above = _levels(folder, path)
    signs = [sign for sign in SIGNS if (folder / sign).exists()]
    if len(signs) > 1 and not {*signs} <= {*SUBSETS["train"]}:
        raise InputError(f"{folder / signs[0]} and {signs[-1]} are both there; remove one")
    if libriphone.SIGN in signs:
        return libriphone.open_libriphone(folder, above, arrays)
    flat = FLAT in signs
    files = {split: (_find_flat if flat else _find_tree)(folder, split) for split in SPLITS}
    if flat:
        _refuse_copies({split: found.features[0] for split, found in files.items()})
    elif order := only("test_order.csv", [folder / "test-clean", *above]):
        files["test"] = _in_order(files["test"], order)
    reader = listed_reader(above)
    if reader is None:
        known = chain(files["train"].labels or (), files["dev"].labels or ())
        labels = chain.from_iterable(map(_load_all, known)) if flat else map(load, known)
        reader = LabelReader(guess_phonemes(labels, folder))
    read = _read_flat if flat else _read_tree
    splits: dict[str, Callable[[], Iterator[Utterance]]] = {
        name: partial(read, name, files[name], reader) for name in SPLITS
    }
    return Source(reader.phonemes, splits, reader.spelling, reader.mixtures)


def _course_folder(path: Path) -> Path:
    """Return the folder at `path`, or up to two below it, that holds an edition."""
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; give the one with the course's files")
    level = [path]
    for _ in range(3):
        found = [folder for folder in level if any((folder / sign).exists() for sign in SIGNS)]
        if len(found) > 1:
            raise InputError(f"{found[0]} and {found[1]} both hold train data; give one of them")
        if found:
            return found[0]
        level = [child for folder in level for child in sorted(folder.iterdir()) if _is_ours(child)]
    raise InputError(
        f"{path} and two folders down hold no {' or '.join(SIGNS)}; {path} holds {listing(path)}: "
        "unpack archives and check the path"
    )


def _is_ours(folder: Path) -> bool:
    """Return whether to search a folder: no link, not hidden, and not macOS's __MACOSX."""
    return folder.is_dir() and not folder.is_symlink() and not folder.name.startswith((".", "__"))


def _levels(folder: Path, path: Path) -> list[Path]:
    """Return `folder` and those above it, up to `path`."""
    return [folder, *(each for each in folder.parents if each.is_relative_to(path))]


def _find_flat(folder: Path, split: str) -> _Files:
    names = ("dev", "val") if split == "dev" else (split,)
    features = find(folder, *(f"{name}.npy" for name in names))
    labels = [f"{name}_labels.npy" for name in names]
    if split == "test":
        labels.append("phoneme_labels_for_test_data.csv")
        if not any((folder / name).exists() for name in labels):
            return _Files([features], None)
    return _Files([features], [find(folder, *labels)])


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
    features = [file for name in subsets for file in files_in(folder, f"{name}/mfcc", ".npy")]
    if split == "test" and not (folder / "test-clean/transcript").exists():
        return _Files(features, None)
    labels = [file for name in subsets for file in files_in(folder, f"{name}/transcript", ".npy")]
    by_name = {in_nfc(file): file for file in labels}
    wanted = [in_nfc(_transcript(file)) for file in features]
    if unlabelled := set(wanted) - set(by_name):
        raise InputError(f"{examples(unlabelled)} missing; every mfcc file needs a transcript")
    if orphans := set(by_name) - set(wanted):
        raise InputError(
            f"{examples(orphans)} without a file of the same name in mfcc; add or delete"
        )
    return _Files(features, [by_name[name] for name in wanted])


def _transcript(features: Path) -> Path:
    return features.parent.parent / "transcript" / features.name


def _in_order(files: _Files, order: Path) -> _Files:
    """Return the test files in the order of the names in a CSV file's first column."""
    places = {composed(file.stem): place for place, file in enumerate(files.features)}
    ordered: dict[int, None] = {}  # an ordered set
    for row, name in enumerate(read_column(order)):
        place = places.get(composed(name.removesuffix(".npy")))
        if place is None:  # a name is only looked up, so it cannot lead elsewhere
            raise InputError(
                f"{order}, row {row}: there is no {name[:100]!r} in test-clean/mfcc; add or delete"
            )
        if place in ordered:
            raise InputError(f"{order}, row {row}: {name!r} is listed twice; remove one")
        ordered[place] = None
    if unlisted := [file for place, file in enumerate(files.features) if place not in ordered]:
        raise InputError(f"{examples(unlisted)} not in {order}; add or delete")
    features, labels = files
    return _Files(
        [features[place] for place in ordered],
        None if labels is None else [labels[place] for place in ordered],
    )


def _read_flat(split: str, files: _Files, reader: LabelReader) -> Iterator[Utterance]:
    (path,) = files.features
    frames = _load_all(path)
    labels: Iterable[NDArray | None] = repeat(None, len(frames))
    where = ""
    if files.labels is not None:
        (labels_path,) = files.labels
        if labels_path.suffix == ".csv":
            labels = _read_rows(labels_path, frames)
        else:
            labels = stored_labels = _load_all(labels_path)
            if len(frames) != len(stored_labels):
                raise InputError(
                    f"{path} has {len(frames)} utterances, {labels_path} has "
                    f"{len(stored_labels)}; take both from one edition"
                )
        where = f"{labels_path}, utterance"
    passed = 0
    for number, (item, stored) in enumerate(zip(frames, labels, strict=True)):
        targets = stored
        if stored is not None:
            targets = reader.indices(stored, f"{where} {number}", counted=split != "test")
        yield Utterance(f"{split}-{number:05d}", "", item, targets, str(path))
        passed += item.nbytes
        if passed > PASSED:
            for array in (item, stored):
                if array is not None:
                    release(array)
            passed = 0


def _load_all(path: Path) -> NDArray:
    """Return the arrays of a split's U utterances: (U,) object of arrays, or (U, T, ...)."""
    array = load(path)
    if array.ndim == 0:
        raise InputError(f"{path}: holds a single value; expected an array of utterances")
    for number, item in enumerate(array):  # one at a time: a list of U views would be larger
        if not isinstance(item, np.ndarray) or item.ndim == 0:
            raise InputError(
                f"{path}: utterance {number} is a {type(item).__name__}; expected an array: "
                "save an object array with one array an utterance"
            )
    return array


def _read_rows(path: Path, frames: NDArray) -> Iterator[NDArray]:
    """Yield the utterances' labels from a CSV file with one row a frame."""
    labels = read_labels(path, sum(len(item) for item in frames))
    end = 0
    for item in frames:
        start, end = end, end + len(item)
        yield labels[start:end]


def _read_tree(split: str, files: _Files, reader: LabelReader) -> Iterator[Utterance]:
    for number, path in enumerate(files.features):
        targets = None
        if files.labels is not None:
            where = files.labels[number]
            targets = reader.indices(load(where), str(where), counted=split != "test")
        name = composed(path.stem)
        speaker, _, rest = name.partition("-")  # LibriSpeech: speaker-chapter-number
        yield Utterance(name, speaker if rest else "", load(path), targets, str(path))
