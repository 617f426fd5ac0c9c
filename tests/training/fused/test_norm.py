"""The kernels between two products do what torch's layers do, forward and backward."""

import copy

import pytest
import torch
from torch import nn
from training.fused.interpreted import DEVICE, relative

from phonemes.model.architecture import ACTIVATIONS
from phonemes.training.fused.norm import NormalizedBlock
from phonemes.training.fused.tiles import Tile, Tiles

pytestmark = [
    pytest.mark.heavy,
    # exp(-x) is infinity, its sigmoid 0: in rows beyond the batch, whose values nobody reads
    pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"),
]

# of 22 rows, the last of four parts has none; parts of sums are two tiles, those of backward too
FINE = Tiles(4, Tile(4, 8, 1, 0), Tile(4, 8, 1, 1), Tile(4, 8, 1, 0), Tile(4, 8, 1, 2))
COARSE = Tiles(2, Tile(8, 16, 1, 0), Tile(8, 16, 1, 1), Tile(8, 16, 1, 0), Tile(8, 16, 1, 2))
SINGLE = Tiles(1, *[Tile(64, 32, 1, 0)] * 4)  # one program for all


class Kernels:
    """Batch normalization, activation and dropout by kernels, in float32."""

    def __init__(self, h, norm, kind, dropout=0.0, step=0, salt=0, tiles=COARSE):
        self.h, self.tiles = h.clone(), tiles
        columns = h.shape[1]
        moments = torch.full((2, columns), torch.nan, device=DEVICE)
        self.block = NormalizedBlock(norm, moments, kind, dropout, salt)
        self.sums = torch.full((tiles.parts, 2, columns), torch.nan, device=DEVICE)
        self.steps = torch.tensor(float(step), device=DEVICE)

    def forward(self):
        y = torch.full_like(self.h, torch.nan)
        self.block.forward(self.h, y, self.sums, self.steps, self.tiles)
        return y

    def backward(self, dy, skipped=None):
        """Return the gradients of the input, of gamma and of beta."""
        gradients = tuple(torch.full((2, self.h.shape[1]), torch.nan, device=DEVICE))
        self.block.backward(dy, self.h, skipped, self.sums, gradients, self.steps, self.tiles)
        return self.h, *gradients


def product_and_norm(rows, columns):
    """Return what may enter a block, far from zero, and a normalization that has seen some."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(columns)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 1.5)
    return (torch.randn(rows, columns) * 2 + 30).to(DEVICE), norm.to(DEVICE)


def dropped(dropout=0.5, step=0, salt=0, rows=64, columns=32):
    """Return which values (rows, columns) a block drops."""
    h, norm = product_and_norm(rows, columns)
    with torch.no_grad():
        return Kernels(h, norm, "tanh", dropout, step, salt, SINGLE).forward() == 0


@pytest.mark.parametrize(
    ("kind", "rows", "tiles"),
    [("tanh", 22, FINE), ("gelu", 2, COARSE), ("relu", 16, COARSE)],
)
def test_a_block_and_its_gradients_are_those_of_torch(kind, rows, tiles):
    h, norm = product_and_norm(rows, 11)
    dy = torch.randn_like(h)
    reference, leaf = copy.deepcopy(norm), h.clone().requires_grad_()
    expected = ACTIVATIONS[kind]()(reference(leaf))
    expected.backward(dy)
    # a pair of rows differs by so little against its mean that torch itself is less exact
    limit = 1e-5 if rows > 2 else 1e-3
    kernels = Kernels(h, norm, kind, tiles=tiles)
    with torch.no_grad():
        assert relative(kernels.forward(), expected) < 1e-5
        assert relative(norm.running_mean, reference.running_mean) < 1e-5
        assert relative(norm.running_var, reference.running_var) < 1e-5
        dh, dgamma, dbeta = kernels.backward(dy)
    assert relative(dgamma, reference.weight.grad) < 1e-5
    assert relative(dbeta, reference.bias.grad) < 1e-5
    assert (dh - leaf.grad).norm() < limit * max(leaf.grad.norm(), dy.norm() / 10)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_what_is_not_dropped_is_scaled_up_and_the_gradient_goes_only_through_that(kind):
    h, norm = product_and_norm(11, 11)
    reference, leaf = copy.deepcopy(norm), h.clone().requires_grad_()
    mask = dropped(0.4, 3, 5, 11, 11)
    expected = ACTIVATIONS[kind]()(reference(leaf)) * ~mask / 0.6
    dy = torch.randn_like(h)
    expected.backward(dy)
    with torch.no_grad():
        kernels = Kernels(h, norm, kind, 0.4, 3, 5)
        assert relative(kernels.forward(), expected) < 1e-5
        dh, dgamma, dbeta = kernels.backward(dy)
    assert relative(dgamma, reference.weight.grad) < 1e-5
    assert relative(dbeta, reference.bias.grad) < 1e-5
    assert relative(dh, leaf.grad) < 1e-5


def test_what_is_dropped_has_no_gradient():
    h, norm = product_and_norm(11, 11)
    mask = dropped(0.4, 3, 5, 11, 11)
    with torch.no_grad():
        kernels = Kernels(h, norm, "gelu", 0.4, 3, 5)
        kernels.forward()
        gradients = kernels.backward(torch.where(mask, torch.randn_like(h), 0.0))
    assert not any(gradient.any() for gradient in gradients)


def test_a_residual_connection_adds_the_gradient_of_the_later_product():
    h, norm = product_and_norm(22, 11)
    dy, skipped = torch.randn_like(h), torch.randn_like(h)
    alone, added = (Kernels(h, norm, "relu") for _ in range(2))
    with torch.no_grad():
        for kernels in (alone, added):
            kernels.forward()
        dh, *others = alone.backward(dy)
        with_skip, *same = added.backward(dy, skipped)
    torch.testing.assert_close(with_skip, dh + skipped)
    assert all(torch.equal(a, b) for a, b in zip(others, same, strict=True))


def test_columns_far_from_zero_lose_no_digits():
    h, norm = product_and_norm(22, 5)
    h = h + 1000
    exact = h.double()
    kernels = Kernels(h, norm, "relu")
    with torch.no_grad():
        kernels.forward()
    inverse = kernels.block.moments[1].double()
    assert relative(inverse, (exact.var(0, correction=0) + 1e-5).rsqrt()) < 1e-5


@pytest.mark.parametrize("dropout", [0.05, 0.5, 0.95])
def test_the_share_that_is_dropped_is_the_one_asked_for(dropout):
    masks = torch.stack([dropped(dropout, step) for step in range(4)]).double()
    deviation = (dropout * (1 - dropout)) ** 0.5
    assert abs(masks.mean() - dropout) < 4 * deviation / masks.numel() ** 0.5
    for axes in [(0, 1), (0, 2)]:  # no column and no row is favoured
        means = masks.mean(axes)
        assert (means - dropout).abs().max() < 5 * deviation / (masks.numel() / len(means)) ** 0.5


def test_the_same_step_and_salt_drop_the_same():
    assert torch.equal(dropped(step=3, salt=7), dropped(step=3, salt=7))
    assert not torch.equal(dropped(step=3, salt=7), dropped(step=4, salt=7))
    assert not torch.equal(dropped(step=3, salt=7), dropped(step=3, salt=8))
