"""Average the predictions that overlapping windows make of a frame.

A network that predicts the labels of the n frames before and after the middle of its
window too learns more of what is in it (Caruana, 1997, "Multitask learning"). Every frame
then has 2n + 1 predictions, each from another window: the mean of their log posteriors is
better than its own alone (cf. Jaitly, Vanhoucke and Hinton, 2014, "Autoregressive product
of multi-frame predictions can improve the accuracy of hybrid models").

Prediction number n + d of a window is that of the frame d frames after its middle.
"""

from torch import Tensor


def average_overlapping(log_posteriors: Tensor, starts: Tensor) -> Tensor:
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
