"""Flat parameters move as torch's optimizers move a network's."""

import copy

import pytest
import torch
from helpers import changed
from torch import nn
from training.fused.interpreted import DEVICE, relative

from phonemes.training.fused.optimizer import FlatParameters
from phonemes.training.optimizer import Optimizer

pytestmark = pytest.mark.heavy

RATES = (0.01, 0.03, 0.02)
BETAS = (0.9, 0.999)


class Bench:
    """A small network, its parameters laid out flat, and gradients for three steps."""

    def __init__(self, train):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(9, 11), nn.Tanh(), nn.Linear(11, 5)).to(DEVICE)
        self.start = copy.deepcopy(self.network)
        self.optimizer = Optimizer(self.network, train)
        first, last = self.network[0].weight, self.network[2].weight
        self.flat = FlatParameters(self.network, self.optimizer, {first: (11, 9), last: (8, 11)})
        self.clip_norm = train.clip_norm
        self.gradients = [  # of bfloat16, in which the products give them
            [torch.randn_like(weight).bfloat16().float() for weight in self.network.parameters()]
            for _ in RATES
        ]

    def update(self):
        """Take three steps, each in two ranges."""
        for number, (rate, gradients) in enumerate(zip(RATES, self.gradients, strict=True), 1):
            for weight, gradient in zip(self.network.parameters(), gradients, strict=True):
                self.flat.gradient(weight)[: weight.numel()] = gradient.flatten()
            self.flat.scalars[0] = rate
            for place, beta in enumerate(BETAS, 1):
                self.flat.scalars[place] = 1 - beta**number
            if self.clip_norm:
                self.flat.clip(self.clip_norm)
            self.flat.update(0, 99)
            self.flat.update(99, len(self.flat.weights))


@pytest.mark.parametrize(
    ("optimizer", "choices"),
    [
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.0, "weight_decay": 0.3}),
        ("sgd", {"momentum": 0.9, "clip_norm": 0.3}),
        ("sgd", {"momentum": 0.9, "clip_norm": 1000.0}),  # larger than the gradient: no effect
        ("adam", {"weight_decay": 0.3}),
        ("adamw", {"weight_decay": 3.0}),
        ("adamw", {"weight_decay": 0.3, "clip_norm": 0.3}),
    ],
)
def test_weights_move_as_torch_moves_them(tiny, optimizer, choices):
    train = changed(tiny.train, optimizer=optimizer, **choices)
    bench = Bench(train)
    expected = copy.deepcopy(bench.start)
    weights = list(expected.parameters())
    torchs = {
        "sgd": lambda: torch.optim.SGD(
            weights, momentum=train.momentum, weight_decay=train.weight_decay
        ),
        "adam": lambda: torch.optim.Adam(weights, weight_decay=train.weight_decay),
        "adamw": lambda: torch.optim.AdamW(weights, weight_decay=train.weight_decay),
    }[optimizer]()
    for rate, gradients in zip(RATES, bench.gradients, strict=True):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()
        if train.clip_norm:
            nn.utils.clip_grad_norm_(weights, train.clip_norm)
        torchs.param_groups[0]["lr"] = rate
        torchs.step()
    bench.update()
    for actual, wanted, start in zip(
        bench.network.parameters(), weights, bench.start.parameters(), strict=True
    ):
        assert relative(actual - start, wanted - start) < 1e-4


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_copies_follow_and_padding_stays_zero(tiny, optimizer):
    bench = Bench(changed(tiny.train, optimizer=optimizer, momentum=0.9, weight_decay=0.1))
    bench.update()
    flat = bench.flat
    # the interpreter does not round as torch does
    torch.testing.assert_close(flat.copies.float(), flat.weights, rtol=2**-7, atol=0)
    last = flat.products[1].float()  # of 5 rows and 3 of padding
    torch.testing.assert_close(last[:5], bench.network[2].weight.detach(), rtol=2**-7, atol=0)
    assert not last[5:].any()
    used = sum(weight.numel() for weight in bench.network.parameters())
    assert flat.weights.count_nonzero() == used


def test_copies_are_refreshed_from_weights_set_by_others(tiny):
    bench = Bench(tiny.train)
    with torch.no_grad():
        bench.network[0].weight.fill_(0.3)
    bench.flat.refresh()
    assert torch.equal(bench.flat.products[0], torch.full((11, 9), 0.3, device=DEVICE).bfloat16())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_parameters_and_the_optimizers_state_are_views_of_the_flat_arrays(tiny, optimizer):
    bench = Bench(changed(tiny.train, optimizer=optimizer, momentum=0.9))
    names = {"sgd": ["momentum_buffer"], "adamw": ["exp_avg", "exp_avg_sq"]}[optimizer]
    storage = bench.flat.weights.untyped_storage().data_ptr()
    for weight, start in zip(bench.network.parameters(), bench.start.parameters(), strict=True):
        assert torch.equal(weight, start)
        assert weight.untyped_storage().data_ptr() == storage
    bench.update()
    for weight, start in zip(bench.network.parameters(), bench.start.parameters(), strict=True):
        assert not torch.equal(weight, start)
        for name in names:
            values = bench.optimizer.state[weight][name]
            assert values.shape == weight.shape
            assert values.any()
