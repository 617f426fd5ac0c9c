"""What is between two products without normalization: bias, activation and dropout.

Shapes and sums over rows are as in `norm.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from phonemes.training.fused.activation import activate, columns_of_program, store_part
from phonemes.training.fused.random import drop, step_key
from phonemes.training.fused.tiles import Tiles, grid


@triton.jit(do_not_specialize=["salt"])
def plain_forward_kernel(
    h, y, bias, steps, salt, dropout, rows, columns,
    KIND: tl.constexpr, DROP: tl.constexpr, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add a layer's bias, activate the sum and drop a share."""
    column, inside = columns_of_program(columns, C)
    offset = tl.load(bias + column, mask=inside, other=0.0)
    key = step_key(steps, salt)
    for step in range(0, PART, R):
        row = tl.program_id(1) * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        value = tl.load(h + index, mask=there, other=0.0).to(tl.float32)
        value, _slope = activate(value + offset, KIND)
        if DROP:
            value = drop(value, key, index, dropout)
        tl.store(y + index, value, mask=there)


@triton.jit(do_not_specialize=["salt"])
def plain_backward_kernel(
    dy, h, sums, bias, steps, salt, dropout, rows, columns,
    KIND: tl.constexpr, DROP: tl.constexpr, PART: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Put the gradient of a layer's product in the place of the product, `h`, and sum it."""
    column, inside = columns_of_program(columns, C)
    offset = tl.load(bias + column, mask=inside, other=0.0)
    key = step_key(steps, salt)
    total = tl.zeros((R, C), tl.float32)
    for step in range(0, PART, R):
        row = tl.program_id(1) * PART + step + tl.arange(0, R)
        there = (row < rows)[:, None] & inside
        index = row[:, None] * columns + column
        value = tl.load(h + index, mask=there, other=0.0).to(tl.float32)
        gradient = tl.load(dy + index, mask=there, other=0.0).to(tl.float32)
        if DROP:
            gradient = drop(gradient, key, index, dropout)
        _active, slope = activate(value + offset, KIND)
        gradient *= slope
        total += gradient
        tl.store(h + index, gradient, mask=there)
    store_part(sums, total, total, column, inside, columns)


class PlainBlock(NamedTuple):
    """What is between a product and the next, without normalization; see `blocks.Block`."""

    bias: Tensor  # (H,) of the product's layer
    activation: str
    dropout: float
    salt: int  # seed of the dropout's masks

    @property
    def parameters(self) -> tuple[Tensor]:
        """Return the bias."""
        return (self.bias,)

    def forward(self, h: Tensor, y: Tensor, sums: Tensor, steps: Tensor, tiles: Tiles) -> None:
        """Fill `y`; see `blocks.Block`."""
        rows, columns = h.shape
        programs, constants = grid(tiles.forward, tiles.parts, rows, columns)
        plain_forward_kernel[programs](
            h, y, self.bias, steps, self.salt, self.dropout, rows, columns,
            KIND=self.activation, DROP=self.dropout > 0, **constants,
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
        assert skipped is None
        rows, columns = h.shape
        programs, constants = grid(tiles.gradient_sums, tiles.parts, rows, columns)
        plain_backward_kernel[programs](
            dy, h, sums, self.bias, steps, self.salt, self.dropout, rows, columns,
            KIND=self.activation, DROP=self.dropout > 0, **constants,
        )  # fmt: skip
        parts = sums.flatten()[: 2 * tiles.parts * columns].view(tiles.parts, 2, columns)
        gradients[0][:columns].copy_(parts[:, 0].sum(0))
