"""The course's files: CMU 11-785 HW1P2 in all its editions, read as they are.

Flat editions keep a split in one file, `{train,dev,test}.npy` (dev also named `val`):
an object array of U arrays (T, C) or one array (U, T, C); its labels are in
`{split}_labels.npy`, those of test also in a CSV file. Trees keep one file an
utterance, `{subset}/mfcc/*.npy` and `{subset}/transcript/*.npy`. Either may lie up to
two folders down.

Labels are indices or phonemes, phonemes usually between two sentence marks. The
inventory comes from `phonemes.txt` where there is one, else from the labels of train
and dev. What is read is what DVC watches: links out of the data folder are refused, and
links to folders, into which DVC does not look. So is whatever `safe_numpy` refuses.
"""

import filecmp
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, combinations, pairwise, repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.arrays.labels import LabelReader, guess_phonemes, read_phoneme_list
from phonemes.corpus.arrays.safe_numpy import load
from phonemes.corpus.arrays.tables import read_column, read_labels
from phonemes.corpus.source import Source, Utterance, check_name, composed
from phonemes.errors import InputError
from phonemes.inventory import canonical_names
from phonemes.storage.inputs import refuse_ignored
from phonemes.storage.layout import SPLITS

SUBSETS = {
    "train": ("train-clean-100", "train-clean-360"),
    "dev": ("dev-clean",),
    "test": ("test-clean",),
}


class _Files(NamedTuple):
    """Where a split is: one path each of a flat edition, one an utterance of a tree."""

    features: list[Path]
    labels: list[Path] | None  # one for each of the features

    def all(self) -> list[Path]:
        """Return what is read of a split."""
        return [*self.features, *(self.labels or ())]


def open_source(path: Path) -> Source:
    """Open the course's files at `path`; frames are read while a split is iterated.

    Raises:
        InputError: names the file, what is missing or wrong, and the fix; also while a
            split is read.
    """
    folder = _course_folder(path)
    flat = (folder / "train.npy").exists()
    for subset in SUBSETS["train"]:
        if flat and (folder / subset).exists():
            raise InputError(f"{folder / 'train.npy'} and {subset} are both there; remove one")
    files = {split: (_find_flat if flat else _find_tree)(folder, split) for split in SPLITS}
    above = _levels(folder, path)
    order = None if flat else _only("test_order.csv", [folder / "test-clean", *above])
    listed = _only("phonemes.txt", above)
    refuse_ignored([*filter(None, (order, listed)), *chain(*map(_Files.all, files.values()))])
    if flat:
        _refuse_copies({split: found.features[0] for split, found in files.items()})
    if order:
        files["test"] = _in_order(files["test"], order)
    if listed:
        spelled = read_phoneme_list(listed)
        reader = LabelReader(canonical_names(spelled), spelled)
    else:
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


def _levels(folder: Path, path: Path) -> list[Path]:
    """Return `folder` and those above it, up to `path`."""
    return [folder, *(each for each in folder.parents if each.is_relative_to(path))]


def _find(folder: Path, *names: str) -> Path:
    """Return the path of the one of `names` that is in `folder`."""
    found = [path for path in (folder / name for name in names) if _is_there(path)]
    if not found:
        raise InputError(
            f"{folder} has no {' or '.join(names)}; it holds {_listing(folder)}: add what is "
            "missing"
        )
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1].name} are both there; remove one")
    return _contained(found[0], folder)


def _only(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the path of the file `name` in the one folder that has it, None where none has."""
    found = [folder / name for folder in folders if _is_there(folder / name)]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} are both there; remove one")
    return _contained(found[0], found[0].parent) if found else None


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link to nowhere is refused when it is read


def _contained(path: Path, folder: Path) -> Path:
    """Return `path`; refuse a link that leads out of `folder`, or to a folder."""
    # realpath, as Path.resolve raises on links to themselves before Python 3.13
    if not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
        raise InputError(f"{path} is a link out of {folder}; put what it points to in its place")
    for step in (path, *path.parents):
        if step == folder:
            break
        if step.is_symlink() and step.is_dir():
            raise InputError(
                f"{step} is a link to a folder, which DVC does not watch; put the folder itself "
                "in its place"
            )
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
    by_name = {_composed(file): file for file in labels}
    wanted = [_composed(_transcript(file)) for file in features]
    if unlabelled := set(wanted) - set(by_name):
        raise InputError(f"{_examples(unlabelled)} missing; every mfcc file needs a transcript")
    if orphans := set(by_name) - set(wanted):
        raise InputError(
            f"{_examples(orphans)} without a file of the same name in mfcc; add or delete"
        )
    return _Files(features, [by_name[name] for name in wanted])


def _composed(path: Path) -> Path:
    """Return a path whose name is in NFC; `phonemes.corpus.source.composed` says why."""
    return path.with_name(composed(path.name))


def _transcript(features: Path) -> Path:
    return features.parent.parent / "transcript" / features.name


def _examples(paths: Iterable[Path]) -> str:
    first, *others = sorted(paths)
    return f"{first} and {len(others)} more are" if others else f"{first} is"


def _npy_files(folder: Path, name: str) -> list[Path]:
    """Return the .npy files of a folder in the order of their names in NFC."""
    inside = _find(folder, name)
    files = sorted(
        (file for file in inside.glob("*.npy") if not file.name.startswith(".")), key=_composed
    )
    for file in files:
        check_name(file.name, str(file))
    for file, other in pairwise(files):
        if _composed(file) == _composed(other):
            raise InputError(f"{file} and {other.name} are one name in two forms; keep one")
    # only links are resolved: there may be 260,000 files
    return [_contained(file, folder) if file.is_symlink() else file for file in files]


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
        raise InputError(f"{_examples(unlisted)} not in {order}; add or delete")
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
    for number, (item, stored) in enumerate(zip(frames, labels, strict=True)):
        targets = stored
        if stored is not None:
            targets = reader.indices(stored, f"{where} {number}", counted=split != "test")
        yield Utterance(f"{split}-{number:05d}", "", item, targets, str(path))


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
