"""What is between two products: batch normalization, activation and dropout, and their gradients.

Shapes: rows B of a batch, columns H of a layer; activations are (B, H) in bfloat16, sums
are float32. Sums over rows come in parts, added up in a fixed order by whoever needs
them, so the same input gives the same bytes.

Ioffe and Szegedy (2015), arXiv 1502.03167, have the gradient of batch normalization.
"""

from collections.abc import Sequence
from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor, nn

from phonemes.training.fused.activation import activate, columns_of_program, store_part
from phonemes.training.fused.random import drop, step_key
from phonemes.training.fused.tiles import Tiles, grid


@triton.jit
def affine(gamma, beta, mean, inverse, column, inside):
    """Return what a column is multiplied by to normalize it, and what is added then."""
    scale = tl.load(gamma + column, mask=inside, other=0.0) * inverse
    return scale, tl.load(beta + column, mask=inside, other=0.0) - mean * scale


@triton.jit
def sum_of_parts(sums, column, inside, columns, PARTS: tl.constexpr):
    """Return both sums of each column: over the parts of `sums`, (PARTS, 2, columns)."""
    part = sums + tl.arange(0, PARTS)[:, None] * 2 * columns + column
    first = tl.sum(tl.load(part, mask=inside, other=0.0), 0)
    second = tl.sum(tl.load(part + columns, mask=inside, other=0.0), 0)
    return first, second


@triton.jit
def moments_kernel(
    h, sums, rows, columns, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """Sum each column, and its squares, about its first value: one part for each program."""
    column, inside = columns_of_program(columns, C)
    pivot = tl.load(h + column, mask=inside, other=0.0).to(tl.float32)  # near the mean
    first = tl.zeros((R, C), tl.float32)
    second = tl.zeros((R, C), tl.float32)
    for offset in range(0, PART, R):
        row = tl.program_id(1) * PART + offset + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        value = tl.load(h + row[:, None] * columns + column, mask=there, other=0.0)
        value = tl.where(there, value.to(tl.float32) - pivot, 0.0)
        first += value
        second += value * value
    store_part(sums, first, second, column, inside, columns)


@triton.jit(do_not_specialize=["salt"])
def forward_kernel(
    h, y, sums, gamma, beta, running_mean, running_variance, moments, steps, salt,
    dropout, momentum, eps, rows, columns,
    KIND: tl.constexpr, DROP: tl.constexpr, PARTS: tl.constexpr,
    PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Normalize a layer's output, activate it and drop a share; move the running statistics."""
    column, inside = columns_of_program(columns, C)
    first, second = sum_of_parts(sums, column, inside, columns, PARTS)
    shift = first / rows
    variance = tl.maximum(second / rows - shift * shift, 0.0)
    mean = shift + tl.load(h + column, mask=inside, other=0.0).to(tl.float32)
    inverse = 1 / tl.sqrt(variance + eps)
    if tl.program_id(1) == 0:
        tl.store(moments + column, mean, mask=inside)
        tl.store(moments + columns + column, inverse, mask=inside)
        running = tl.load(running_mean + column, mask=inside)
        tl.store(running_mean + column, running + momentum * (mean - running), mask=inside)
        running = tl.load(running_variance + column, mask=inside)
        unbiased = variance * (rows / (rows - 1.0))
        tl.store(running_variance + column, running + momentum * (unbiased - running), mask=inside)
    scale, offset = affine(gamma, beta, mean, inverse, column, inside)
    key = step_key(steps, salt)
    # from the last rows to the first: the last ones are still in the cache
    last = tl.num_programs(1) - 1 - tl.program_id(1)
    for step in range(0, PART, R):
        row = last * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        value = tl.load(h + index, mask=there, other=0.0).to(tl.float32)
        value, _slope = activate(value * scale + offset, KIND)
        if DROP:
            value = drop(value, key, index, dropout)
        tl.store(y + index, value, mask=there)


@triton.jit
def through_activation(
    dy, h, index, there, mean, inverse, scale, offset, key, dropout,
    KIND: tl.constexpr, DROP: tl.constexpr,
):  # fmt: skip
    """Return the gradient of what enters the activation, and the normalized values."""
    value = tl.load(h + index, mask=there, other=0.0).to(tl.float32)
    gradient = tl.load(dy + index, mask=there, other=0.0).to(tl.float32)
    if DROP:
        gradient = drop(gradient, key, index, dropout)
    _active, slope = activate(value * scale + offset, KIND)
    return gradient * slope, (value - mean) * inverse


@triton.jit(do_not_specialize=["salt"])
def gradient_sums_kernel(
    dy, h, sums, gamma, beta, moments, steps, salt, dropout, rows, columns,
    KIND: tl.constexpr, DROP: tl.constexpr, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Sum, for each column, the gradient at the activation, and its product with the input."""
    column, inside = columns_of_program(columns, C)
    mean = tl.load(moments + column, mask=inside, other=0.0)
    inverse = tl.load(moments + columns + column, mask=inside, other=0.0)
    scale, offset = affine(gamma, beta, mean, inverse, column, inside)
    key = step_key(steps, salt)
    first = tl.zeros((R, C), tl.float32)
    second = tl.zeros((R, C), tl.float32)
    for step in range(0, PART, R):
        row = tl.program_id(1) * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        gradient, normal = through_activation(
            dy, h, index, there, mean, inverse, scale, offset, key, dropout, KIND, DROP
        )
        first += gradient
        second += gradient * normal
    store_part(sums, first, second, column, inside, columns)


@triton.jit(do_not_specialize=["salt"])
def backward_kernel(
    dy, h, later, sums, gamma, beta, dgamma, dbeta, moments, steps, salt, dropout, rows, columns,
    SKIPS: tl.constexpr, KIND: tl.constexpr, DROP: tl.constexpr, PARTS: tl.constexpr,
    PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Put the gradient of a layer's product in the place of the product, `h`.

    A product that skips has the gradient of the `later` one that it was added to as well.
    """
    column, inside = columns_of_program(columns, C)
    mean = tl.load(moments + column, mask=inside, other=0.0)
    inverse = tl.load(moments + columns + column, mask=inside, other=0.0)
    scale, offset = affine(gamma, beta, mean, inverse, column, inside)
    key = step_key(steps, salt)
    first, second = sum_of_parts(sums, column, inside, columns, PARTS)
    if tl.program_id(1) == 0:
        tl.store(dbeta + column, first, mask=inside)
        tl.store(dgamma + column, second, mask=inside)
    first, second = first / rows, second / rows
    last = tl.num_programs(1) - 1 - tl.program_id(1)
    for step in range(0, PART, R):
        row = last * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        gradient, normal = through_activation(
            dy, h, index, there, mean, inverse, scale, offset, key, dropout, KIND, DROP
        )
        gradient = scale * (gradient - first - normal * second)
        if SKIPS:
            gradient += tl.load(later + index, mask=there).to(tl.float32)
        tl.store(h + index, gradient, mask=there)


class NormalizedBlock(NamedTuple):
    """What is between a product and the next, with batch normalization; see `blocks.Block`."""

    norm: nn.BatchNorm1d
    moments: Tensor  # (2, H) float32, of the batch: mean and inverse of the standard deviation
    activation: str
    dropout: float
    salt: int  # seed of the dropout's masks

    @property
    def parameters(self) -> tuple[Tensor, Tensor]:
        """Return gamma and beta."""
        return self.norm.weight, self.norm.bias

    def forward(self, h: Tensor, y: Tensor, sums: Tensor, steps: Tensor, tiles: Tiles) -> None:
        """Fill `y`, and set the moments and the running statistics; see `blocks.Block`."""
        rows, columns = h.shape
        norm = self.norm
        programs, constants = grid(tiles.moments, tiles.parts, rows, columns)
        moments_kernel[programs](h, sums, rows, columns, **constants)
        programs, constants = grid(tiles.forward, tiles.parts, rows, columns)
        forward_kernel[programs](
            h, y, sums, norm.weight, norm.bias, norm.running_mean, norm.running_var, self.moments,
            steps, self.salt, self.dropout, norm.momentum, norm.eps, rows, columns,
            KIND=self.activation, DROP=self.dropout > 0, PARTS=tiles.parts, **constants,
        )  # fmt: skip

    def backward(
        self,
        dy: Tensor,
        h: Tensor,
        skipped: Tensor | None,
        sums: Tensor,
        gradients: Sequence[Tensor],
        steps: Tensor,
        tiles: Tiles,
    ) -> None:
        """Put the gradient of a product in the place of the product, `h`; see `blocks.Block`."""
        rows, columns = h.shape
        norm = self.norm
        common = self.moments, steps, self.salt, self.dropout
        programs, constants = grid(tiles.gradient_sums, tiles.parts, rows, columns)
        gradient_sums_kernel[programs](
            dy, h, sums, norm.weight, norm.bias, *common, rows, columns,
            KIND=self.activation, DROP=self.dropout > 0, **constants,
        )  # fmt: skip
        programs, constants = grid(tiles.backward, tiles.parts, rows, columns)
        backward_kernel[programs](
            dy, h, h if skipped is None else skipped, sums, norm.weight, norm.bias, *gradients,
            *common, rows, columns, SKIPS=skipped is not None,
            KIND=self.activation, DROP=self.dropout > 0, PARTS=tiles.parts, **constants,
        )  # fmt: skip
