"""The loss of a batch and its gradient, in one kernel and another that adds up its parts."""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from phonemes.inference.outcomes_triton import is_target, rows_of_logits

PARTS = 128  # programs that share the rows of one label
TILE = 16  # rows
BLOCK = 1024  # parts of the loss that are added up at once


@triton.jit(do_not_specialize=["count"])
def loss_kernel(
    z, bias, targets, sums, rows, classes, smoothing, eighths, count,
    SEVERAL: tl.constexpr, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Put the gradient of the mean cross-entropy in the place of the logits; sum loss and hits.

    A row has the logits of `count` labels, one after the other; the one in the middle counts
    as right or not. Beyond them the logits are 0, and so is their gradient. A program goes
    through the logits of one label, in a part of the rows.
    """
    column = tl.arange(0, C)
    inside = column < classes
    losses = tl.zeros((R, C), tl.float32)
    rights = tl.zeros((R, C), tl.float32)
    gradients = tl.zeros((R, C), tl.float32)
    padded = eighths * 8  # so that the compiler knows a divisor
    of_mean = 1 / (rows * count).to(tl.float32)  # divided once, not for each logit
    each, part, parts = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    first = 0  # known to the compiler where there is one, so that it loads 16 bytes at a time
    if SEVERAL:
        first = each * classes
    for step in range(0, PART, R):
        row = part * PART + step + tl.arange(0, R)
        value, share, log_total, chosen = rows_of_logits(
            z + first, bias + first, row, rows, classes, padded, C
        )
        there = (row < rows)[:, None] & inside
        label = targets + row  # known to be next to each other where there is one
        if SEVERAL:
            label = targets + each + row * count
        target = is_target(label, row < rows, column)
        wanted = tl.where(target, 1 - smoothing, 0.0) + smoothing / classes
        gradient = tl.where(there, (share - wanted) * of_mean, 0.0)
        tl.store(z + first + row[:, None] * padded + column, gradient, mask=there)
        gradients += gradient
        losses += wanted * tl.where(there, log_total - value, 0.0)
        hit = there & target & (chosen[:, None] == column)
        rights += tl.where(hit, 1.0, 0.0)
    here = each * parts + part
    tl.store(sums + here * C + column, tl.sum(gradients, 0))
    scores = sums + count * parts * C
    tl.store(scores + here, tl.sum(tl.sum(losses, 1), 0) / count)
    if each == count // 2:
        tl.store(scores + count * parts + part, tl.sum(tl.sum(rights, 1), 0))


@triton.jit(do_not_specialize=["count"])
def finish_kernel(
    sums, dbias, totals, rates, cursor, steps, scalars, classes, beta1, beta2, count,
    KIND: tl.constexpr, PARTS: tl.constexpr, C: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add up the parts of the loss, and get the scalars of this optimizer step ready.

    A program adds up the gradient of the biases of one label; the first one does the rest.
    """
    column, part = tl.arange(0, C), tl.arange(0, PARTS)
    each = tl.program_id(0)
    summed = tl.sum(tl.load(sums + (each * PARTS + part)[:, None] * C + column), 0)
    tl.store(dbias + each * classes + column, summed, mask=column < classes)
    if each == 0:
        scores = sums + count * PARTS * C
        losses = tl.zeros((BLOCK,), tl.float32)
        for begin in range(0, count * PARTS, BLOCK):
            place = begin + tl.arange(0, BLOCK)
            losses += tl.load(scores + place, mask=place < count * PARTS, other=0.0)
        loss = tl.sum(losses, 0)
        right = tl.sum(tl.load(scores + count * PARTS + part), 0)
        tl.store(totals, tl.load(totals) + loss)
        tl.store(totals + 1, tl.load(totals + 1) + right)
        tl.store(totals + 2, tl.load(totals + 2) + tl.where(tl.abs(loss) < float("inf"), 1.0, 0.0))
        now = tl.load(cursor)
        step = tl.load(steps)
        tl.store(scalars, tl.load(rates + now))
        if KIND != "sgd":
            tl.store(scalars + 1, 1 - tl.exp(step * tl.log(beta1)))
            tl.store(scalars + 2, 1 - tl.exp(step * tl.log(beta2)))
        tl.store(cursor, now + 1)


class Output(NamedTuple):
    """The network's last layer."""

    logits: Tensor  # (B, D P) bfloat16 and padding, replaced by their gradient
    bias: Tensor  # (D P,)
    bias_gradient: Tensor  # (D P,)
    targets: Tensor  # (B, D) int64
    sums: Tensor  # room for the parts of sums, as `room` has it

    @property
    def classes(self) -> int:
        """Return P."""
        return len(self.bias) // self.targets.shape[1]


def _columns(classes: int) -> int:
    return max(8, triton.next_power_of_2(classes))


def room(classes: int, targets: int, device: torch.device) -> Tensor:
    """Return room for the parts of the sums of a loss."""
    gradients, losses, rights = PARTS * targets * _columns(classes), PARTS * targets, PARTS
    return torch.zeros(gradients + losses + rights, device=device)


def loss(
    output: Output,
    smoothing: float,
    cursor: Tensor,
    rates: Tensor,
    totals: Tensor,
    steps: Tensor,
    scalars: Tensor,
    betas: tuple[float, float],
    optimizer: str,
) -> None:
    """Replace the logits by the gradient of the mean loss, and get the optimizer's scalars ready.

    Args:
        output: of the network.
        smoothing: share of a target that goes to all classes.
        cursor: (1,) int64, the step of the epoch; raised by one.
        rates: (S,) learning rate of each step.
        totals: (3,) loss, correct frames and steps with a finite loss; added to.
        steps: () float32, of all epochs.
        scalars: (4,) learning rate and the optimizer's bias corrections, to be filled.
        betas: of the optimizer.
        optimizer: sgd, adam or adamw.
    """
    z, targets = output.logits, output.targets.shape[1]
    rows, columns = len(z), _columns(output.classes)
    part = triton.cdiv(rows, PARTS)
    tile = min(TILE, triton.next_power_of_2(part))
    loss_kernel[(targets, PARTS)](
        z, output.bias, output.targets, output.sums, rows, output.classes, smoothing,
        z.shape[1] // 8, targets, targets > 1, triton.cdiv(part, tile) * tile, tile, columns,
    )  # fmt: skip
    finish_kernel[(targets,)](
        output.sums, output.bias_gradient, totals, rates, cursor, steps, scalars, output.classes,
        *betas, targets, optimizer, PARTS, columns, BLOCK, num_warps=8,
    )  # fmt: skip
