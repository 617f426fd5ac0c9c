"""Mean and deviation of bands over frames that pass once, block by block.

Sums of blocks are merged as in Chan, Golub and LeVeque (1983), "Algorithms for computing the
sample variance", The American Statistician 37: a large mean costs no digits. T frames, C bands.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.frames import widened
from phonemes.storage.layout import Frames, Scales, StoredFrames

BLOCK = 2**15  # frames; an utterance may be hours long


def blocks(frames: StoredFrames, scales: Scales | None = None) -> Iterator[Frames]:
    """Yield the frames, (T, C), at most BLOCK at a time; those of 8 bits have scales."""
    for start in range(0, len(frames), BLOCK):
        yield widened(frames[start : start + BLOCK], scales)


class BandSums:
    """Count, mean and sum of squared deviations of each band, in float64."""

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.mean = np.zeros(bands)  # (C,)
        self.squares = np.zeros(bands)  # (C,) of deviations from the mean

    def add(self, block: NDArray[np.floating]) -> None:
        """Add a block of frames, (T, C)."""
        mean = block.mean(0, dtype=np.float64)
        centred = block - mean
        self._merge(len(block), mean, np.einsum("tc,tc->c", centred, centred))

    def merge(self, other: "BandSums") -> None:
        """Add all frames of other sums."""
        self._merge(other.count, other.mean, other.squares)

    def _merge(self, count: int, mean: NDArray, squares: NDArray) -> None:
        total = self.count + count
        apart = mean - self.mean
        self.mean = self.mean + apart * (count / total)
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.count = total

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Return the standard deviation of each band, (C,)."""
        return np.sqrt(self.squares / max(self.count, 1))


def band_sums(frames: StoredFrames, scales: Scales | None = None) -> BandSums:
    """Return the sums over frames, (T, C); those of 8 bits have scales."""
    sums = BandSums(frames.shape[1])
    for block in blocks(frames, scales):
        sums.add(block)
    return sums
