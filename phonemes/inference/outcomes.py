"""What a network's logits come to for each frame: label, loss, and whether it is near."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class FrameScores(NamedTuple):
    """What the network made of each frame of a split, on the device."""

    predicted: Tensor  # (N,) int64
    loss: Tensor  # (N,) float32, nats; of the predictions where there are no labels
    top3: Tensor  # (N,) bool: the label is among the three likeliest


def score_frames(logits: Tensor, labels: Tensor) -> FrameScores:
    """Return the scores of some frames with logits (B, P) and labels (B,)."""
    logits = logits.float()
    loss = F.cross_entropy(logits, labels, reduction="none")
    likelier = (logits > logits.gather(1, labels[:, None])).sum(1)
    return FrameScores(logits.argmax(1), loss, likelier < 3)
