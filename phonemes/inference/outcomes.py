"""What a network's logits come to for each frame: label, confidence, loss, and how near it is."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class FrameScores(NamedTuple):
    """What the network made of each frame of a split, on the device."""

    predicted: Tensor  # (N,) int64
    loss: Tensor  # (N,) float32, nats; of the predictions where there are no labels
    top3: Tensor  # (N,) bool: the label is among the three likeliest
    confidence: Tensor  # (N,) float32, posterior of what was predicted


def score_frames(logits: Tensor, labels: Tensor) -> FrameScores:
    """Return the scores of some frames with logits (B, P) and labels (B,)."""
    logits = logits.float()
    log_posteriors = torch.log_softmax(logits, 1)
    loss = F.nll_loss(log_posteriors, labels, reduction="none")
    likelier = (logits > logits.gather(1, labels[:, None])).sum(1)
    confidence = log_posteriors.amax(1).exp()
    return FrameScores(logits.argmax(1), loss, likelier < 3, confidence)
