"""Weights move as torch's own optimizers move them, and nothing large is imported for it."""

import sys

import params_rules
import pytest
import torch
from helpers import PARAMS, ROOT, changed, run
from torch import nn

from phonemes.training.optimizer import Optimizer

RULES = {
    "sgd": lambda weights, it: torch.optim.SGD(
        weights, torch.tensor(it.lr), it.momentum, weight_decay=it.weight_decay, fused=True
    ),
    "adam": lambda weights, it: torch.optim.Adam(
        weights, torch.tensor(it.lr), weight_decay=it.weight_decay, fused=True
    ),
    "adamw": lambda weights, it: torch.optim.AdamW(
        weights, torch.tensor(it.lr), weight_decay=it.weight_decay, fused=True
    ),
}


def test_every_optimizer_is_compared_with_torchs():
    assert tuple(RULES) == params_rules.RULES["train.optimizer"][1].words


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.9}, {"weight_decay": 0.3, "momentum": 0.5}])
@pytest.mark.parametrize("name", RULES)
def test_weights_move_as_with_torchs_class(tiny, name, changes):
    train = changed(tiny.train, optimizer=name, lr=0.03, **changes)
    torch.manual_seed(0)
    own, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(own.state_dict())
    optimizer, reference = Optimizer(own, train), RULES[name](theirs.parameters(), train)
    for rate in (0.03, 0.01, 0.1):
        x = torch.randn(7, 5)
        optimizer.rate.fill_(rate)
        reference.param_groups[0]["lr"].fill_(rate)
        for network, rule in ((own, optimizer), (theirs, reference)):
            network.zero_grad()
            network(x).square().sum().backward()
            rule.step()
    for weight, other in zip(own.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(weight, other)
        for key, value in optimizer.state[weight].items():
            assert torch.equal(value, reference.state[other][key])


@pytest.mark.parametrize("name", RULES)
def test_weights_without_a_gradient_stay(tiny, name):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = [weight.clone() for weight in network.parameters()]
    optimizer = Optimizer(network, changed(tiny.train, optimizer=name, weight_decay=0.1))
    network[0](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    moved = [
        not torch.equal(weight, old)
        for weight, old in zip(network.parameters(), before, strict=True)
    ]
    assert moved == [True, True, False, False]
    optimizer.clear()
    assert all(weight.grad is None for weight in network.parameters())


TRAINING = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy, torch
import stages.train
from phonemes.context import window_starts
from phonemes.params import load
from phonemes.inference.device import Compute
from phonemes.storage.layout import HostSplit
from phonemes.training.loop import epochs
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile
params = load(Path(sys.argv[1])).fit
frames = numpy.random.default_rng(0).normal(size=(70, 5)).astype(numpy.float32)
starts = window_starts(numpy.array([30, 40]), params.data.k, params.data.padding)
split = HostSplit(frames, starts, numpy.arange(70) % 3)
for optimizer in sys.argv[2:]:
    train = replace(params.train, optimizer=optimizer, epochs=1, clip_norm=1.0)
    compute = Compute(torch.device("cpu"), torch.float32)
    run = prepare(split, split, 3, compute, params._replace(train=train))
    profile(run)
    count = len(list(epochs(run, progress=False)))
    print(optimizer, count, [*{"torch._dynamo", "pandas"} & {*sys.modules}])
"""


@pytest.mark.heavy
def test_training_imports_neither_a_compiler_nor_pandas():
    printed = run(ROOT, sys.executable, "-c", TRAINING, str(PARAMS), *RULES).splitlines()
    assert [line for line in printed if not line.startswith("epoch ")] == [
        f"{name} 1 []" for name in RULES
    ]
