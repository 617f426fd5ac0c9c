"""Find and read the files of an edition; refuse what DVC does not watch, as links out of it."""

import os
import warnings
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from numpy.typing import NDArray

from phonemes.corpus.source import check_name, composed
from phonemes.errors import InputError, raise_true_cause
from phonemes.storage.inputs import refuse_ignored


def listing(folder: Path) -> str:
    """Return the first names in a folder, for messages."""
    names = sorted(child.name for child in folder.iterdir())
    return ", ".join(names[:10]) + ", ..." * (len(names) > 10) or "nothing"


def find(folder: Path, *names: str) -> Path:
    """Return the path of the one of `names` that is in `folder`."""
    found = [path for path in (folder / name for name in names) if _is_there(path)]
    if not found:
        raise InputError(
            f"{folder} has no {' or '.join(names)}; it holds {listing(folder)}: add what is missing"
        )
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1].name} are both there; remove one")
    return contained(found[0], folder)


def only(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the path of the file `name` in the one folder that has it, None where none has."""
    found = [folder / name for folder in folders if _is_there(folder / name)]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} are both there; remove one")
    return contained(found[0], found[0].parent) if found else None


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link to nowhere is refused when it is read


def contained(path: Path, folder: Path) -> Path:
    """Return `path`; refuse a link that leads out of `folder` or to a folder, and what is ignored.

    `phonemes.storage.inputs.refuse_ignored` says by whom.
    """
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
    refuse_ignored([path])
    return path


def in_nfc(path: Path) -> Path:
    """Return a path whose name is in NFC; `phonemes.corpus.source.composed` says why."""
    return path.with_name(composed(path.name))


def files_in(folder: Path, name: str, suffix: str) -> list[Path]:
    """Return the files with a suffix in the folder `name` of an edition, by their names in NFC."""
    inside = find(folder, name)
    found = (file for file in inside.glob(f"*{suffix}") if not file.name.startswith("."))
    files = sorted(found, key=in_nfc)
    refuse_ignored(files)
    for file in files:
        check_name(file.name, str(file))
    for file, other in pairwise(files):
        if in_nfc(file) == in_nfc(other):
            raise InputError(f"{file} and {other.name} are one name in two forms; keep one")
    # only links are resolved: there may be 260,000 files
    return [contained(file, folder) if file.is_symlink() else file for file in files]


def examples(paths: Iterable[Path]) -> str:
    """Return "PATH is", or "PATH and N more are", for messages."""
    first, *others = sorted(paths)
    return f"{first} and {len(others)} more are" if others else f"{first} is"


def read_stranger(path: Path, kind: str, read: Callable[[BinaryIO, int], NDArray]) -> NDArray:
    """Return what `read` makes of a file by a stranger.

    Args:
        path: of the file.
        kind: ".npy" or another suffix, for messages.
        read: takes the open file and its size in bytes; may raise anything.

    Raises:
        InputError: names the file and why it is refused; nothing else is raised.
    """
    if not path.is_file():  # a pipe or a device would never end
        raise InputError(f"{path} is not a file; put the {kind} file itself in its place")
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's warnings about headers by Python 2
            return read(file, path.stat().st_size)
    except InputError as error:
        raise InputError(f"{path}: {str(error)[:600]}") from None
    except Exception as error:  # whatever a damaged or hostile file makes a parser raise
        raise_true_cause(error, path)
        if isinstance(error, OSError):
            raise InputError(f"{path} cannot be read: {error}") from None
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
        raise InputError(f"{path}: is damaged ({reason}); copy or download it again") from None
