"""Tensors and a description in one file, in the format of safetensors: no program is in it.

The header's metadata hold one text, JSON: the description and a checksum of it and of all
tensors. The same content is the same bytes. What is read is at most as large as the file:
safetensors refuses sizes that do not add up to the file's.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from phonemes.errors import raise_true_cause

MOST_HEADER = 2**24  # bytes; Python's objects of a header take up to some twenty times as much
_KEY = "phonemes"  # of the metadata: with several, their order would differ from run to run


class DamagedError(ValueError):
    """A file is not what was written; the message says in which way."""


class Stored(NamedTuple):
    """What a file holds."""

    tensors: dict[str, Tensor]  # on the host
    description: dict[str, Any]  # as JSON has it


def write_tensors(path: Path, tensors: Mapping[str, Tensor], description: dict[str, Any]) -> None:
    """Write a file, down to the disk.

    Args:
        path: of the file.
        tensors: by name, on any device; no two share memory.
        description: of what JSON can hold.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    on_host = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    stored = {"checksum": _checksum(on_host, description), "description": description}
    try:
        save_file(on_host, path, {_KEY: _text(stored)})
    except SafetensorError as error:  # what the system said is in its text
        raise OSError(f"cannot write {path}: {error}") from None
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def read_tensors(path: Path) -> Stored:
    """Return what `write_tensors` wrote.

    Raises:
        DamagedError: the file is not whole, was edited, or is none of these.
        MachineError: the machine lacks what opening it takes.
        OSError: it cannot be read.
    """
    if not path.stat().st_size and path.is_file():
        raise DamagedError("it is empty")
    if not path.is_file():  # opening a pipe would wait for a writer
        raise DamagedError("it is no regular file")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MOST_HEADER:
        raise DamagedError("it is no file of safetensors")
    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            metadata = opened.metadata() or {}
            # copies: a view would keep the file mapped
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, MemoryError, RuntimeError, TypeError) as error:
        number = re.search(r"\((\d+)\)$", str(error))  # the system's, as torch quotes it
        raise_true_cause(OSError(int(number[1]), "") if number else error, path)
        raise DamagedError(" ".join(str(error).split())[:200]) from None
    return Stored(tensors, _checked(metadata.get(_KEY), tensors))


def _checked(text: str | None, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the description, if its text and the tensors have the checksum that is written."""
    if text is None:
        raise DamagedError("it was written by another program")
    try:
        stored = json.loads(text)
        checksum, description = stored["checksum"], stored["description"]
        found = _checksum(tensors, description)
    except (ValueError, LookupError, TypeError, RecursionError):
        raise DamagedError("its description cannot be read") from None
    if checksum != found or not isinstance(description, dict):
        raise DamagedError("its checksum is another: it was edited, or changed on the disk")
    return description


def _checksum(tensors: dict[str, Tensor], description: object) -> str:
    """Return a digest of all values, names, types and shapes."""
    digest = hashlib.blake2b(_text(description).encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(f"\n{name} {value.dtype} {[*value.shape]}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _text(values: object) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
