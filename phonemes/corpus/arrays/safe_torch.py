"""Load the tensor of a .pt file by torch.save without running anything that it carries.

A .pt file is a zip archive, uncompressed, with a pickle, `data.pkl`, that describes the tensor,
and a storage, `data/KEY`, with its values. Before torch 1.6 it was four pickles (a magic number,
a version, sizes of types, the tensor), one with the keys of the storages, and their values.
`load_tensor` has `safe_pickle` follow the pickle, and neither unpickles nor calls torch.

A tensor is a view of its storage: a first value, sizes and strides. The storage may be larger,
as that of a part of a batch, or transposed. A view that holds a value more often than once, as by
`expand`, is refused: a few bytes could stand for gigabytes. So memory is bounded by the size of
the file.
"""

import math
import pickletools
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, NamedTuple
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.arrays.files import read_stranger
from phonemes.corpus.arrays.safe_numpy import check_shape
from phonemes.corpus.arrays.safe_pickle import Language, follow
from phonemes.errors import InputError

ZIP = b"PK"
BEFORE_1_6 = bytes.fromhex("80028a0a6cfc9c46f920 6aa850192e")  # the pickle of a magic number
VERSION_AND_SIZES = 2  # pickles after it, of no use here
DTYPES = {"Half": "f2", "Float": "f4", "Double": "f8"}
OTHERS = (
    *("BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"),
    *("ComplexFloat", "ComplexDouble", "Untyped"),
)
BYTE_ORDERS = {b"little": "<", b"big": ">"}


class _Kind(NamedTuple):
    """A class of torch's storages."""

    name: str
    code: str | None  # of numpy's dtype; None where it holds no floats


class _Storage(NamedTuple):
    """A storage, as the pickle describes it."""

    kind: _Kind
    key: str
    values: int


class _Tensor(NamedTuple):
    """A tensor, as the pickle describes it."""

    storage: _Storage
    first: int  # value of the storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in values


def load_tensor(path: Path) -> NDArray[np.floating]:
    """Return the tensor of a .pt file: float16, float32 or float64, of any shape.

    Raises:
        InputError: names the file and why it is refused; nothing else is raised.
    """
    return read_stranger(path, ".pt", _read)


def _read(file: BinaryIO, size: int) -> NDArray[np.floating]:
    start = file.read(len(BEFORE_1_6))
    if start == BEFORE_1_6:
        return _read_before_1_6(file, size)
    if start.startswith(ZIP):
        return _read_zip(file, size)
    raise InputError(
        f"is no tensor by torch.save: it starts with {start[:8]!r}; write it with torch.save, or "
        "download it again"
    )


def _read_zip(file: BinaryIO, size: int) -> NDArray[np.floating]:
    with ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise InputError(
                f"has {len(names)} files data.pkl; expected one, as torch.save writes it"
            )
        root = names[0].removesuffix("data.pkl")
        program = _member(archive, names[0], size)
        tensor = _tensor(program, len(program))
        order = "<"
        if f"{root}byteorder" in archive.namelist():
            order = BYTE_ORDERS[_member(archive, f"{root}byteorder", size)]
        return _view(tensor, _member(archive, f"{root}data/{tensor.storage.key}", size), order)


def _member(archive: ZipFile, name: str, size: int) -> Any:
    """Return the content of a file of an archive of `size` bytes, of which it takes no more."""
    info = archive.getinfo(name)
    if info.compress_type != ZIP_STORED or info.file_size > size:
        raise InputError(
            f"holds {name[:80]!r} compressed, {info.file_size:,} bytes of a file of {size:,}; "
            "torch.save does not compress: write it with torch.save"
        )
    return archive.read(info)


def _read_before_1_6(file: BinaryIO, size: int) -> NDArray[np.floating]:
    source = _source(file, size)
    for _ in range(VERSION_AND_SIZES):
        for _ in pickletools.genops(source):  # only disassembled, up to its end
            pass
    tensor = _tensor(source, size)
    keys = follow(source, size, TENSOR)
    if keys != [tensor.storage.key]:
        raise InputError("holds other storages than that of its tensor; save one tensor a file")
    (values,) = struct.unpack("<q", file.read(8))
    if values != tensor.storage.values:
        raise InputError(f"declares {tensor.storage.values} values but holds {values}")
    return _view(tensor, file.read(), "<")


def _source(file: BinaryIO, size: int) -> Any:
    """Return a file from which no read asks for more than there is: room would be made first."""
    return SimpleNamespace(
        read=lambda count: file.read(min(count, size)), readline=lambda: file.readline(size)
    )


def _tensor(source: Any, size: int) -> _Tensor:
    """Return the tensor that a pickle of at most `size` bytes describes."""
    root = follow(source, size, TENSOR)
    if not isinstance(root, _Tensor):
        raise InputError("holds no tensor; save one tensor a file")
    return root


def _view(tensor: _Tensor, raw: bytes, order: str) -> NDArray[np.floating]:
    """Return the tensor out of the bytes of its storage; it shares their memory."""
    kind, _, values = tensor.storage
    if kind.code is None:
        raise InputError(f"holds values of torch.{kind.name}; expected floats: save tensor.float()")
    dtype = np.dtype(order + kind.code)
    if type(values) is not int or values * dtype.itemsize != len(raw):
        raise InputError(
            f"declares {str(values)[:40]} values of {dtype.itemsize} bytes but holds {len(raw)} "
            "bytes; copy or download it again"
        )
    _check_places(tensor)
    shape = tensor.shape
    empty = 0 in shape
    steps = [  # of an axis with one value they do not matter
        0 if empty or axis == 1 else stride * dtype.itemsize
        for axis, stride in zip(shape, tensor.strides, strict=True)
    ]
    return np.ndarray(shape, dtype, raw, 0 if empty else tensor.first * dtype.itemsize, steps)


def _check_places(tensor: _Tensor) -> None:
    """Refuse a tensor that is no view of its storage, or has more values than that."""
    (_, _, values), first, shape, strides = tensor
    if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
        raise InputError("declares a shape and strides that are not tuples of one length")
    if not all(type(place) is int and place >= 0 for place in (first, *shape, *strides)):
        raise InputError("declares a shape, strides or first value that are no counts")
    last = first + sum((axis - 1) * stride for axis, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count > values or (count and last >= values):
        raise InputError(
            f"declares shape {shape} with strides {strides}, but its storage has {values} values; "
            "save tensor.contiguous()"
        )
    check_shape(shape, values)


def _rebuild(
    storage: Any, first: Any, shape: Any, strides: Any, *_gradient_and_hooks: object
) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise InputError("makes a tensor without a storage")
    return _Tensor(storage, first, shape, strides)


def _outside(description: Any) -> _Storage:
    """Return the storage of a persistent id: ("storage", kind, key, device, values[, None])."""
    if not (isinstance(description, tuple) and len(description) in (5, 6)):
        raise InputError("describes a storage otherwise than torch.save does")
    mark, kind, key, _device, values, *view = description
    if mark != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str) or any(view):
        raise InputError("describes a storage otherwise than torch.save does")
    return _Storage(kind, key, values)


def _no_hooks(*_arguments: object) -> None:
    """Replace the OrderedDict of a tensor's hooks, which is always empty."""


FUNCTIONS: dict[str, Any] = {
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "collections.OrderedDict": _no_hooks,
}
for _module in ("torch", "torch.cuda"):
    for _name, _code in [*DTYPES.items(), *((name, None) for name in OTHERS)]:
        _storage = f"{_name}Storage"
        FUNCTIONS[f"{_module}.{_storage}"] = _Kind(_storage, _code)
TENSOR = Language("a tensor of floats", FUNCTIONS, _outside)
