"""Write files and folders under temporary names; rename all of them when all are complete."""

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from phonemes.errors import InputError


class Outputs:
    """Files and folders that are replaced together, or not at all.

    As a context it replaces them where its block ends without an error. Whatever they held
    stays untouched until then, and after an error nothing new is left behind.
    """

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        try:
            if kind is None:
                self.replace()
        finally:
            for path in [path for place in self._places for path in place[1:3]]:
                with suppress(OSError):  # the next run tries again
                    _remove(path)

    def file(self, path: Path) -> Path:
        """Return where to write the file that is to replace `path`; a link is replaced itself.

        Raises:
            InputError: the folder that it is to lie in cannot be made, or `path` is a folder.
        """
        if path.is_dir():
            raise InputError(f"{path} is a folder where a file is to be written; move it away")
        make_folder(path.parent)
        return self._add(path, path.parent, inside=False)

    def folder(self, path: Path) -> Path:
        """Return an empty folder that is to replace `path`, or the folder that `path` links to.

        Raises:
            InputError: `path` links to nowhere, or cannot be made.
        """
        _refuse_dangling(path)
        make_folder(path.parent)
        # links to files are DVC's, into its cache
        target = Path(os.path.realpath(path)) if path.is_symlink() and path.is_dir() else path
        inside = target.is_dir() and _is_fixed(target)
        partial = self._add(target, target if inside else target.parent, inside=inside)
        partial.mkdir()
        return partial

    def replace(self) -> None:
        """Rename everything to its place; after an error everything is as it was before.

        Raises:
            OSError: something was not written, or cannot be renamed.
        """
        for place in self._places:
            if not os.path.lexists(place.partial):
                raise FileNotFoundError(errno.ENOENT, "was not written", str(place.target))
        swaps = [swap for place in self._places for swap in _swaps(place)]
        if len(swaps) == 1 and not swaps[0].target.is_dir():
            swaps[0].partial.replace(swaps[0].target)  # at once, so that none is needed aside
            return
        try:
            for swap in swaps:
                _set_aside(swap)
                if swap.new:
                    swap.partial.replace(swap.target)
        except BaseException:
            for swap in reversed(swaps):
                if swap.new and not os.path.lexists(swap.partial):
                    swap.target.replace(swap.partial)
                if os.path.lexists(swap.former):
                    swap.former.replace(swap.target)
            raise

    def _add(self, target: Path, folder: Path, *, inside: bool) -> Path:
        for stale in folder.glob(f".{glob.escape(target.name)}.*.partial"):  # of a killed run
            _remove(stale)
        stem = f".{target.name}.{os.getpid()}"
        place = _Place(
            target, folder / f"{stem}.partial", folder / f"{stem}.former.partial", inside
        )
        self._places.append(place)
        return place.partial


class _Place(NamedTuple):
    """One output."""

    target: Path  # what is replaced
    partial: Path  # the new one, on the same disk
    former: Path  # where the old one is while all are replaced
    inside: bool  # the target stays, and what is in it is replaced


class _Swap(NamedTuple):
    """What is renamed: `target` to `former`, if it is there, then `partial` to `target`."""

    target: Path
    partial: Path
    former: Path
    new: bool  # there is a `partial`


def _swaps(place: _Place) -> list[_Swap]:
    target, partial, former, inside = place
    if not inside:
        return [_Swap(target, partial, former, True)]
    former.mkdir()
    new = {child.name for child in partial.iterdir()}
    old = {child.name for child in target.iterdir()} - {partial.name, former.name}
    return [
        _Swap(target / name, partial / name, former / name, name in new)
        for name in sorted(old | new)
    ]


def _set_aside(swap: _Swap) -> None:
    """Keep what is at the target, if there is anything, until all is renamed."""
    target, partial, former, _ = swap
    if not os.path.lexists(target):
        return
    if target.is_file() and not target.is_symlink() and partial.is_file():
        with suppress(OSError):  # on a disk without hard links
            former.hardlink_to(target)  # so that the target is never missing
            return
    target.rename(former)


def _is_fixed(folder: Path) -> bool:
    """Return whether a folder cannot be renamed: the root of a disk, or in a folder of others."""
    parent = folder.resolve().parent
    return folder.stat().st_dev != parent.stat().st_dev or not os.access(parent, os.W_OK)


def make_folder(path: Path) -> None:
    """Make a folder and those that it lies in, where they are missing.

    Raises:
        InputError: names what is in the way: a file, or a link to nowhere.
    """
    for place in (path, *path.parents):
        _refuse_dangling(place)
        if place.exists() and not place.is_dir():
            raise InputError(f"{place} is a file where a folder is needed; move it away")
    path.mkdir(parents=True, exist_ok=True)


def _refuse_dangling(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{path} is a link to {path.readlink()}, which is not there; mount its disk or "
            "remove the link"
        )


def _remove(path: Path) -> None:
    """Remove a file, a link, a folder or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path at which to write a file; then rename it to `path`.

    Whatever `path` held stays untouched until the new content is complete; after an
    error nothing new is left behind.
    """
    with Outputs() as outputs:
        yield outputs.file(path)
