"""The labels that a window predicts: of its middle frame, and of frames around it."""

import numpy as np

from phonemes.context import utterance_lengths
from phonemes.storage.layout import Labels, Starts
from phonemes.storage.parts import parts


def targets(labels: Labels, starts: Starts, context: int) -> Labels:
    """Return the targets of every window: the labels of frames t - n to t + n, (N, 2n + 1).

    Beyond an utterance its first or last frame's label is repeated. They are bytes where all
    labels are below 256: there are many of them.

    Args:
        labels: (N,) of all utterances, end to end.
        starts: (N,) from `context.window_starts`: where they jump, an utterance begins.
        context: n, frames on each side.
    """
    lengths, offsets = utterance_lengths(starts), np.arange(-context, context + 1)
    kind = np.uint8 if labels.max() < 256 else labels.dtype
    stacked = np.empty((len(labels), len(offsets)), kind)
    for utterances, own in parts(lengths):
        inside = lengths[utterances]
        ends = inside.cumsum()
        first, last = np.repeat(ends - inside, inside), np.repeat(ends - 1, inside)
        frame, given = np.arange(len(first)), labels[own]
        for place, offset in enumerate(offsets):
            stacked[own, place] = given[np.clip(frame + offset, first, last)]
    return stacked
