"""How well a recording fits the text that it was aligned with.

In each frame the log weight of the aligned phoneme is compared with that of the phoneme on
the best path through a free loop of all phonemes: the log ratio of both is 0 where they
agree, and far below where something else was said (Witt and Young, 2000, "Phone-level
pronunciation scoring and assessment for interactive language learning"). Two means show that a
text does not fit, wherever they are lowest. One is over the frames of a stretch of time: words
that the text lacks were said there. The other is over phonemes, each with the mean of its
frames: words of the text were not said, and are left with hardly a frame.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.alignment.graph import loop_graph
from phonemes.alignment.viterbi import Durations, best_path

SECONDS, LEAST_OF_FRAMES = 3.0, -1.3  # of a stretch, and its mean in nats where a text fits
PHONEMES, LEAST_OF_PHONEMES = 20, -2.4  # the same of a run of phonemes


class Stretch(NamedTuple):
    """A part of a recording and its mean log ratio."""

    begin: int  # first frame
    end: int  # frame after the last
    fit: float  # nats
    least: float  # of texts that fit


def log_ratios(
    scores: NDArray[np.float32], aligned: NDArray[np.integer], durations: Durations
) -> NDArray[np.float32]:
    """Return the log ratio of aligned and free phonemes in each frame, (T,).

    Args:
        scores: (T, K) log weights.
        aligned: (T,) labels.
        durations: as in the alignment.
    """
    free = best_path(scores, loop_graph([""] * scores.shape[1]), durations)
    time = np.arange(len(scores))
    return scores[time, aligned] - scores[time, free]


def worst_stretches(
    ratios: NDArray[np.float32], spoken: Sequence[tuple[int, int]], stride: float
) -> tuple[Stretch, Stretch]:
    """Return the stretch of time and the run of phonemes that fit worst.

    Args:
        ratios: (T,) from `log_ratios`.
        spoken: begin and end of each phoneme of a word, in frames; at least one.
        stride: s from one frame to the next.
    """
    frames = [(time, time + 1) for time in range(len(ratios))]
    means = [float(ratios[begin:end].mean()) for begin, end in spoken]
    return (
        _worst(ratios, frames, round(SECONDS / stride), LEAST_OF_FRAMES),
        _worst(means, spoken, PHONEMES, LEAST_OF_PHONEMES),
    )


def _worst(
    values: Sequence[float] | NDArray[np.float32],
    spans: Sequence[tuple[int, int]],
    width: int,
    least: float,
) -> Stretch:
    """Return the run of `width` values, all where they are fewer, whose mean is lowest.

    Args:
        values: one for each of `spans`.
        spans: begin and end of each, in frames.
        width: of a run.
        least: see `Stretch`.
    """
    width = min(width, len(values))
    sums = np.cumsum([0.0, *values])
    means = (sums[width:] - sums[:-width]) / width
    first = int(means.argmin())
    return Stretch(spans[first][0], spans[first + width - 1][1], float(means[first]), least)
