"""How much sound a file says that it holds, in its header.

libsndfile reads as much as there is and does not tell that a file was cut short. Formats are
RIFF WAVE (RIFF, RIFX), RF64, W64, AIFF, AU and NIST sphere; FLAC is checked by its decoder.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_NOT_DECLARED = 0x7FFF_F000  # bytes; what writes to a pipe puts this or more for a size
_W64_HEAD = b"riff\x2e\x91\xcf\x11"
_HEADER = 1 << 16  # bytes read of a header without chunks


def missing_bytes(path: Path) -> int:
    """Return how many bytes of sound the header declares that are not in the file.

    It is 0 where the header, written before the sound, does not declare a size, and for
    other formats.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        return max(0, _declared_end(file, size) - size)


def _declared_end(file: BinaryIO, size: int) -> int:
    """Return where the sound ends by the header, in bytes from the start; 0 if unknown."""
    head = file.read(_HEADER)
    if head.startswith((b"RIFF", b"RIFX")):
        order = "little" if head.startswith(b"RIFF") else "big"
        return _end(_chunks(file, size, order, 4), (b"data",))
    if head.startswith(b"FORM"):
        return _end(_chunks(file, size, "big", 4), (b"SSND",))
    if head.startswith(b"RF64"):
        (_, start, _), *others = _chunks(file, size, "little", 4)
        declared = int.from_bytes(head[start + 8 : start + 16], "little")  # of ds64
        return next((at + declared for name, at, _ in others if name == b"data"), 0)
    if head.startswith(_W64_HEAD):
        return _end(_chunks(file, size, "little", 8), (b"data",))
    if head.startswith(b".snd"):
        start, length = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8))
        return start + length if length < _NOT_DECLARED else 0
    if head.startswith(b"NIST_1A"):
        return _sphere_end(head)
    return 0


def _end(chunks: Iterator[tuple[bytes, int, int]], wanted: tuple[bytes, ...]) -> int:
    """Return where the chunk of the sound ends; 0 if there is none, or its size is unknown."""
    for name, start, length in chunks:
        if name in wanted:
            return start + length if length < _NOT_DECLARED else 0
    return 0


def _chunks(file: BinaryIO, size: int, order: str, width: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length in bytes of each chunk, as far as the file goes.

    Args:
        file: whose first chunk holds the others.
        size: of the file, in bytes.
        order: of the bytes in a length, little or big.
        width: 4 for chunks named by 4 bytes, aligned to 2; 8 for those of W64, named by 16
            bytes, with lengths that include the chunk's own header, aligned to 8.
    """
    named, aligned = (4, 2) if width == 4 else (16, 8)
    at = named + width + named  # after the first chunk's header and type
    while at + named + width <= size:
        file.seek(at)
        header = file.read(named + width)
        length = int.from_bytes(header[named:], "little" if order == "little" else "big")
        start = at + named + width
        length -= named + width if width == 8 else 0
        yield header[:4], start, length
        at = start + max(0, length)
        at += -at % aligned


def _sphere_end(head: bytes) -> int:
    """Return where the sound of a NIST sphere file ends."""
    lines = head.split(b"\n", 2)
    fields = dict(re.findall(rb"(?m)^(\w+) -i (\d+)", head.partition(b"end_head")[0]))
    needed = (b"sample_count", b"channel_count", b"sample_n_bytes")
    if len(lines) < 3 or not lines[1].strip().isdigit() or not {*needed} <= {*fields}:
        return 0
    samples, channels, width = (int(fields[name]) for name in needed)
    return int(lines[1]) + samples * channels * width
