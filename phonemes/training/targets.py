"""The labels that a window predicts: of its middle frame, and of frames around it."""

import numpy as np

from phonemes.context import utterance_lengths
from phonemes.storage.layout import Labels, Starts


def targets(labels: Labels, starts: Starts, context: int) -> Labels:
    """Return the targets of every window: the labels of frames t - n to t + n, (N, 2n + 1).

    Beyond an utterance its first or last frame's label is repeated.

    Args:
        labels: (N,) of all utterances, end to end.
        starts: (N,) from `context.window_starts`: where they jump, an utterance begins.
        context: n, frames on each side.
    """
    lengths = utterance_lengths(starts)
    ends = lengths.cumsum()
    first, last = np.repeat(ends - lengths, lengths), np.repeat(ends - 1, lengths)
    stacked = np.empty((len(labels), 2 * context + 1), labels.dtype)
    frame = np.arange(len(labels))
    for place, offset in enumerate(range(-context, context + 1)):
        stacked[:, place] = labels[np.clip(frame + offset, first, last)]
    return stacked
