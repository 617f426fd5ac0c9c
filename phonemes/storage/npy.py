"""Write an array whose length is not known before its last row."""

from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class NpyAppender:
    """Writes an .npy array part by part; its header gets the final shape on exit."""

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
            self._write_header()  # of the final length: numpy leaves room for a longer first axis
        self._file.write(rows.data)
        self.rows += len(rows)

    def __exit__(self, *error: object) -> None:
        with self._file:  # closes the file even where the disk is full
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False}
        shape = (self.rows, *self._tail)
        npy.write_array_header_1_0(self._file, header | {"shape": shape})
