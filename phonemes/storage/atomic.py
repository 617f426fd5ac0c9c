"""Write a file or folder under a temporary name and rename it when it is complete."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path at which to write a file or folder; then rename it to `path`.

    Whatever `path` held stays untouched until the new content is complete; after an
    error nothing new is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):  # of a killed run
        _remove(stale)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    former = path.with_name(f".{path.name}.{os.getpid()}.former.partial")
    try:
        yield partial
        if path.is_dir() and partial.exists():
            path.replace(former)  # a folder is removed file by file, and that can be cut short
        partial.replace(path)
    finally:
        _remove(partial)
        _remove(former)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
