"""What training minimizes: cross-entropy with the labels."""

import torch
import torch.nn.functional as F
from torch import Tensor


def class_weights(labels: Tensor, classes: int, scheme: str) -> Tensor | None:
    """Return a weight for each class, (P,), whose mean over the frames is 1; None for "none".

    Args:
        labels: (N,) int64 of the training set.
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


def cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return the mean loss of a batch, a scalar.

    Like F.cross_entropy, but capturable in a CUDA graph: before torch 2.13, weights with label
    smoothing synchronise with the host.

    Args:
        logits: (B, D, P) of D targets a window.
        labels: (B, D) int64.
        weights: (P,) of the classes, or None.
        smoothing: share of each target that goes to all classes evenly.
    """
    logits, labels = logits.flatten(0, 1), labels.flatten()
    if weights is None or not smoothing:
        return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing)
    log_posteriors = logits.log_softmax(1)
    even = -(log_posteriors @ weights).sum() / (len(weights) * weights[labels].sum())
    return (1 - smoothing) * F.nll_loss(log_posteriors, labels, weights) + smoothing * even
