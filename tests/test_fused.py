"""The fused step does what torch's own layers, loss and optimizers do, kernel by kernel and whole.

Without an NVIDIA GPU, Triton's interpreter runs the kernels on the CPU, given TRITON_INTERPRET.
"""

import copy
import itertools
import os
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from phonemes.augmentation import Draws, distort, draws
from phonemes.context import window_starts
from phonemes.inference import gather, place
from phonemes.layers import Thinning
from phonemes.model import ACTIVATIONS, Architecture, build
from phonemes.neighbours import labels_around
from phonemes.optimizer import Optimizer
from phonemes.params import Data

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported

triton = pytest.importorskip("triton", reason="Triton, which comes with torch for CUDA, is missing")

from phonemes import fused, kernels  # noqa: E402
from phonemes.fused import FusedStep, Tiles, judge  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BANDS, CLASSES, FRAMES = 4, 7, 70
BATCH, STEPS = 22, 3  # no tile's rows divide a batch

if DEVICE.type == "cpu" and isinstance(kernels.forward, triton.JITFunction):
    pytest.skip("Triton was imported before TRITON_INTERPRET was set", allow_module_level=True)

# numpy, in which Triton's interpreter computes, warns of what IEEE arithmetic is meant to give
pytestmark = [
    # exp(-x) is infinity, its sigmoid 0: in rows beyond the batch, whose values nobody reads
    pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Share tiny batches out to several programs of a kernel."""
    tiles = Tiles(2, (8, 16, 1, 0), (8, 16, 1, 1), (8, 16, 1, 0), (8, 8, 1, 2))
    monkeypatch.setattr(fused, "SMALL_TILES", tiles)
    monkeypatch.setattr(fused, "LOSS_PARTS", 4)
    monkeypatch.setattr(fused, "LOSS_TILE", 4)
    monkeypatch.setattr(fused, "GATHER_TILE", (16, 2))
    monkeypatch.setattr(fused, "OPTIMIZER_TILE", 256)


@pytest.fixture(scope="session")
def blocks(tiny):
    """Return parameters of a network that a fused step can train."""
    return replace(tiny, hidden=(12, 10), activation="tanh", normalization="batch", momentum=0.9)


# --- one block


def relative(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


class Block:
    """Batch normalization, activation and dropout by kernels, launched on float32.

    Of the four parts that rows are divided into for sums, the last ones may be without any.
    """

    def __init__(self, h, norm, kind, dropout=0.0, step=0, salt=0, tile=(4, 8)):
        self.h, self.norm = h.clone(), norm
        self.rows, self.columns = h.shape
        self.tile, width = tile
        self.across = triton.cdiv(self.columns, width)
        self.parts = 4
        self.part = triton.cdiv(triton.cdiv(self.rows, self.parts), self.tile) * self.tile
        self.sums = torch.full((self.parts, 2, self.columns), torch.nan, device=h.device)
        self.moments = torch.full((2, self.columns), torch.nan, device=h.device)
        steps = torch.tensor(float(step), device=h.device)
        self.common = self.moments, steps, salt, dropout
        self.kinds = {"KIND": kind, "DROP": dropout > 0}
        self.constants = {"R": self.tile, "C": width}

    def forward(self):
        y = torch.full_like(self.h, torch.nan)
        norm, shape = self.norm, (self.rows, self.columns)
        kernels.moments[self.across, self.parts](
            self.h, self.sums, *shape, PART=self.part, **self.constants
        )
        kernels.forward[self.across, triton.cdiv(self.rows, self.tile)](
            self.h, y, self.sums, norm.weight, norm.bias, norm.running_mean, norm.running_var,
            *self.common, norm.momentum, norm.eps, *shape, **self.kinds, PARTS=self.parts,
            PART=self.tile, **self.constants,
        )  # fmt: skip
        return y

    def backward(self, dy):
        """Return the gradients of the input, of gamma and of beta."""
        norm, shape = self.norm, (self.rows, self.columns)
        kernels.gradient_sums[self.across, self.parts](
            dy, self.h, self.sums, norm.weight, norm.bias, *self.common, *shape, **self.kinds,
            PART=self.part, **self.constants,
        )  # fmt: skip
        dgamma, dbeta = torch.full((2, self.columns), torch.nan, device=dy.device)
        kernels.backward[self.across, triton.cdiv(self.rows, 2 * self.tile)](
            dy, self.h, self.h, self.sums, norm.weight, norm.bias, dgamma, dbeta, *self.common,
            *shape, SKIPS=False, **self.kinds, PARTS=self.parts, PART=2 * self.tile,
            **self.constants,
        )  # fmt: skip
        return self.h, dgamma, dbeta


def product_and_norm(rows, columns, seed=0):
    """Return what may enter a block, far from zero, and a normalization that has seen some."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(columns)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 1.5)
    return (torch.randn(rows, columns) * 2 + 30).to(DEVICE), norm.to(DEVICE)


@pytest.mark.parametrize(
    ("kind", "rows"), [*((kind, 22) for kind in ACTIVATIONS), ("gelu", 2), ("relu", 16)]
)
def test_a_block_and_its_gradients_are_those_of_torch(kind, rows):
    h, norm = product_and_norm(rows, 11)
    dy = torch.randn_like(h)
    reference, leaf = copy.deepcopy(norm), h.clone().requires_grad_()
    expected = ACTIVATIONS[kind]()(reference(leaf))
    expected.backward(dy)
    # a pair of rows differs by so little against its mean that torch itself is less exact
    limit = 1e-5 if rows > 2 else 1e-3
    block = Block(h, norm, kind)
    with torch.no_grad():
        assert relative(block.forward(), expected) < 1e-5
        assert relative(norm.running_mean, reference.running_mean) < 1e-5
        assert relative(norm.running_var, reference.running_var) < 1e-5
        dh, dgamma, dbeta = block.backward(dy)
    assert relative(dgamma, reference.weight.grad) < 1e-5
    assert relative(dbeta, reference.bias.grad) < 1e-5
    assert (dh - leaf.grad).norm() < limit * max(leaf.grad.norm(), dy.norm() / 10)


def test_columns_far_from_zero_lose_no_digits():
    h, norm = product_and_norm(22, 5)
    h = h + 1000
    exact = h.double()
    with torch.no_grad():
        block = Block(h, norm, "relu")
        block.forward()
    assert relative(block.moments[1].double(), (exact.var(0, correction=0) + 1e-5).rsqrt()) < 1e-5


# --- dropout


def dropped(dropout=0.5, step=0, salt=0, rows=64, columns=32):
    """Return which values (rows, columns) a block drops."""
    h, norm = product_and_norm(rows, columns)
    with torch.no_grad():
        y = Block(h, norm, "tanh", dropout, step, salt, tile=(64, 32)).forward()
    return y == 0


def salts(params, seed):
    network = build(Architecture.of(replace(params, seed=seed), 3, BANDS, CLASSES)).to(DEVICE)
    params = replace(params, seed=seed)
    return FusedStep(network, Optimizer(network, params), split(params), BATCH, params).salts


@pytest.mark.parametrize("dropout", [0.05, 0.5, 0.95])
def test_the_share_that_is_dropped_is_the_one_asked_for(dropout):
    masks = torch.stack([dropped(dropout, step) for step in range(4)]).double()
    deviation = (dropout * (1 - dropout)) ** 0.5
    assert abs(masks.mean() - dropout) < 4 * deviation / masks.numel() ** 0.5
    for axes in [(0, 1), (0, 2)]:  # no column and no row is favoured
        means = masks.mean(axes)
        assert (means - dropout).abs().max() < 5 * deviation / (masks.numel() / len(means)) ** 0.5


@pytest.mark.parametrize("kind", ["relu", "tanh"])
def test_what_is_not_dropped_is_scaled_up(kind):
    h, norm = product_and_norm(22, 11)
    with torch.no_grad():
        whole = Block(h, norm, kind).forward()
        some = Block(h, norm, kind, dropout=0.2).forward()
    kept = some != 0
    assert 0.1 < 1 - kept[whole != 0].double().mean() < 0.3
    torch.testing.assert_close(some[kept], whole[kept] / 0.8)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_the_gradient_goes_only_through_what_was_not_dropped(kind):
    h, norm = product_and_norm(22, 11)
    reference, leaf = copy.deepcopy(norm), h.clone().requires_grad_()
    mask = dropped(0.4, 3, 5, 22, 11)
    expected = ACTIVATIONS[kind]()(reference(leaf)) * ~mask / 0.6
    dy = torch.randn_like(h)
    expected.backward(dy)
    with torch.no_grad():
        block = Block(h, norm, kind, 0.4, 3, 5)
        assert relative(block.forward(), expected) < 1e-5
        dh, dgamma, dbeta = block.backward(dy)
        assert relative(dgamma, reference.weight.grad) < 1e-5
        assert relative(dbeta, reference.bias.grad) < 1e-5
        assert relative(dh, leaf.grad) < 1e-5
        block = Block(h, norm, kind, 0.4, 3, 5)
        block.forward()
        gradients = block.backward(torch.where(mask, dy, 0.0))
    assert not any(gradient.any() for gradient in gradients)


def test_the_same_seed_step_and_layer_drop_the_same(blocks):
    first, again = salts(blocks, 1), salts(blocks, 1)
    for layer in range(2):
        assert torch.equal(dropped(step=3, salt=first[layer]), dropped(step=3, salt=again[layer]))


def test_other_seeds_steps_and_layers_drop_others(blocks):
    masks = {
        (seed, step, layer): dropped(step=step, salt=salt)
        for seed in (1, 2, 3)
        for layer, salt in enumerate(salts(blocks, seed))
        for step in (0, 1, 2, 64, 65, 1000)
    }
    # of independent masks half the places agree; 6 deviations, of about 600 pairs
    limit = 6 * 0.5 / next(iter(masks.values())).numel() ** 0.5
    for (one, a), (other, b) in itertools.combinations(masks.items(), 2):
        agreeing = (a == b).double().mean().item()
        assert abs(agreeing - 0.5) < limit, f"(seed, step, layer) {one} and {other}"


# --- the outcome of frames


@pytest.mark.parametrize(("rows", "classes"), [(22, 7), (4, 8), (1, 2), (9, 71)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_frames_are_judged_as_torch_judges_them(rows, classes, dtype):
    torch.manual_seed(0)
    logits = (torch.randn(rows, classes) * 5).to(DEVICE, dtype)
    labels = torch.randint(0, classes, (rows,), device=DEVICE)
    predicted, loss, top3 = judge(logits, labels)
    exact = logits.float()
    assert torch.equal(predicted, exact.argmax(1))
    torch.testing.assert_close(loss, F.cross_entropy(exact, labels, reduction="none"))
    three = exact.topk(min(3, classes)).indices
    assert torch.equal(top3, (three == labels[:, None]).any(1))


def test_of_equal_logits_the_first_is_predicted():
    logits = torch.tensor([[0.0, 2, 1, 2, 2], [3, 3, 3, 3, 3]], device=DEVICE)
    labels = torch.tensor([3, 4], device=DEVICE)
    predicted, _loss, top3 = judge(logits, labels)
    assert predicted.tolist() == [1, 0]
    assert top3.tolist() == [True, True]  # fewer than three are likelier


def test_huge_logits_are_judged_without_overflow():
    logits = torch.tensor([[3e4, -3e4, 0.0], [1e4, 1e4, -1e4]], device=DEVICE)
    labels = torch.tensor([1, 0], device=DEVICE)
    # loss is a difference of numbers of this size, exact to 1e-7 of them
    torch.testing.assert_close(
        judge(logits, labels).loss,
        F.cross_entropy(logits, labels, reduction="none"),
        rtol=1e-6,
        atol=2e-3,
    )


# --- distorted windows


def mixed(bits):
    """Return the kernels' hash, computed by numpy."""
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    return bits ^ (bits >> np.uint32(16))


def kernel_draws(augment, epoch, cursor, salt, shape):
    """Return what the kernel draws for a batch of windows, (B, W, C)."""
    batch, width, bands = shape
    rows = np.arange(batch, dtype=np.uint32)
    one = np.ones(1, np.uint32)
    key = mixed(mixed(mixed(one * epoch + np.uint32(0x9E3779B9)) ^ np.uint32(salt)) + cursor)
    numbers = np.arange(draws(augment), dtype=np.uint32) * np.uint32(0x1E3779B9)
    uniform = (mixed(mixed(rows ^ key)[:, None] + numbers) >> np.uint32(8)) / 2**24
    columns = np.arange(width * bands, dtype=np.uint32)
    noise = mixed(mixed(rows + key)[:, None] ^ columns)
    summed = sum((noise >> np.uint32(8 * byte)) & np.uint32(255) for byte in range(4))
    deviations = (summed.astype(np.float64) - 510) / 147.8
    return Draws(
        torch.tensor(uniform, dtype=torch.float32),
        torch.tensor(deviations.reshape(shape), dtype=torch.float32) if augment.noise else None,
    )


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # as a hash has it
@pytest.mark.parametrize("whole", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"mel_scale": 0.2, "mel_shift": 1.5},
        {"speed": 0.4},
        {"mel_scale": 0.1, "mel_shift": 1.0, "speed": 0.2},
        {"gain": 0.5},
        {"tilt": 0.5},
        {"noise": 0.5},
        {"time_masks": 2, "time_mask": 4},
        {"band_masks": 2, "band_mask": 3},
        {"time_masks": 4, "time_mask": 1, "band_masks": 3, "band_mask": 1},
        {
            "mel_scale": 0.2, "mel_shift": 1.5, "speed": 0.3, "gain": 0.2, "tilt": 0.3,
            "noise": 0.2, "time_masks": 1, "time_mask": 3, "band_masks": 1, "band_mask": 2,
        },
    ],
    ids=lambda change: "-".join(change),
)  # fmt: skip
def test_windows_are_distorted_and_pooled_as_torch_does_it(blocks, change, whole):
    params = replace(blocks, augment=replace(blocks.augment, **change), whole=whole)
    check_windows(params, bands=BANDS, k=3)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize(("bands", "k"), [(1, 3), (6, 2), (9, 1), (40, 5), (5, 0), (1, 0)])
def test_windows_of_any_size_are_distorted(blocks, bands, k):
    change = {
        "mel_scale": 0.2, "mel_shift": 1.5, "speed": 0.3, "gain": 0.2, "tilt": 0.3, "noise": 0.2,
        "time_masks": 1, "time_mask": 1, "band_masks": 1, "band_mask": 1,
    }  # fmt: skip
    params = replace(blocks, augment=replace(blocks.augment, **change))
    check_windows(params, bands, k)
    check_windows(replace(params, whole=1), bands, k)
    check_windows(replace(params, augment=blocks.augment), bands, k)


def check_windows(params, bands, k):
    """Compare two batches of windows that a step gathers with what torch makes of the frames."""
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 1, (FRAMES, bands)).astype(np.float32)
    starts = window_starts(np.array([30, 1, FRAMES - 31]), k, "zero")
    labels = rng.integers(0, CLASSES, FRAMES)
    placed = place(frames, starts, labels, Data(k, "zero"), DEVICE, torch.bfloat16)
    network = build(Architecture.of(params, 2 * k + 1, bands, CLASSES)).to(DEVICE).train()
    step = FusedStep(network, Optimizer(network, params), placed, BATCH, params)
    order = torch.randperm(FRAMES).to(DEVICE)
    rates, totals = torch.zeros(STEPS, device=DEVICE), torch.zeros(3, dtype=torch.float64)
    cursor = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    step.begin(5)
    seen = []
    for number in range(2):
        step.update(order, cursor, rates, totals.to(DEVICE))
        taken = order[number * BATCH :][:BATCH]
        plain = gather(placed, taken).float().view(BATCH, 2 * k + 1, bands)
        drawn = kernel_draws(params.augment, 5, number, step.salt, plain.shape)
        expected = distort(plain.cpu(), params.augment, drawn).flatten(1)
        if isinstance(network[0], Thinning):
            expected = network[0].cpu()(expected)
        actual = step.inputs[0].float().cpu()
        torch.testing.assert_close(actual, expected, rtol=2**-7, atol=2**-7)
        seen.append(drawn.uniform)
    assert not torch.equal(*seen)


# --- whole steps


def split(params, seed=0):
    """Return frames of three utterances, and all labels that are to be learnt."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, FRAMES)
    frames = rng.normal(0, 0.5, (FRAMES, BANDS)) + np.eye(CLASSES, BANDS)[labels]
    data = Data(k=1, padding="zero")
    starts = window_starts(np.array([30, 1, FRAMES - 31]), data.k, data.padding)
    if params.neighbours:
        labels = labels_around(labels, starts, params.neighbours)
    return place(frames.astype(np.float32), starts, labels, data, DEVICE, torch.bfloat16)


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
        values = [*self.state().values(), self.totals, self.step.first, self.step.second]
        return b"".join(value.cpu().numpy().tobytes() for value in values)


def bench(params, seed=0):
    torch.manual_seed(seed)
    network = build(Architecture.of(params, 3, BANDS, CLASSES)).to(DEVICE).train()
    with torch.no_grad():  # gammas and betas that are not all alike
        for layer in network:
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.3)
    optimizer = Optimizer(network, params)
    step = FusedStep(network, optimizer, split(params), BATCH, params)
    order = torch.randperm(FRAMES, generator=torch.Generator().manual_seed(3))
    return Bench(
        network,
        optimizer,
        step,
        order[: STEPS * BATCH].to(DEVICE),
        torch.zeros(1, dtype=torch.int64, device=DEVICE),
        torch.tensor([0.01, 0.03, 0.005], device=DEVICE),
        torch.zeros(3, dtype=torch.float64, device=DEVICE),
    )


def plain_loop(made, params, masks=None):
    """Train a copy of a new bench's network as a textbook does; return it, loss, correct frames.

    Args:
        made: the bench.
        params: how it trains.
        masks: what each block drops in each step, [step][block], if anything.
    """
    network = copy.deepcopy(made.network)
    if masks:
        network = nn.Sequential(*(Given() if isinstance(it, nn.Dropout) else it for it in network))
    givens = [layer for layer in network if isinstance(layer, Given)]
    kinds = {
        "sgd": lambda it: torch.optim.SGD(
            it, momentum=params.momentum, weight_decay=params.weight_decay
        ),
        "adam": lambda it: torch.optim.Adam(it, weight_decay=params.weight_decay),
        "adamw": lambda it: torch.optim.AdamW(it, weight_decay=params.weight_decay),
    }
    optimizer = kinds[params.optimizer](network.parameters())
    windows, starts, labels = split(params)
    total = right = 0
    for step, frames in enumerate(made.order.split(BATCH)):
        for block, given in enumerate(givens):
            given.factor = ~masks[step][block] / (1 - params.dropout)
        logits = network(windows[starts[frames]].float())
        logits = logits.view(BATCH, -1, CLASSES)
        wanted = labels[frames].view(BATCH, -1)
        loss = F.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), label_smoothing=params.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        if params.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), params.clip_norm)
        optimizer.param_groups[0]["lr"] = made.rates[step].item()
        optimizer.step()
        total += loss.item() * BATCH
        n = params.neighbours
        right += (logits[:, n].argmax(1) == wanted[:, n]).sum().item()
    return network, total, right


class Given(nn.Module):
    """Dropout of what is given."""

    def forward(self, values):
        return values * self.factor


def exactly(monkeypatch, params):
    """Return a bench whose buffers are float32, so that rounding hides nothing."""
    with monkeypatch.context() as patch:
        made_of_bfloat16 = split(params)
        patch.setattr(fused.torch, "bfloat16", torch.float32)
        patch.setitem(globals(), "split", lambda *_: made_of_bfloat16)
        return bench(params)


def changes(network, before):
    """Return by how much each weight and running statistic changed, by name."""
    return {
        name: value - before[name]
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }


CHOICES = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.3, "activation": "relu"},
    {"optimizer": "sgd", "clip_norm": 0.3, "label_smoothing": 0.2, "activation": "elu"},
    {"optimizer": "adam", "weight_decay": 0.3, "activation": "gelu"},
    {"optimizer": "adam", "clip_norm": 0.3, "weight_decay": 0.3},
    {"optimizer": "adamw", "label_smoothing": 0.2, "activation": "silu"},
    {"optimizer": "adamw", "weight_decay": 3.0, "activation": "leaky_relu"},
    {"optimizer": "sgd", "hidden": (12,) * 3, "residual": True},
    {"optimizer": "adamw", "hidden": (12,) * 7, "residual": True, "activation": "gelu"},
    {"optimizer": "sgd", "neighbours": 1, "label_smoothing": 0.2},
    {"optimizer": "adamw", "neighbours": 4, "weight_decay": 0.3},
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: " ".join(map(str, choice.values())))
def test_steps_agree_with_a_plain_loop(monkeypatch, blocks, choice):
    params = replace(blocks, **choice)
    made = exactly(monkeypatch, params)
    before = made.state()
    network, total, right = plain_loop(made, params)
    made.update()
    actual = changes(made.network, before)
    for name, expected in changes(network, before).items():
        assert relative(actual[name], expected) < 2e-4, name
    assert made.totals.tolist() == [pytest.approx(total, rel=1e-5), right, STEPS]
    assert made.cursor.item() == STEPS


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_steps_in_bfloat16_go_where_a_plain_loop_goes(blocks, optimizer):
    params = replace(blocks, optimizer=optimizer, label_smoothing=0.1, weight_decay=0.1)
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


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_goes_back_through_what_it_dropped_on_the_way_forward(
    monkeypatch, blocks, optimizer
):
    params = replace(blocks, optimizer=optimizer, dropout=0.3)
    made = exactly(monkeypatch, params)
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


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of numpy, for NaN
def test_a_loss_that_is_not_finite_is_told(blocks):
    made = bench(blocks)
    made.update(1)
    with torch.no_grad():
        made.network[-1].bias[0] = torch.nan
    made.update(2)
    loss, _right, finite = made.totals.tolist()
    assert np.isnan(loss)
    assert finite == 1


# --- where weights and state lie


@pytest.mark.parametrize("neighbours", [0, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_padding_of_the_output_layer_stays_zero(blocks, optimizer, neighbours):
    changed = {"optimizer": optimizer, "neighbours": neighbours}
    made = bench(replace(blocks, weight_decay=0.1, label_smoothing=0.1, **changed))
    made.update()
    step, told = made.step, (2 * neighbours + 1) * CLASSES
    output = next(layer for layer in reversed(made.network) if isinstance(layer, nn.Linear))
    begin = step.begins[output.weight] + output.weight.numel()
    end = step.begins[output.bias]
    assert end > begin
    for flat in (step.weights, step.copies, step.gradients, step.first, step.second):
        assert not flat[begin:end].any()
    assert step.products[-1][:told].all()
    assert step.products[-1].shape[0] > told
    assert not step.products[-1][told:].any()
    assert not step.outputs[-1][:, told:].any()


def test_the_parameters_of_the_network_are_those_that_a_step_updates(blocks):
    made = bench(replace(blocks, optimizer="adamw"))
    before = made.state()
    flat = made.step.weights.untyped_storage().data_ptr()
    for weight in made.network.parameters():
        assert weight.untyped_storage().data_ptr() == flat
        assert made.optimizer.state[weight]["exp_avg"].shape == weight.shape
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


def test_the_memory_that_is_told_is_at_least_that_of_the_network(blocks):
    made = bench(blocks)
    count = sum(weight.numel() for weight in made.network.parameters())
    assert made.step.bytes() > (3 * 4 + 2 * 2) * count  # weights, two moments; copies, gradients


# --- the same bytes


@pytest.mark.parametrize("clip_norm", [0.0, 0.3])
def test_the_same_seed_gives_the_same_bytes(blocks, clip_norm):
    params = replace(blocks, optimizer="adamw", dropout=0.3, clip_norm=clip_norm)
    one, same = bench(params), bench(params)
    one.update(2)
    torch.rand(1)  # nothing is drawn from torch's random state
    same.update(2)
    assert one.bytes() == same.bytes()


def test_another_seed_drops_others(blocks):
    params = replace(blocks, dropout=0.3)
    one, other = bench(params), bench(replace(params, seed=2))
    assert one.bytes() == other.bytes()
    one.update(1)
    other.update(1)
    assert one.bytes() != other.bytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_steps_go_on_from_a_copied_state_to_the_same_bytes(blocks, optimizer):
    params = replace(blocks, optimizer=optimizer, dropout=0.3)
    whole = bench(params)
    whole.update(1)
    network = copy.deepcopy(whole.network.state_dict())
    state = copy.deepcopy([whole.optimizer.state[it] for it in whole.network.parameters()])
    totals = whole.totals.clone()
    whole.step.begin(0)  # as when an epoch begins: the interpreter does not round as torch does
    whole.update(2)

    resumed = bench(params, seed=9)
    resumed.network.load_state_dict(network)
    for weight, values in zip(resumed.network.parameters(), state, strict=True):
        for name, value in values.items():
            resumed.optimizer.state[weight][name].copy_(value)
    resumed.cursor.fill_(1)
    resumed.totals.copy_(totals)
    resumed.step.begin(0)
    resumed.update(2)
    assert resumed.bytes() == whole.bytes()
