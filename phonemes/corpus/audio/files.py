"""Find files below corpus.path, which is all that DVC watches: what lies elsewhere is refused."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from phonemes.corpus.source import check_name
from phonemes.errors import InputError, raise_true_cause
from phonemes.storage.inputs import refuse_ignored


def contained(path: Path, root: Path, what: str) -> Path:
    """Return `path`; refuse one that leads out of `root`, by itself or through links.

    One that .dvcignore hides from DVC is refused too.

    Args:
        path: of a file or folder that will be read.
        root: corpus.path.
        what: names `path`, for messages.

    Raises:
        InputError: DVC would not see that the file changes.
    """
    # realpath, as Path.resolve raises on links to themselves before Python 3.13
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise InputError(
            f"{what} leads out of corpus.path, {root}, and DVC watches nothing else: a change "
            f"there would go unnoticed; move or copy into {root} what it leads to"
        )
    refuse_ignored([path])
    return path


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read, or is none: reading a pipe would never end.
    """
    if path.exists() and not path.is_file():
        raise OSError("it is not a file")
    return path.read_bytes()


def find_files(
    folder: Path, root: Path, suffixes: Iterable[str], parent: str | None
) -> Iterator[PurePosixPath]:
    """Yield the files of some kinds below a folder, relative to it, in no certain order.

    Hidden files and folders are ignored. Links to folders are refused: DVC does not follow
    them, and they can lead in a circle.

    Args:
        folder: corpus.path or a folder in it.
        root: corpus.path.
        suffixes: in lower case, of the files wanted.
        parent: name of the folders that they lie in; None for any.

    Raises:
        InputError: a folder cannot be read, a link leads to a folder or out of `root`, or a
            name cannot be written in one line.
    """
    wanted, waiting = tuple(suffixes), [folder]
    while waiting:
        place = waiting.pop()
        for entry in _entries(place):
            path, link = Path(entry.path), entry.is_symlink()
            # an entry raises on links to themselves, a path does not
            is_folder = path.is_dir() if link else entry.is_dir()
            if is_folder and link:
                raise InputError(
                    f"{path} is a link to a folder, which DVC does not follow; put the folder in "
                    "its place, or remove the link"
                )
            if is_folder:
                waiting.append(path)
            if path.suffix.lower() not in wanted or parent not in (None, place.name):
                continue
            check_name(path.relative_to(folder).as_posix(), str(path))
            if link:
                contained(path, root, f"{path} is a link that")
            yield PurePosixPath(path.relative_to(folder).as_posix())


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return what is in a folder and not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise_true_cause(error, folder)
        raise InputError(f"cannot read {folder}: {error.strerror}") from None


def listing(names: Iterable[str]) -> str:
    """Return the first few of some names, in order, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more
