"""Cut a recording of any length into blocks of some seconds, at its quietest moments.

A block takes the place that an utterance has in training: it is normalized by itself, no window
reaches beyond it, and it is smoothed alone. So an hour needs as much memory as a minute, and a
speaker who joins late is normalized by his own frames. T frames, C bands, S samples.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from phonemes.features.log_mel import FeatureParams, log_mel, samples_of
from phonemes.storage.layout import Frames

SHORTEST, LONGEST = 2.0, 8.0  # s of a block that is cut off; utterances of training are as long
REST = 1.0  # s that are left at least after a cut
SMOOTHED = 0.2  # s over which the level is averaged, so that no stop's closure is a pause


def framed(chunks: Iterable[NDArray[np.float32]], features: FeatureParams) -> Iterator[Frames]:
    """Yield the log-mel frames of samples that arrive in pieces, as `log_mel` of all would be.

    Args:
        chunks: pieces of any size, (S,) each, at features.sample_rate.
        features: of the frames.

    Yields:
        Runs of consecutive frames, (T, C).
    """
    width, stride = (samples_of(ms, features) for ms in (features.frame_width, features.stride))
    held = np.zeros(0, np.float32)
    for chunk in chunks:
        held = np.concatenate([held, chunk])
        if len(held) >= width:
            frames = log_mel(held, features)
            yield frames
            held = held[len(frames) * stride :]


def blocks(parts: Iterable[Frames], stride: float) -> Iterator[Frames]:
    """Yield the frames of a recording in blocks, (T, C) each, all frames in the end.

    Args:
        parts: runs of consecutive frames.
        stride: s from one frame to the next.
    """
    shortest, longest, rest = (round(each / stride) for each in (SHORTEST, LONGEST, REST))
    around = max(1, round(SMOOTHED / stride))
    held: list[Frames] = []
    for part in parts:
        held.append(part)
        while sum(map(len, held)) >= longest + rest:
            frames = np.concatenate(held)
            level = np.convolve(frames[:longest].mean(1), np.full(around, 1 / around), "same")
            cut = shortest + int(level[shortest:].argmin())
            yield frames[:cut]
            held = [frames[cut:]]
    if held:
        yield np.concatenate(held)
