"""The fused step does what torch's own layers, loss and optimizers do, one step after the other."""

import copy
import itertools
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import changed
from torch import nn
from training.fused.interpreted import DEVICE, relative

from benchmarks import scaling
from benchmarks.scaling import between
from benchmarks.step_model import BACKWARD_KERNELS, FORWARD_KERNELS, LOSS_KERNELS
from phonemes.context import window_starts
from phonemes.inference.device import Compute
from phonemes.inference.windows import to_device
from phonemes.model.architecture import Architecture, Classifier, build, initialize
from phonemes.storage.layout import HostSplit
from phonemes.training.fused.gather import Pooling, gather
from phonemes.training.fused.norm import NormalizedBlock
from phonemes.training.fused.step import FusedStep
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import FitParams
from phonemes.training.run import Buffers
from phonemes.training.targets import targets

pytestmark = [
    pytest.mark.heavy,
    # numpy, in which Triton's interpreter computes: exp(-x) is infinity, its sigmoid 0
    pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"),
]

BANDS, CLASSES, LENGTHS = 4, 7, np.array([20, 1, 29])
BATCH, STEPS = 22, 2  # no tile's rows divide a batch
RATES = (0.01, 0.03)


@pytest.fixture(scope="session")
def blocks(tiny) -> FitParams:
    """Return parameters of a network that a fused step can train."""
    model = {"hidden": (12, 10), "activation": "tanh", "norm": "batch"}
    return changed(tiny, model=model, train={"momentum": 0.9})


def training_set(params):
    """Return frames of three utterances on the device, in bfloat16, and all their targets."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, LENGTHS.sum())
    frames = rng.normal(0, 0.5, (len(labels), BANDS)) + np.eye(CLASSES, BANDS)[labels]
    starts = window_starts(LENGTHS, params.data.k, params.data.padding)
    around = targets(labels, starts, params.model.target_context)
    host = HostSplit(frames.astype(np.float32), starts, around)
    return to_device(host, params.data, DEVICE, torch.bfloat16)


class Bench(NamedTuple):
    """A fused step and what it reads."""

    network: nn.Sequential
    optimizer: Optimizer
    step: FusedStep
    order: torch.Tensor
    cursor: torch.Tensor
    rates: torch.Tensor
    totals: torch.Tensor

    def update(self, steps=STEPS):
        for _ in range(steps):
            self.step.update(self.order, self.cursor, self.rates, self.totals)

    def state(self):
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    def bytes(self):
        flat = self.step.flat
        values = [*self.state().values(), self.totals, flat.first, flat.second]
        return b"".join(value.cpu().numpy().tobytes() for value in values)


def bench(params, seed=0, dtype=torch.bfloat16):
    """Return a new step, whose buffers are float32 if rounding is to hide nothing."""
    torch.manual_seed(seed)
    frames = 2 * params.data.k + 1
    network, architecture = build(Architecture.of(params.model, frames, BANDS, CLASSES))
    initialize(network, "default", torch.default_generator)
    network.to(DEVICE).train()
    with torch.no_grad():  # gammas and betas that are not all alike
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.3)
    optimizer, split = Optimizer(network, params.train), training_set(params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "bfloat16", dtype)
        classifier = Classifier(network, architecture)
        step = FusedStep(classifier, optimizer, split, BATCH, params.augment, params.train)
    order = torch.randperm(LENGTHS.sum(), generator=torch.Generator().manual_seed(3))
    return Bench(
        network,
        optimizer,
        step,
        order[: STEPS * BATCH].to(DEVICE),
        torch.zeros(1, dtype=torch.int64, device=DEVICE),
        torch.tensor(RATES, device=DEVICE),
        torch.zeros(3, dtype=torch.float64, device=DEVICE),
    )


class Given(nn.Module):
    """Dropout of what is given."""

    def forward(self, values):
        return values * self.factor


def plain_loop(made, params, masks=None):
    """Train a copy of a new bench's network as a textbook does; return it, loss, correct frames.

    Args:
        made: the bench.
        params: how it trains.
        masks: what each block drops in each step, [step][block], if anything.
    """
    train = params.train
    network = copy.deepcopy(made.network)
    if masks:
        network = nn.Sequential(*(Given() if isinstance(it, nn.Dropout) else it for it in network))
    givens = [layer for layer in network if isinstance(layer, Given)]
    decay = {"weight_decay": train.weight_decay}
    kinds = {
        "sgd": lambda it: torch.optim.SGD(it, momentum=train.momentum, **decay),
        "adam": lambda it: torch.optim.Adam(it, **decay),
        "adamw": lambda it: torch.optim.AdamW(it, **decay),
    }
    optimizer = kinds[train.optimizer](network.parameters())
    windows, starts, labels, _ = training_set(params)
    total = right = 0
    for step, frames in enumerate(made.order.split(BATCH)):
        for block, given in enumerate(givens):
            given.factor = ~masks[step][block] / (1 - params.model.dropout)
        logits = network(windows[starts[frames]].float()).view(BATCH, -1, CLASSES)
        wanted = labels[frames].view(BATCH, -1).long()
        loss = F.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), label_smoothing=train.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        if train.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), train.clip_norm)
        optimizer.param_groups[0]["lr"] = RATES[step]
        optimizer.step()
        total += loss.item() * BATCH
        middle = params.model.target_context
        right += (logits[:, middle].argmax(1) == wanted[:, middle]).sum().item()
    return network, total, right


def changes(network, before):
    """Return by how much each weight and running statistic changed, by name."""
    return {
        name: value - before[name]
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }


# Agreement with torch


@pytest.mark.parametrize(
    "choice",
    [
        {"train": {"optimizer": "sgd"}},
        {
            "model": {"activation": "relu"},
            "train": {"momentum": 0.0, "weight_decay": 0.3, "clip_norm": 0.3},
        },
        {
            "data": {"k": 3},
            "model": {"full_rate_context": 1, "activation": "gelu"},
            "train": {"optimizer": "adam", "weight_decay": 0.3},
        },
        {"model": {"hidden": (12,) * 5, "residual": True, "activation": "elu"}},
        {
            "model": {"hidden": (12, 10, 9), "norm": "none", "activation": "gelu"},
            "train": {"optimizer": "sgd", "clip_norm": 0.3},
        },
        {
            "model": {"target_context": 2, "activation": "silu"},
            "train": {"optimizer": "adamw", "weight_decay": 3.0, "label_smoothing": 0.2},
        },
    ],
    ids=["plain", "clipped", "pooled", "residual", "without normalization", "targets"],
)
def test_steps_agree_with_a_plain_loop(blocks, choice):
    params = changed(blocks, **choice)
    made = bench(params, dtype=torch.float32)
    before = made.state()
    network, total, right = plain_loop(made, params)
    made.update()
    actual = changes(made.network, before)
    for name, expected in changes(network, before).items():
        assert relative(actual[name], expected) < 2e-4, name
    assert made.totals.tolist() == [pytest.approx(total, rel=1e-5), right, STEPS]
    assert made.cursor.item() == STEPS


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_steps_in_bfloat16_go_where_a_plain_loop_goes(blocks, optimizer):
    train = {"optimizer": optimizer, "label_smoothing": 0.1, "weight_decay": 0.1}
    params = changed(blocks, train=train)
    made = bench(params)
    before = made.state()
    network, total, right = plain_loop(made, params)
    made.update()
    # of all together: Adam takes a whole step in either direction where a gradient is nearly zero
    actual, expected = (
        torch.cat([change.flatten() for change in changes(each, before).values()])
        for each in (made.network, network)
    )
    assert relative(actual, expected) < 0.1
    loss, correct, finite = made.totals.tolist()
    assert loss == pytest.approx(total, rel=0.01)
    assert abs(correct - right) <= 2
    assert finite == STEPS


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_step_goes_back_through_what_it_dropped_on_the_way_forward(blocks, norm):
    params = changed(blocks, model={"dropout": 0.3, "norm": norm})
    made = bench(params, dtype=torch.float32)
    start = copy.deepcopy(made.network)
    before, masks = made.state(), []
    for _ in range(STEPS):
        made.update(1)
        masks.append([values == 0 for values in made.step.inputs[1:]])
    assert all(0.1 < mask.double().mean() < 0.5 for step in masks for mask in step)
    network, total, right = plain_loop(made._replace(network=start), params, masks)
    assert made.totals.tolist() == [pytest.approx(total, rel=1e-4), right, STEPS]
    actual = changes(made.network, before)
    renamed = dict(zip(actual, changes(network, before).values(), strict=True))
    for name, expected in renamed.items():
        assert relative(actual[name], expected) < 2e-4, name


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # as a hash has it
def test_windows_are_distorted_and_pooled_anew_in_each_step_and_epoch(blocks):
    augment = {"time_warp": 0.3, "gain": 0.2, "noise": 0.2, "time_masks": 1, "band_masks": 1}
    params = changed(blocks, data={"k": 3}, model={"full_rate_context": 1}, augment=augment)
    made, split = bench(params), training_set(params)
    pooling = Pooling.of((2, 1, 1, 1, 2), DEVICE)
    steps = torch.zeros((), device=DEVICE)
    seen = []
    for epoch, number in [(0, 0), (0, 1), (5, 0)]:
        made.step.begin(epoch)
        made.cursor.fill_(number)
        made.update(1)
        expected = torch.zeros_like(made.step.inputs[0])
        labels = torch.zeros((BATCH, 1), dtype=torch.int64, device=DEVICE)
        gather(
            split, made.order, torch.tensor([number], device=DEVICE),
            torch.tensor(epoch, device=DEVICE), steps, expected, labels, pooling, params.augment,
            made.step.salt,
        )  # fmt: skip
        assert torch.equal(made.step.inputs[0], expected)
        frames = made.order[number * BATCH :][:BATCH]
        assert torch.equal(labels, split.labels[frames].view(BATCH, 1))
        seen.append(expected)
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(seen, 2))


# Dropout


def test_other_seeds_steps_and_layers_drop_others(blocks):
    masks, salts = {}, set()
    torch.manual_seed(0)
    h = torch.randn(BATCH, 64, device=DEVICE)
    for seed in (1, 2, 1 + 2**25):
        model = {"hidden": (64, 64), "dropout": 0.5}
        step = bench(changed(blocks, model=model, train={"seed": seed})).step
        salts |= {step.salt, *(block.salt for block in step.blocks)}
        for layer, number in itertools.product(range(2), (0, 1, 2, 64, 65, 1000)):
            y, steps = torch.zeros_like(h), torch.tensor(float(number), device=DEVICE)
            with torch.no_grad():
                step.blocks[layer].forward(h, y, step.sums, steps, step.tiles)
            masks[seed, layer, number] = y == 0
    assert len(salts) == 3 * 3  # of the windows' distortions and of two layers, for each seed
    # of independent masks half the places agree; 6 deviations, of about 600 pairs
    limit = 6 * 0.5 / h.numel() ** 0.5
    for (one, a), (other, b) in itertools.combinations(masks.items(), 2):
        agreeing = (a == b).double().mean().item()
        assert abs(agreeing - 0.5) < limit, f"(seed, layer, step) {one} and {other}"


# Where weights and state lie


@pytest.mark.parametrize("target_context", [0, 2])
def test_the_padding_of_the_output_layer_stays_zero(blocks, target_context):
    train = {"optimizer": "adamw", "weight_decay": 0.1, "label_smoothing": 0.1}
    made = bench(changed(blocks, model={"target_context": target_context}, train=train))
    made.update()
    step, columns = made.step, (2 * target_context + 1) * CLASSES
    output = [layer for layer in made.network if isinstance(layer, nn.Linear)][-1]
    begin = output.weight.storage_offset() + output.weight.numel()
    end = output.bias.storage_offset()
    assert end > begin
    for flat in step.flat.tensors():
        assert not flat[begin:end].any()
    assert step.flat.products[-1][:columns].all()
    assert step.flat.products[-1].shape[0] > columns
    assert not step.flat.products[-1][columns:].any()
    assert not step.outputs[-1][:, columns:].any()


def test_the_parameters_of_the_network_are_those_that_a_step_updates(blocks):
    made = bench(changed(blocks, train={"optimizer": "adamw"}))
    before = made.state()
    made.update(1)
    for name, value in made.network.state_dict().items():
        if value.is_floating_point():
            assert not torch.equal(value, before[name]), name
    assert all(made.optimizer.state[it]["exp_avg"].any() for it in made.network.parameters())
    assert all(made.optimizer.state[it]["step"] == 1 for it in made.network.parameters())


def test_weights_set_from_outside_are_taken_over(blocks):
    made, other = bench(blocks, seed=0), bench(blocks, seed=1)
    start = made.bytes()
    made.network.load_state_dict(other.network.state_dict())
    made.step.begin(0)
    assert made.bytes() == other.bytes() != start
    made.update(1)
    other.update(1)
    assert made.bytes() == other.bytes()


def test_a_copy_of_the_network_can_be_given_other_weights_and_no_step_reads_them(blocks):
    made, alone = bench(blocks), bench(blocks)
    copied = copy.deepcopy(made.network)
    with torch.no_grad():
        for value in copied.state_dict().values():
            value.fill_(0)
    made.step.begin(0)
    made.update(1)
    alone.update(1)
    assert made.bytes() == alone.bytes()
    assert not any(value.any() for value in copied.state_dict().values())


def test_the_memory_of_a_step_is_at_least_that_of_the_network(blocks):
    made = bench(blocks)
    count = sum(weight.numel() for weight in made.network.parameters())
    assert made.step.memory() > (3 * 4 + 2 * 2) * count  # weights, two moments; copies, gradients


# Parts of the gradients, for several processes


def in_parts(step, buffers):
    """Take a step; return its parts' gradients as they were, and how far each lay from the end."""
    flat, parts = step.flat.gradients, []
    for (part,) in step.parts(*buffers):
        parts.append((part.storage_offset() - flat.storage_offset(), part.clone()))
    return parts


@pytest.mark.parametrize(("clip_norm", "part"), [(0.0, 64), (0.3, 64), (0.0, 10**9)])
def test_every_gradient_is_complete_in_one_part(blocks, clip_norm, part, monkeypatch):
    monkeypatch.setattr("phonemes.training.fused.step.PART", part)
    params = changed(blocks, model={"hidden": (12, 10, 8, 8)}, train={"clip_norm": clip_norm})
    made, whole = bench(params), bench(params)
    whole.update(1)
    parts = in_parts(made.step, (made.order, made.cursor, made.rates, made.totals))
    assert len(parts) == (2 if part > 64 else 5)
    together = torch.zeros_like(made.step.flat.gradients)
    for begin, values in parts:
        together[begin : begin + len(values)] += values
    assert sum(len(values) for _, values in parts) == len(together)
    assert torch.equal(together, whole.step.flat.gradients)
    assert made.bytes() == whole.bytes()


@pytest.mark.parametrize("clip_norm", [0.0, 0.3])
def test_steps_that_average_their_parts_take_the_step_of_both_batches(
    blocks, clip_norm, monkeypatch
):
    monkeypatch.setattr("phonemes.training.fused.step.PART", 64)
    train = {"optimizer": "adamw", "clip_norm": clip_norm}
    params = changed(blocks, model={"hidden": (12, 10, 8)}, train=train)
    one, other = (bench(params, dtype=torch.float32) for _ in range(2))
    other = other._replace(order=one.order.roll(BATCH))
    network, (windows, starts, labels, _) = copy.deepcopy(one.network), training_set(params)
    optimizer = torch.optim.AdamW(network.parameters(), RATES[0], weight_decay=0)
    losses = [
        F.cross_entropy(network(windows[starts[frames]].float()), labels[frames].flatten().long())
        for frames in one.order.split(BATCH)
    ]
    (sum(losses) / 2).backward()
    if clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimizer.step()
    before = one.state()
    steps = (each.step.parts(*each[3:]) for each in (one, other))
    for (first,), (second,) in zip(*steps, strict=True):
        first.copy_((first + second) / 2)
        second.copy_(first)
    expected = changes(network, before)
    for made in (one, other):
        for name, value in changes(made.network, before).items():
            if "running" not in name:  # each its own
                assert relative(value, expected[name]) < 2e-4, name


# The same bytes


@pytest.mark.parametrize("clip_norm", [0.0, 0.3])
def test_the_same_seed_gives_the_same_bytes(blocks, clip_norm):
    train = {"optimizer": "adamw", "clip_norm": clip_norm}
    params = changed(blocks, model={"dropout": 0.3}, train=train)
    one, same = bench(params), bench(params)
    one.update()
    torch.rand(1)  # nothing is drawn from torch's random state
    same.update()
    assert one.bytes() == same.bytes()


def test_another_seed_drops_others(blocks):
    params = changed(blocks, model={"dropout": 0.3})
    one, other = bench(params), bench(changed(params, train={"seed": 2}))
    assert one.bytes() == other.bytes()
    one.update(1)
    other.update(1)
    assert one.bytes() != other.bytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_steps_go_on_from_a_copied_state_to_the_same_bytes(blocks, optimizer):
    params = changed(blocks, model={"dropout": 0.3}, train={"optimizer": optimizer})
    straight = bench(params)
    straight.update(1)
    network = copy.deepcopy(straight.network.state_dict())
    state = copy.deepcopy([straight.optimizer.state[it] for it in straight.network.parameters()])
    totals = straight.totals.clone()
    straight.step.begin(0)  # as when an epoch begins: the interpreter does not round as torch does
    straight.update(1)

    resumed = bench(params, seed=9)
    resumed.network.load_state_dict(network)
    for weight, values in zip(resumed.network.parameters(), state, strict=True):
        for name, value in values.items():
            resumed.optimizer.state[weight][name].copy_(value)
    resumed.cursor.fill_(1)
    resumed.totals.copy_(totals)
    resumed.step.begin(0)
    resumed.update(1)
    assert resumed.bytes() == straight.bytes()


def test_what_is_between_the_products_of_a_step_is_measured_without_their_time(blocks, monkeypatch):
    made = bench(changed(blocks, model={"target_context": 1}))
    taken = []  # s
    monkeypatch.setattr(torch, "mm", lambda *_, **__: taken.append(5.0))
    for name in ("forward", "backward"):
        monkeypatch.setattr(NormalizedBlock, name, lambda *_: taken.append(2.5))
    monkeypatch.setattr("phonemes.training.fused.loss.loss", lambda *_: taken.append(4.0))

    def seconds(work, count, device):
        taken.clear()
        work()
        return sum(taken) / count

    monkeypatch.setattr(scaling, "seconds_each", seconds)
    buffers = Buffers(made.order, made.cursor, made.rates, made.totals)
    activations, logits = BATCH * (12 + 10), BATCH * 3 * CLASSES
    assert between(made.step, buffers, latency=1.0) == pytest.approx(
        (
            2 * (2.5 - FORWARD_KERNELS) / activations,
            2 * (2.5 - BACKWARD_KERNELS) / activations,
            (4.0 - LOSS_KERNELS - 1) / logits,
        )
    )


def test_a_fused_step_is_measured_before_it_is_recorded(blocks, monkeypatch):
    made = bench(changed(blocks, model={"target_context": 1}))
    run = SimpleNamespace(
        step=made.step, buffers=Buffers(made.order, made.cursor, made.rates, made.totals)
    )
    monkeypatch.setattr(scaling, "prepared", lambda *_: run)
    monkeypatch.setattr(scaling, "copy_rate", None)  # stands for what is not measured
    case = scaling.Case("", changed(blocks), BATCH)
    assert min(scaling.between_products(case, Compute(DEVICE, torch.bfloat16), 0.0)) > 0
