"""Weights move as torch's own optimizers move them, and nothing large is imported for it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from phonemes.optimizer import Optimizer

ROOT = Path(__file__).parent.parent
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


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.9}, {"weight_decay": 0.3, "momentum": 0.5}])
@pytest.mark.parametrize("name", RULES)
def test_weights_move_as_with_torchs_class(tiny, name, changes):
    params = replace(tiny, optimizer=name, lr=0.03, **changes)
    torch.manual_seed(0)
    own, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(own.state_dict())
    optimizer, reference = Optimizer(own, params), RULES[name](theirs.parameters(), params)
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
    optimizer = Optimizer(network, replace(tiny, optimizer=name, weight_decay=0.1))
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
import sys, numpy, torch
from dataclasses import replace
import stages.train
from phonemes import fitting
from phonemes.context import window_starts
from phonemes.params import load
data = load().data
train = replace(load().train, optimizer="{}", hidden=(8, 8), epochs=1, batch_size=64)
lengths = numpy.array([30, 40])
frames = numpy.random.default_rng(0).normal(size=(70, 5)).astype(numpy.float32)
starts = window_starts(lengths, data.k, data.padding)
arrays = fitting.Arrays(frames, starts, (numpy.arange(70) % 3).astype(numpy.uint8))
training, _ = fitting.prepare(
    arrays, arrays, ["SIL", "AA0", "B"], torch.device("cpu"), torch.float32, data, train
)
training.rehearse()
print(len(list(training.epochs(False))), [*{{"torch._dynamo", "pandas"}} & {{*sys.modules}}])
"""


@pytest.mark.parametrize("name", RULES)
def test_training_imports_neither_a_compiler_nor_pandas(name):
    command = [sys.executable, "-c", TRAINING.format(name)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1:] == ["1 []"], done.stderr
