"""What frames say of an utterance: its level, equal frames, and what shows copies. T frames."""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from phonemes.inspection.sums import BLOCK, BandSums
from phonemes.storage.layout import Frames

LOUD = 90  # percentile of the level of frames that is an utterance's: pauses do not count
FEWEST = 10  # frames of speech and of silence to compare


class FrameFacts(NamedTuple):
    """What the frames of an utterance are like."""

    level: float  # of its loud frames
    separation: float  # probability that speech is louder than silence; NaN where unknown
    equal_frames: int  # the longest stretch of frames that are equal, 1 where none are
    equal_start: int  # its first frame
    spread: float  # squared deviations from the means of bands, summed: a copy has the same
    digest: bytes  # of the values: identical utterances have the same


def frame_facts(
    frames: Frames, silent: NDArray[np.bool_] | None = None
) -> tuple[FrameFacts, BandSums]:
    """Return what the frames of an utterance are like, and the sums of their bands.

    Args:
        frames: (T, C), at least one.
        silent: (T,) which are labelled as silence; None where unknown.
    """
    digest = hashlib.blake2b(np.array(frames.shape, np.int64).data, digest_size=16)
    sums = BandSums(frames.shape[1])
    levels = np.empty(len(frames))  # mean over bands
    equal = np.zeros(len(frames), bool)  # to the frame before
    for start in range(0, len(frames), BLOCK):
        block = np.ascontiguousarray(frames[start : start + BLOCK])
        digest.update(block.data)
        sums.add(block)
        stop = start + len(block)
        levels[start:stop] = block.mean(1, dtype=np.float64)
        equal[start + 1 : stop] = (block[1:] == block[:-1]).all(1)
        if start:
            equal[start] = (block[0] == frames[start - 1]).all()
    first, count = longest_stretch(equal)
    facts = FrameFacts(
        level=float(np.percentile(levels, LOUD)),
        separation=np.nan if silent is None else separation(levels, silent),
        equal_frames=count + 1,
        equal_start=max(first - 1, 0),
        spread=float(sums.squares.sum()),
        digest=digest.digest(),
    )
    return facts, sums


def longest_stretch(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest stretch of true flags begins and how many it has, 0 if none."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    if not len(edges):
        return 0, 0
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    longest = int(lengths.argmax())
    return int(starts[longest]), int(lengths[longest])


def separation(levels: NDArray[np.floating], silent: NDArray[np.bool_]) -> float:
    """Return the probability that a frame of speech is louder than one of silence.

    That is the area under the curve of the receiver operating characteristic (Hanley and McNeil,
    1982, Radiology 143), from ranks.

    Args:
        levels: (T,) of frames.
        silent: (T,) which are silence.

    Returns:
        0 to 1, ties count half; NaN with fewer than FEWEST frames of either.
    """
    silences = int(silent.sum())
    speech = len(silent) - silences
    if min(silences, speech) < FEWEST:
        return np.nan
    above = rankdata(levels)[~silent].sum() - speech * (speech + 1) / 2
    return float(above / (speech * silences))
