"""Predict the labels of neighbouring frames too, and average what overlaps.

A network that also has to tell the labels of the n frames before and after the middle of
its window learns more of what is in it (Caruana, 1997, "Multitask learning"). Every frame
then has 2n + 1 predictions, each from another window: the mean of their log posteriors is
better than its own alone (cf. Jaitly, Vanhoucke and Hinton, 2014, "Autoregressive product
of multi-frame predictions can improve the accuracy of hybrid models").

Prediction number n + d of a window is that of the frame d frames after its middle.
"""

import numpy as np
from torch import Tensor

from phonemes.context import Starts, utterance_lengths
from phonemes.corpus import Labels


def labels_around(labels: Labels, starts: Starts, neighbours: int) -> Labels:
    """Return the labels of every frame and its neighbours, (N, 2n + 1) of the same type.

    Beyond an utterance its first or last frame's label stands in.

    Args:
        labels: (N,) of all utterances, end to end.
        starts: (N,) from `context.window_starts`: where they jump, an utterance begins.
        neighbours: n, frames on each side.
    """
    lengths = utterance_lengths(starts)
    ends = lengths.cumsum()
    first, last = np.repeat(ends - lengths, lengths), np.repeat(ends - 1, lengths)
    around = np.empty((len(labels), 2 * neighbours + 1), labels.dtype)
    frame = np.arange(len(labels))
    for place, offset in enumerate(range(-neighbours, neighbours + 1)):
        around[:, place] = labels[np.clip(frame + offset, first, last)]
    return around


def averaged(log_posteriors: Tensor, starts: Tensor) -> Tensor:
    """Return the mean of the predictions that each frame has, as log posteriors (M, P).

    Args:
        log_posteriors: (M, 2n + 1, P) of the windows of consecutive frames.
        starts: (M,) rows where the windows start; where they jump, an utterance begins.
    """
    count, predictions, _classes = log_posteriors.shape
    n = predictions // 2
    total = log_posteriors[:, n].clone()
    number = log_posteriors.new_ones((count, 1))
    for offset in range(1, min(n, count - 1) + 1):
        same = (starts[offset:] - starts[:-offset] == offset)[:, None]  # of one utterance
        total[offset:] += log_posteriors[:-offset, n + offset] * same
        total[:-offset] += log_posteriors[offset:, n - offset] * same
        number[offset:] += same
        number[:-offset] += same
    return (total / number).log_softmax(1)
