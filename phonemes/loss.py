"""What training minimizes: cross-entropy with the labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from phonemes.params import Train


def class_weights(labels: Tensor, classes: int, scheme: str) -> Tensor | None:
    """Return a weight for each class, (P,), whose mean over the frames is 1; None for "none".

    Args:
        labels: (N,) int64 of train.
        classes: P.
        scheme: none, balanced or sqrt.

    balanced: inverse to the class's share of the frames; sqrt: the square root of that.
    A class without frames gets 0: it never occurs.
    """
    if scheme == "none":
        return None
    counts = torch.bincount(labels, minlength=classes)
    power = -1.0 if scheme == "balanced" else -0.5
    weights = torch.where(counts > 0, counts.clamp(min=1).double() ** power, 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).float()


def _cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return what torch's function of that name does.

    Until torch 2.13 it waited for the device where weighted labels are smoothed, and a step
    that waits cannot become a CUDA graph.
    """
    if weights is None or not smoothing:
        return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing)
    shares = logits.log_softmax(1)
    even = -(shares @ weights).sum() / (len(weights) * weights[labels].sum())
    return (1 - smoothing) * F.nll_loss(shares, labels, weights) + smoothing * even


def training_loss(logits: Tensor, labels: Tensor, params: Train, weights: Tensor | None) -> Tensor:
    """Return the mean loss of a batch, a scalar.

    Args:
        logits: (B, D, P) of the labels of D = 2n + 1 frames.
        labels: (B, D) int64.
        params: the share of all classes in each target, `label_smoothing`.
        weights: (P,) of the classes, or None.
    """
    return _cross_entropy(logits.flatten(0, 1), labels.flatten(), weights, params.label_smoothing)
