"""How normalized frames are stored: float32, bfloat16, or 8 bits with a scale a band.

    float32   (N, C) float32
    bfloat16  (N, C) uint16, the upper halves of the bits of float32: numpy has no bfloat16
    int8      (N, C) int8 from -127 to 127, to be multiplied by the scale of the band

The scales, (C,) float32, follow the frames of 8 bits as a second array in the same .npy file, as
`np.save` writes it to an open file: no frames can be read with the scales of others. They are
numbers of bfloat16, so that their product with a stored value is exact in float32.

0 is stored as 0 in each form, so that padding is the same in all.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.layout import Frames, Scales, StoredFrames

FORMS = {
    name: np.dtype(kind) for name, kind in {"float32": "f4", "bfloat16": "u2", "int8": "i1"}.items()
}
HEADER = 128  # bytes of that of an .npy file of one short axis
LARGEST = 127  # stored value of 8 bits; -128 is not used, so that both signs reach as far


class Stored(NamedTuple):
    """Frames as a file holds them."""

    frames: StoredFrames  # (N, C)
    scales: Scales | None  # (C,) of frames of 8 bits


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return numbers rounded to bfloat16, ties to even, as the bits of it."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    unknown = np.isnan(values)
    if unknown.any():  # whose bits may become those of infinity
        rounded[unknown] = 0x7FC0
    return rounded


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the numbers of bits of bfloat16, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def narrowed(frames: Frames, form: str, scales: Scales | None) -> StoredFrames:
    """Return frames, (T, C) float32, in the form in which they are stored; int8 needs scales."""
    if form == "bfloat16":
        return to_bfloat16(frames)
    if form == "int8":
        assert scales is not None
        with np.errstate(over="ignore"):  # what is too large is clipped
            multiples = frames / scales
        np.rint(multiples, out=multiples)
        return multiples.clip(-LARGEST, LARGEST, out=multiples).astype(np.int8)
    return frames


def widened(stored: StoredFrames, scales: Scales | None) -> Frames:
    """Return stored frames, (T, C), as float32; those that are float32 are not copied."""
    if stored.dtype == np.uint16:
        return from_bfloat16(stored)
    if stored.dtype == np.int8:
        assert scales is not None
        return stored.astype(np.float32) * scales
    return stored


def append_scales(path: Path, scales: Scales | None) -> None:
    """Write the scales of frames of 8 bits behind them; do nothing without scales."""
    if scales is not None:
        with path.open("ab") as file:
            np.save(file, scales)


def read_scales(path: Path, end: int, bands: int) -> Scales:
    """Return the scales of frames of 8 bits, (C,), which end at a byte of their file.

    Raises:
        ValueError: they are missing or damaged.
    """
    size = HEADER + 4 * bands
    with path.open("rb") as file:
        file.seek(end)
        rest = file.read(size + 1)
    if len(rest) != size:
        raise ValueError("the scales of its bands are not there")
    scales: Scales = np.load(io.BytesIO(rest), allow_pickle=False)
    if scales.dtype != np.float32 or scales.shape != (bands,):
        raise ValueError("the scales of its bands are not those of its frames")
    if not ((scales > 0) & (scales <= np.finfo(np.float32).max / LARGEST)).all():
        raise ValueError("a scale of its bands is no positive number")
    return scales
