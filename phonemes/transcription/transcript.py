"""The phonemes of a recording, with their times, and what they were decided from.

S samples, T frames, C mel bands, P phonemes of a recording. Frame t stands for the time from
`Track.start` + t * `Track.stride` to one stride later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.layout import Frames

if TYPE_CHECKING:
    import pandas as pd


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


@dataclass(frozen=True)
class Transcript:
    """The phonemes of a recording in order; each begins where the one before ends.

    The first begins at 0, the last ends at `duration`; silence is a phoneme, SIL.
    """

    phones: tuple[Segment, ...]
    duration: float  # s of the recording
    model: str  # what labelled it, for people: "english" or the path of a model file
    words: tuple[Segment, ...] = ()  # where they are known; silence between them has no entry
    track: Track | None = None  # None where it was not kept, as for hours of sound

    def __str__(self) -> str:
        """Return a table for a terminal, a phoneme a line."""
        lines = [f"{'start':>9} {'end':>9}  {'phoneme':<8} confidence"]
        lines += [
            f"{phone.start:9.3f} {phone.end:9.3f}  {phone.label:<8} {phone.confidence:10.2f}"
            for phone in self.phones
        ]
        return "\n".join(lines)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row for each phoneme: start and end (s), phoneme, confidence (0 to 1)."""
        import pandas as pd

        return pd.DataFrame(self.phones, columns=["start", "end", "phoneme", "confidence"])


def runs(labels: Sequence[int] | NDArray[np.integer]) -> list[tuple[int, int]]:
    """Return where each run of equal labels, (T,), starts and ends, as frames [start, end)."""
    label = np.asarray(labels)
    bounds = np.flatnonzero(np.diff(label, prepend=-1, append=-1) != 0).tolist()
    return [*pairwise(bounds)]
