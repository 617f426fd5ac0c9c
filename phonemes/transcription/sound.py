"""Read recordings of any kind that libsndfile reads, piece by piece, at the rate of a model.

Other than for a corpus, sound may be lossy (mp3, ogg). S samples.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError, raise_true_cause
from phonemes.features.containers import missing_bytes
from phonemes.features.sound import RATES, cancel, refuse_integers, refuse_undeclared

STDIN = "-"
SUFFIXES = (
    ".wav",
    ".flac",
    ".mp3",
    ".ogg",
    ".opus",
    ".oga",
    ".sph",
    ".aiff",
    ".aif",
    ".au",
    ".w64",
)
PIECE = 10.0  # s that are read at once


@contextmanager
def sound_file(name: str) -> Iterator[Path]:
    """Give the path of a recording; what standard input holds, "-", is a temporary file.

    Raises:
        InputError: there is no such file, or nothing on standard input.
    """
    if name != STDIN:
        path = Path(name)
        if not path.is_file():  # a pipe would never end
            raise InputError(f"there is no recording {path}")
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "standard input"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if not path.stat().st_size:
            raise InputError("standard input is empty; pipe a recording into it")
        yield path


def pieces(path: Path, rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield a recording in pieces, (S,) float32 in [-1, 1] each, averaged over its channels.

    Args:
        path: of the recording.
        rate: Hz of the samples that are wanted.

    Raises:
        InputError: it cannot be read, is damaged or cut short, has no signal, or its channels
            cancel each other; or the machine lacks what reading takes.
    """
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(path) as file:
            if file.samplerate not in RATES:
                raise InputError(
                    f"{path} claims {file.samplerate} samples a second; is it damaged?"
                )
            refuse_undeclared(file.frames, path)
            resampler = soxr.ResampleStream(file.samplerate, rate, 1, "float32", "HQ")
            checks = _Checks(path)
            for block in file.blocks(
                round(PIECE * file.samplerate), dtype="float32", always_2d=True
            ):
                mean = checks.of(block)
                yield mean if file.samplerate == rate else resampler.resample_chunk(mean)
            if file.samplerate != rate:
                yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            checks.end(file.frames, missing_bytes(path))
    except (OSError, ValueError, MemoryError, soundfile.SoundFileError) as error:
        if isinstance(error, InputError):
            raise
        raise_true_cause(error, path)
        raise InputError(
            f"cannot read {path}: {error}; expected wav, flac, mp3, ogg or uncompressed NIST sphere"
        ) from None


class _Checks:
    """Sums over a recording that tell whether it can be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self._lowest, self._highest = np.inf, -np.inf
        self._sums = self._squares = np.zeros(1)  # of each channel, and of their mean

    def of(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over the channels of a piece, (S, channels)."""
        mean = block.mean(axis=1)
        if not np.isfinite(mean).all():
            raise InputError(
                f"{self._path} holds samples that are no finite numbers; write it again"
            )
        refuse_integers(block, self._path)
        every = np.column_stack([block, mean]).astype(np.float64)
        self._count += len(block)
        self._sums = self._sums + every.sum(0)
        self._squares = self._squares + np.square(every).sum(0)
        if len(block):
            self._lowest = min(self._lowest, float(mean.min()))
            self._highest = max(self._highest, float(mean.max()))
        return mean

    def end(self, declared: int, missing: int) -> None:
        """Refuse a recording that is not whole, or has no signal; see `pieces`."""
        if missing or self._count < declared:
            raise InputError(
                f"{self._path} is cut short: its header declares more sound than the "
                f"{self._count} samples that are there; copy or download it again"
            )
        if not self._count:
            raise InputError(f"{self._path} holds no samples")
        variance = self._squares / self._count - np.square(self._sums / self._count)
        levels = np.sqrt(np.maximum(variance, 0))
        if cancel(levels[:-1], levels[-1]):
            raise InputError(
                f"{self._path}: its {len(levels) - 1} channels cancel each other when they are "
                "averaged; one has its polarity reversed: invert it, or keep one channel"
            )
        if self._lowest == self._highest:
            raise InputError(
                f"{self._path} has no signal: all its samples are {self._lowest:g}; check how it "
                "was made"
            )
