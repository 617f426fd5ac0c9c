"""Load .npy files from strangers without running anything they carry.

An array of objects is stored as a pickle. `load` has `safe_pickle` follow it, which runs
nothing, and memory and time are bounded by the size of the file. The numbers themselves stay in
the file, which is memory-mapped, but for those that Python 2 or protocol 5 wrote.

Accepted are versions 1 and 2 of the format, booleans, integers, floats and text in
either byte order, C and Fortran order, and object arrays by Python 2 or 3 (pickle
protocols 2 to 5) whose elements are again arrays, text or numbers.
"""

import math
import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from phonemes.corpus.arrays.files import read_stranger
from phonemes.corpus.arrays.safe_pickle import Buildable, Language, follow, size_of
from phonemes.errors import InputError
from phonemes.storage.parts import release

HEADERS = {
    b"\x93NUMPY\x01\x00": npy.read_array_header_1_0,
    b"\x93NUMPY\x02\x00": npy.read_array_header_2_0,
}
ARCHIVES = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z", b"Rar")
DTYPE = re.compile(r"[<>|=](?:[biuf]\d{1,2}|[SU]\d{1,6}|O[48]?)")
MOST_AXES = 8
ROOM_OF_EMPTY_ARRAYS = 4096  # an array without values may still have a few columns
LONG = 4096  # bytes of contents that are left in the file
PASSED = 2**26  # bytes of the file after which memory is given back
LONGEST_TEXT = 256  # of an element; comparing the same long texts again and again takes for ever


def load(path: Path) -> NDArray:
    """Return the array of an .npy file: of numbers, of text, or of objects.

    The elements of an object array are arrays, str, bytes, int, float or bool.

    Raises:
        InputError: names the file and why it is refused; nothing else is raised.
    """
    return read_stranger(path, ".npy", _read)


def _read(file: BinaryIO, size: int) -> NDArray:
    start = file.read(npy.MAGIC_LEN)
    if start.startswith(ARCHIVES):
        raise InputError("is an archive; unpack it and give the .npy files in it")
    if start not in HEADERS:
        raise InputError(
            f"is not an .npy file: it starts with {start!r}; write it with np.save, or download "
            "it again"
        )
    source: Any = _Mapped(file)
    try:
        shape, fortran, dtype = HEADERS[start](source)
    except MemoryError:  # how Python's parser refuses signs and brackets nested too deep
        raise InputError("has a header that is no description of an array") from None
    if not dtype.hasobject:
        return _from_bytes(source.rest(), dtype, shape, "F" if fortran else "C")
    source.find_views()
    root = follow(source, size, ARRAYS)
    if not isinstance(root, _Array) or root.value is None:
        raise InputError("holds no array")
    array = root.value
    if source.rest():
        raise InputError("has more bytes after its array; save one array a file")
    if array.shape != shape:
        raise InputError(f"declares shape {shape} but holds {array.shape}")
    return array


class _Mapped:
    """The rest of a file, read through a map of it.

    It has no tell method, so the disassembler does not ask for the position of each instruction.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._map.seek(file.tell())
        self._views, self._passed = False, 0

    def find_views(self) -> None:
        """Return long contents as views of the file from here on, if a pickle that is read can.

        One of a protocol before 3, by Python 2, holds them as text.
        """
        place = self._map.tell()
        self._views = self._map[place : place + 1] == b"\x80" and self._map[place + 1] >= 3

    def read(self, count: int) -> bytes | memoryview:
        """Return the next bytes, at most `count`."""
        if count < LONG or not self._views:
            return self._map.read(count)
        place = self._map.tell()
        found = memoryview(self._map)[place : place + count]
        self._map.seek(place + len(found))
        self._passed += len(found)
        if self._passed > PASSED:
            release(found)
            self._passed = 0
        return found

    def readline(self) -> bytes:
        """Return the next line."""
        return self._map.readline()

    def rest(self) -> memoryview:
        """Return what was not read."""
        return memoryview(self._map)[self._map.tell() :]


def _from_bytes(
    raw: bytes | bytearray | memoryview, dtype: np.dtype, shape: Any, order: Literal["C", "F"]
) -> NDArray:
    """Return an array that shares the memory of `raw`, so that no declared shape can take more."""
    if dtype.kind not in "biufSU" or not dtype.itemsize:
        raise InputError(f"holds {dtype} values; expected floats, integers or text")
    check_shape(shape, len(raw))
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise InputError(
            f"declares {dtype} of shape {shape}, {math.prod(shape) * dtype.itemsize} bytes, but "
            f"holds {len(raw)}; copy or download it again"
        )
    return np.ndarray(shape, dtype, raw, order=order)


def check_shape(shape: Any, size: int) -> None:
    """Refuse what is no shape, and empty arrays with axes so long that loops would not end."""
    longest = max(size, ROOM_OF_EMPTY_ARRAYS)
    if type(shape) is tuple and len(shape) > MOST_AXES:
        raise InputError(f"declares {len(shape)} axes; expected at most {MOST_AXES}")
    if type(shape) is not tuple or not all(type(axis) is int for axis in shape):
        raise InputError("declares a shape that is not a tuple of integers")
    if not all(0 <= axis <= longest for axis in shape):
        raise InputError(f"declares shape {shape} but holds {size} bytes or elements")


class _Dtype(Buildable):
    """Replaces numpy.dtype: called with a type code, then built with the byte order."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: str, *_flags: object) -> None:
        super().__init__()
        self._code, self._order = code, "|"

    def build(self, _version: int, order: str, *_fields: object) -> None:
        self._order = order

    def resolve(self) -> np.dtype:
        name = "".join((self._order, self._code))
        if not DTYPE.fullmatch(name):
            raise InputError(f"holds {name[:40]!r} values; expected floats, integers or text")
        return np.dtype(name)


class _Array(Buildable):
    """Replaces numpy.ndarray: made empty, then built with its shape, type and content."""

    __slots__ = ("value",)

    def __init__(self, value: NDArray | None = None) -> None:
        super().__init__()
        self.value = value
        self.size = 0 if value is None else value.nbytes

    def build(self, _version: int, shape: Any, dtype: _Dtype, fortran: bool, content: Any) -> None:
        kind = dtype.resolve()
        if not kind.hasobject:
            self.value = _from_bytes(_as_bytes(content), kind, shape, "F" if fortran else "C")
            self.size = self.value.nbytes
            return
        check_shape(shape, len(content))
        values = [item.value if isinstance(item, _Array) else item for item in content]
        for position, value in enumerate(values):
            if not isinstance(value, np.ndarray | str | bytes | int | float):
                raise InputError(
                    f"element {position} is a {type(value).__name__}; expected an array: save "
                    "np.array(element) in its place"
                )
            if isinstance(value, str | bytes) and len(value) > LONGEST_TEXT:
                raise InputError(
                    f"element {position} is a text of {len(value):,} characters; expected at most "
                    f"{LONGEST_TEXT}, the name of a phoneme"
                )
        self.size = size_of(content)
        self.value = np.fromiter(values, object, len(values)).reshape(shape)


def _ndarray(*_arguments: object) -> None:
    raise InputError("calls numpy.ndarray; expected its mere name, for _reconstruct")


def _reconstruct(kind: object, *_initial: object) -> _Array:
    if kind is not _ndarray:
        raise InputError("makes an array that is not a numpy.ndarray")
    return _Array()


def _as_bytes(content: Any) -> bytes | bytearray | memoryview:
    return content.encode("latin-1") if isinstance(content, str) else content  # str: Python 2


def _scalar(dtype: _Dtype, raw: Any) -> Any:
    return _from_bytes(_as_bytes(raw), dtype.resolve(), (), "C").item()


def _from_buffer(raw: Any, dtype: _Dtype, shape: Any, order: str, axes: Any = None) -> _Array:
    array = _from_bytes(raw, dtype.resolve(), shape, "F" if order == "F" else "C")
    return _Array(array if axes is None else array.transpose(axes))


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise InputError("encodes text otherwise than as latin1")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""


GLOBALS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,  # how Python 3 writes bytes at protocol 2,
    "__builtin__.bytes": _no_bytes,  # and an empty array's
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    GLOBALS[f"{_core}.multiarray._reconstruct"] = _reconstruct
    GLOBALS[f"{_core}.multiarray.scalar"] = _scalar
    GLOBALS[f"{_core}.numeric._frombuffer"] = _from_buffer
ARRAYS = Language("an array of numbers or text", GLOBALS)
