"""What is between two products of a fused step, by what a network is normalized with."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from phonemes.training.fused.tiles import Tiles


class Block(Protocol):
    """What is between a product and the next: perhaps normalization, activation and dropout."""

    @property
    def parameters(self) -> Sequence[Tensor]:
        """Return what is learnt there."""

    def forward(self, h: Tensor, y: Tensor, sums: Tensor, steps: Tensor, tiles: Tiles) -> None:
        """Fill `y`, the next product's input, from `h`, a product, both (B, H).

        Args:
            h: what enters.
            y: to be filled.
            sums: room for the parts of sums.
            steps: () float32, of all epochs.
            tiles: of the kernels.
        """

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
        """Put the gradient of a product in the place of the product, `h`.

        Args:
            dy: (B, H) gradient of what the block made.
            h: (B, H) the product.
            skipped: (B, H) gradient of the later product that `h` was added to, or None.
            sums: room for the parts of sums.
            gradients: of each of `parameters`, (H,) or longer, to be filled.
            steps: () float32, of all epochs.
            tiles: of the kernels.
        """
