"""Stretches of a recording, and what they were decided from, frame by frame.

T frames, C mel bands, P phonemes of a recording. Frame t stands for the time from
`Track.start` + t * `Track.stride` to one stride later.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.layout import Frames


class Segment(NamedTuple):
    """A phoneme or a word of a recording."""

    start: float  # s from the beginning of the recording
    end: float  # s
    label: str  # a phoneme as the model names it, or a word
    confidence: float  # 0 to 1, mean posterior of the label over its frames


class Track(NamedTuple):
    """What a transcript was decided from, frame by frame."""

    start: float  # s where the time of the first frame begins
    stride: float  # s from one frame to the next
    frames: Frames  # (T, C) log-mel, not normalized
    log_posteriors: NDArray[np.float32]  # (T, P) of each frame, smoothed if the transcript is
    phonemes: tuple[str, ...]  # (P,) in label order
    bands: tuple[float, ...] = ()  # (C,) centres of the bands, Hz; none where unknown


def runs(labels: Sequence[int] | NDArray[np.integer]) -> list[tuple[int, int]]:
    """Return where each run of equal labels, (T,), starts and ends, as frames [start, end)."""
    label = np.asarray(labels)
    bounds = np.flatnonzero(np.diff(label, prepend=-1, append=-1) != 0).tolist()
    return [*pairwise(bounds)]
