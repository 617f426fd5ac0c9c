"""The scores of frames in one Triton kernel, for NVIDIA GPUs."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from phonemes.inference.outcomes import FrameScores

TILE = 16  # rows


@triton.jit
def is_target(label, there, column):
    """Return which columns (C,) are the labels of rows, (R,) pointers to them: (R, C)."""
    return column == tl.load(label, mask=there, other=0)[:, None]


@triton.jit
def rows_of_logits(z, bias, row, rows, classes, padded, C: tl.constexpr):
    """Return logits (R, C), -inf beyond the classes, softmax, log of its sum, likeliest class."""
    column = tl.arange(0, C)
    inside = column < classes
    there = (row < rows)[:, None] & inside
    value = tl.load(z + row[:, None] * padded + column, mask=there, other=0.0).to(tl.float32)
    value = tl.where(inside, value + tl.load(bias + column, mask=inside, other=0.0), float("-inf"))
    highest = tl.max(value, 1)[:, None]
    power = tl.exp(value - highest)
    total = tl.sum(power, 1)[:, None]
    chosen = tl.min(tl.where(value == highest, column, C), 1)  # the first of the highest
    return value, power * (1 / total), highest + tl.log(total), chosen


@triton.jit
def score(
    z, bias, targets, predicted, losses, top3, confidence, rows, classes,
    PADDED: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Store each row's likeliest class and its posterior, the loss, and if the label is near."""
    row = tl.program_id(0) * R + tl.arange(0, R)
    value, share, log_total, chosen = rows_of_logits(z, bias, row, rows, classes, PADDED, C)
    target = is_target(targets + row, row < rows, tl.arange(0, C))
    own = tl.sum(tl.where(target, value, 0.0), 1)[:, None]
    likelier = tl.sum(tl.where(value > own, 1, 0), 1)
    tl.store(predicted + row, tl.minimum(chosen, classes - 1), mask=row < rows)
    tl.store(losses + row, tl.sum(log_total - own, 1), mask=row < rows)
    tl.store(top3 + row, likelier < 3, mask=row < rows)
    tl.store(confidence + row, tl.max(share, 1), mask=row < rows)


def score_frames(logits: Tensor, labels: Tensor) -> FrameScores:
    """Return what `outcomes.score_frames` does."""
    rows, classes = logits.shape
    scores = FrameScores(
        torch.empty_like(labels),
        torch.empty(rows, device=logits.device),
        torch.empty(rows, dtype=torch.bool, device=logits.device),
        torch.empty(rows, device=logits.device),
    )
    bias = torch.zeros(classes, device=logits.device)
    score[(triton.cdiv(rows, TILE),)](
        logits, bias, labels, *scores, rows, classes, logits.stride(0), TILE,
        triton.next_power_of_2(classes),
    )  # fmt: skip
    return scores
