"""Write files: beside their destination and renamed when complete, and arrays row by row."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder at; then put it in place of `path`.

    Whatever `path` held stays untouched until the new content is whole; after an
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


class NpyAppender:
    """Write an .npy array row by row; its header gets the final shape on exit."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._path, self._dtype = path, dtype
        self.rows = 0  # written so far
        self._tail: tuple[int, ...] = ()  # shape of a row

    def __enter__(self) -> "NpyAppender":
        self._file = self._path.open("wb")
        return self

    def append(self, rows: NDArray) -> None:
        """Append rows, (n, ...), converted to the array's dtype."""
        rows = np.ascontiguousarray(rows, self._dtype)
        if not self.rows:
            self._tail = rows.shape[1:]
            self._file.seek(0)
            self._write_header()  # of the final length: numpy leaves the first axis room to grow
        self._file.write(rows.data)
        self.rows += len(rows)

    def __exit__(self, *error: object) -> None:
        with self._file:  # which closes it, even where the disk takes no more
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False}
        shape = (self.rows, *self._tail)
        npy.write_array_header_1_0(self._file, header | {"shape": shape})
