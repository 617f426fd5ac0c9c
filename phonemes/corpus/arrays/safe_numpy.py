"""Load .npy files from strangers without running anything they carry.

An array of objects is stored as a pickle, a program for a small stack machine that
Python's unpickler lets call any function. `load` never starts the unpickler. It
disassembles the program with `pickletools` and follows only those instructions that
numpy writes for arrays of numbers and text. Where they name one of numpy's functions, a
function below that checks its arguments is called instead. Anything else is refused by
name.

Memory and time are bounded by the size of the file. A program can use what it stored
again and again, so that a few bytes could stand for gigabytes; therefore every
instruction that makes something pays for it, and the sum may be `MOST_MADE` times the
file. Arrays as numpy writes them need less than half of that.

Accepted are versions 1 and 2 of the format, booleans, integers, floats and text in
either byte order, C and Fortran order, and object arrays by Python 2 or 3 (pickle
protocols 2 to 5) whose elements are again arrays, text or numbers.
"""

import math
import pickletools
import re
import warnings
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from phonemes.errors import InputError, raise_true_cause

HEADERS = {
    b"\x93NUMPY\x01\x00": npy.read_array_header_1_0,
    b"\x93NUMPY\x02\x00": npy.read_array_header_2_0,
}
ARCHIVES = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z", b"Rar")
DTYPE = re.compile(r"[<>|=](?:[biuf]\d{1,2}|[SU]\d{1,6}|O[48]?)")
MOST_AXES = 8
ROOM_OF_EMPTY_ARRAYS = 4096  # an array without values may still have a few columns
MOST_MADE = 24  # bytes that a program may make for each byte of its file
ROOM_TO_MAKE = 1 << 20  # bytes that it may always make
OBJECT = 32  # bytes to pay for an object without its content; it takes 28 to 112
POINTER = 8  # bytes of an item of a tuple or list
LONGEST_TEXT = 256  # of an element; comparing the same long texts again and again takes for ever


def load(path: Path) -> NDArray:
    """Return the array of an .npy file: of numbers, of text, or of objects.

    The elements of an object array are arrays, str, bytes, int, float or bool.

    Raises:
        InputError: names the file and why it is refused; nothing else is raised.
    """
    if not path.is_file():  # a pipe or a device would never end
        raise InputError(f"{path} is not a file; put the .npy file itself in its place")
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's warnings about headers by Python 2
            return _read(file, path.stat().st_size)
    except InputError as error:
        raise InputError(f"{path}: {str(error)[:600]}") from None
    except Exception as error:  # whatever a damaged or hostile file makes a parser raise
        raise_true_cause(error, path)
        if isinstance(error, OSError):
            raise InputError(f"{path} cannot be read: {error}") from None
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
        raise InputError(f"{path}: is damaged ({reason}); copy or download it again") from None


def _read(file: BinaryIO, size: int) -> NDArray:
    start = file.read(npy.MAGIC_LEN)
    if start.startswith(ARCHIVES):
        raise InputError("is an archive; unpack it and give the .npy files in it")
    if start not in HEADERS:
        raise InputError(
            f"is not an .npy file: it starts with {start!r}; write it with np.save, or download "
            "it again"
        )
    # no read asks for more than there is: room for it would be made first. Without a tell method
    # the disassembler does not ask for the position of every instruction
    source: Any = SimpleNamespace(
        read=lambda count: file.read(min(count, size)), readline=file.readline
    )
    try:
        shape, fortran, dtype = HEADERS[start](source)
    except MemoryError:  # how Python's parser refuses signs and brackets nested too deep
        raise InputError("has a header that is no description of an array") from None
    if not dtype.hasobject:
        return _from_bytes(file.read(), dtype, shape, "F" if fortran else "C")
    array = _follow(source, size)
    if file.read(1):
        raise InputError("has more bytes after its array; save one array a file")
    if array.shape != shape:
        raise InputError(f"declares shape {shape} but holds {array.shape}")
    return array


def _from_bytes(
    raw: bytes | bytearray, dtype: np.dtype, shape: Any, order: Literal["C", "F"]
) -> NDArray:
    """Return an array that shares the memory of `raw`, so that no declared shape can take more."""
    if dtype.kind not in "biufSU" or not dtype.itemsize:
        raise InputError(f"holds {dtype} values; expected floats, integers or text")
    _check_shape(shape, len(raw))
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise InputError(
            f"declares {dtype} of shape {shape}, {math.prod(shape) * dtype.itemsize} bytes, but "
            f"holds {len(raw)}; copy or download it again"
        )
    return np.ndarray(shape, dtype, raw, order=order)


def _check_shape(shape: Any, size: int) -> None:
    """Refuse what is no shape, and empty arrays with axes so long that loops would not end."""
    longest = max(size, ROOM_OF_EMPTY_ARRAYS)
    if type(shape) is tuple and len(shape) > MOST_AXES:
        raise InputError(f"declares {len(shape)} axes; expected at most {MOST_AXES}")
    if type(shape) is not tuple or not all(type(axis) is int for axis in shape):
        raise InputError("declares a shape that is not a tuple of integers")
    if not all(0 <= axis <= longest for axis in shape):
        raise InputError(f"declares shape {shape} but holds {size} bytes or elements")


class _Dtype:
    """Replaces numpy.dtype: called with a type code, then built with the byte order."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: str, *_flags: object) -> None:
        self._code, self._order = code, "|"

    def build(self, _version: int, order: str, *_fields: object) -> None:
        self._order = order

    def resolve(self) -> np.dtype:
        name = "".join((self._order, self._code))
        if not DTYPE.fullmatch(name):
            raise InputError(f"holds {name[:40]!r} values; expected floats, integers or text")
        return np.dtype(name)


class _Array:
    """Replaces numpy.ndarray: made empty, then built with its shape, type and content."""

    __slots__ = ("size", "value")

    def __init__(self, value: NDArray | None = None) -> None:
        self.value = value
        self.size = 0 if value is None else value.nbytes  # with all elements of its elements

    def build(self, _version: int, shape: Any, dtype: _Dtype, fortran: bool, content: Any) -> None:
        kind = dtype.resolve()
        if not kind.hasobject:
            self.value = _from_bytes(_as_bytes(content), kind, shape, "F" if fortran else "C")
            self.size = self.value.nbytes
            return
        _check_shape(shape, len(content))
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
        self.size = _size(content)
        self.value = np.fromiter(values, object, len(values)).reshape(shape)


def _ndarray(*_arguments: object) -> None:
    raise InputError("calls numpy.ndarray; expected its mere name, for _reconstruct")


def _reconstruct(kind: object, *_initial: object) -> _Array:
    if kind is not _ndarray:
        raise InputError("makes an array that is not a numpy.ndarray")
    return _Array()


def _as_bytes(content: Any) -> bytes | bytearray:
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
IGNORED = {"PROTO", "FRAME", "STOP"}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINSTRING", "BINSTRING"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _global(name: str) -> Callable:
    if name not in GLOBALS:
        raise InputError(
            f"names {name[:80]!r}, which is no part of an array of numbers or text: loading it "
            "could run code, so it is refused; get the file from a source you trust"
        )
    return GLOBALS[name]


def _size(value: object) -> int:
    """Return how many bytes something made of `value` takes, at most."""
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if isinstance(value, tuple):
        return POINTER * len(value)
    if isinstance(value, list):
        return sum(POINTER + (item.size if isinstance(item, _Array) else 0) for item in value)
    return 0


class _Stack:
    """The state of the stack machine."""

    def __init__(self, size: int) -> None:
        """Start with what a program in a file of `size` bytes may make."""
        self.items: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: list[Any] = []
        self._left = MOST_MADE * size + ROOM_TO_MAKE

    def pay(self, size: int = 0) -> None:
        """Pay for an object of `size` bytes."""
        self._left -= OBJECT + size
        if self._left < 0:
            raise InputError(
                "would become far larger than the file, which no array does; get the file from a "
                "source you trust"
            )

    def store(self, place: int) -> None:
        """Store the last item at a place; Python counts on from the last one."""
        if (skipped := place - len(self.memo)) > 0:
            self.pay(POINTER * skipped)
        self.memo.extend(repeat(None, skipped + 1))
        self.memo[place] = self.items[-1]

    def pop(self, start: int) -> list[Any]:
        """Take off and return the items from position `start` on."""
        items = self.items[start:]
        del self.items[start:]
        return items


def _follow(source: Any, size: int) -> NDArray:
    """Return the array that a pickle describes, in a file of `size` bytes."""
    stack = _Stack(size)
    for opcode, argument, _ in pickletools.genops(source):
        if not _make_value(stack, opcode.name, argument):
            _use_global(stack, opcode.name, argument)
    (root,) = stack.items
    if not isinstance(root, _Array) or root.value is None:
        raise InputError("holds no array")
    return root.value


def _make_value(stack: _Stack, instruction: str, argument: Any) -> bool:
    """Follow an instruction for literals, tuples and lists; return whether it is one."""
    items = stack.items
    match instruction:
        case name if name in LITERALS:
            items.append(argument)
        case "MEMOIZE":
            stack.store(len(stack.memo))
        case "BINPUT" | "LONG_BINPUT":
            stack.store(argument)
        case "BINGET" | "LONG_BINGET":
            items.append(stack.memo[argument])
        case name if name in CONSTANTS:
            items.append(CONSTANTS[name])
        case name if name in TUPLES:
            stack.pay()
            items.append(tuple(stack.pop(len(items) - TUPLES[name])))
        case "MARK":
            stack.pay()
            stack.marks.append(len(items))
        case "TUPLE":
            items.append(tuple(stack.pop(stack.marks.pop())))
        case "EMPTY_LIST":
            stack.pay()
            items.append([])
        case "APPEND":
            item = items.pop()
            items[-1].append(item)
        case "APPENDS":
            values = stack.pop(stack.marks.pop())
            items[-1].extend(values)
        case _:
            return False
    return True


def _use_global(stack: _Stack, instruction: str, argument: Any) -> None:
    """Follow an instruction that names, calls or builds something; refuse any other.

    Only functions of `GLOBALS` ever come onto the stack, so no others can be called,
    and only `_Array` and `_Dtype` have a build method.
    """
    items = stack.items
    match instruction:
        case "GLOBAL":
            items.append(_global(argument.replace(" ", ".")))
        case "STACK_GLOBAL":
            items.append(_global(".".join(stack.pop(len(items) - 2))))
        case "INST":  # numpy never writes it; the name is looked up so that its refusal has it
            _global(argument.replace(" ", "."))
            raise InputError("makes an instance of a class")
        case "REDUCE":
            function, arguments = stack.pop(len(items) - 2)
            stack.pay(sum(map(_size, (arguments, *arguments))))
            items.append(function(*arguments))
        case "BUILD":
            state = items.pop()
            if not isinstance(items[-1], _Array | _Dtype):
                raise InputError("builds something that is not an array")
            stack.pay(sum(map(_size, (state, *state))))
            items[-1].build(*state)
        case name if name not in IGNORED:
            raise InputError(f"holds the pickle instruction {name}, which no array needs")
