"""The kernels between two products that are not normalized do what torch does, both ways."""

import pytest
import torch
from training.fused.interpreted import DEVICE, relative

from phonemes.model.architecture import ACTIVATIONS
from phonemes.training.fused.plain import PlainBlock
from phonemes.training.fused.tiles import Tile, Tiles

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"),
]

# of 22 rows, the last of four parts has none
TILES = Tiles(4, Tile(4, 8, 1, 0), Tile(4, 8, 1, 1), Tile(4, 8, 1, 0), Tile(4, 8, 1, 2))
ROWS, COLUMNS = 22, 11


class Kernels:
    """Bias, activation and dropout by kernels, in float32."""

    def __init__(self, h, bias, kind, dropout=0.0):
        self.h, self.block = h.clone(), PlainBlock(bias, kind, dropout, 5)
        self.sums = torch.full((TILES.parts, 2, COLUMNS + 3), torch.nan, device=DEVICE)
        self.steps = torch.tensor(3.0, device=DEVICE)

    def forward(self):
        y = torch.full_like(self.h, torch.nan)
        self.block.forward(self.h, y, self.sums, self.steps, TILES)
        return y

    def backward(self, dy):
        """Return the gradients of the product and of the bias, and what lies behind the latter."""
        flat = torch.full((COLUMNS + 2,), torch.nan, device=DEVICE)
        self.block.backward(dy, self.h, None, self.sums, [flat], self.steps, TILES)
        return self.h, flat[:COLUMNS], flat[COLUMNS:]


def given():
    """Return a product, a bias and the gradient of what the block makes."""
    torch.manual_seed(0)
    sizes = (ROWS, COLUMNS), (COLUMNS,), (ROWS, COLUMNS)
    return [torch.randn(size).to(DEVICE) for size in sizes]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_a_block_and_its_gradients_are_those_of_torch(kind, dropout):
    h, bias, dy = given()
    kernels = Kernels(h, bias, kind, dropout)
    kept = torch.ones_like(h, dtype=torch.bool)
    if dropout:  # relu drops some of its own
        kept = Kernels(torch.ones_like(h), bias * 0, "tanh", dropout).forward() != 0
        assert 0.4 < kept.double().mean() < 0.8
    leaf, weight = h.clone().requires_grad_(), bias.clone().requires_grad_()
    expected = ACTIVATIONS[kind]()(leaf + weight) * kept / (1 - dropout)
    expected.backward(dy)
    assert relative(kernels.forward(), expected.detach()) < 1e-5
    dh, dbias, behind = kernels.backward(dy)
    assert relative(dh, leaf.grad) < 1e-5
    assert relative(dbias, weight.grad) < 1e-5
    assert behind.isnan().all()
