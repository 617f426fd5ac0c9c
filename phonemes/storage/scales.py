"""Choose the scale of each band for frames of 8 bits, so that clipping and rounding cost least.

With a scale d, what is beyond 127 d is clipped, and the rest is rounded to a multiple of d. The
scale with the least expected squared error is wanted: d^2 / 12 for what is rounded, and
(|x| - 127 d)^2 for what is clipped. (The criterion of Sakr et al., 2022, "Optimal clipping and
magnitude-aware differentiation for improved quantization-aware training", arXiv 2206.06501. They
find its minimum by Newton's method; here it is that of all magnitudes that a histogram
distinguishes.)
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.frames import LARGEST, from_bfloat16, to_bfloat16
from phonemes.storage.layout import Frames, Scales

BINS = 2**15  # of a histogram: the magnitudes of bfloat16, which are 0.4 to 0.8 % apart
FINITE = 0x7F80  # of them; the others are infinity and what is no number
# between which the finite ones lie, the last below that of float32, so that scales are finite
EDGES = np.append(from_bfloat16(np.arange(FINITE, dtype=np.uint16)).astype(np.float64), 3e38)
SMALLEST = 1e-30  # magnitude that is not taken for 0


def magnitude_counts(parts: Iterable[Frames], bands: int) -> NDArray[np.int64]:
    """Return how many values of each band have each magnitude, (C, BINS), cut to bfloat16.

    Args:
        parts: (T, C) frames each.
        bands: C.
    """
    counts = np.zeros(bands * BINS, np.int64)
    first = BINS * np.arange(bands)
    for frames in parts:
        bits = np.ascontiguousarray(frames, np.float32).view(np.uint32)
        counts += np.bincount(((bits >> 16) % BINS + first).ravel(), minlength=len(counts))
    return counts.reshape(bands, BINS)


def best_scales(counts: NDArray[np.int64]) -> Scales:
    """Return the scale of each band, (C,), numbers of bfloat16; 1 where all values are 0.

    Args:
        counts: (C, BINS) from `magnitude_counts`.
    """
    limits = np.array([_best_limit(each) if each[:FINITE].any() else 0 for each in counts])
    scales = np.where(limits > SMALLEST, np.minimum(limits, EDGES[-1]) / LARGEST, 1)
    return from_bfloat16(to_bfloat16(scales.astype(np.float32)))


def _best_limit(counts: NDArray[np.int64]) -> float:
    """Return the magnitude beyond which to clip, one that occurs; there are values."""
    (there,) = np.nonzero(counts[:FINITE])
    weights, limits = counts[there].astype(np.float64), EDGES[there + 1]
    middles = (EDGES[there] + limits) / 2
    # of values beyond each limit: how many, their sum, and that of their squares
    beyond, first, second = (
        np.append(np.cumsum((weights * middles**power)[::-1])[-2::-1], 0) for power in range(3)
    )
    clipped = second - 2 * limits * first + limits**2 * beyond
    rounded = limits**2 / (12 * LARGEST**2) * (weights.sum() - beyond)
    return float(limits[(clipped + rounded).argmin()])
