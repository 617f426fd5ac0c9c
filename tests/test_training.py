"""Training is a plain loop over shuffled windows, only faster: same batches, same weights."""

import random
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import phonemes.training
from phonemes.context import window_starts
from phonemes.errors import InputError
from phonemes.inference import Outcomes, classify, place
from phonemes.loss import class_weights
from phonemes.model import Architecture, build
from phonemes.neighbours import labels_around
from phonemes.params import Data
from phonemes.schedule import rate_factor
from phonemes.training import Epoch, Training

CPU = torch.device("cpu")
OPTIMIZERS = ["sgd", "adam", "adamw"]
SCHEDULES = ["constant", "step", "exponential", "plateau", "cosine", "onecycle"]
CLASSES, BANDS = 3, 4
TRAIN_LENGTHS, DEV_LENGTHS = np.array([7, 1, 12, 15]), np.array([5, 9])


def toy(lengths, data, seed, labels=None, dtype=torch.float32):
    """Return a split whose labels can be learnt from the windows."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, lengths.sum())
    frames = np.eye(BANDS)[truth] * 3 + rng.normal(0, 0.5, (lengths.sum(), BANDS))
    starts = window_starts(lengths, data.k, data.padding)
    given = truth if labels is None else labels
    return place(frames.astype(np.float32), starts, given, data, CPU, dtype)


def network_for(params, data, seed=0):
    torch.manual_seed(seed)
    return build(Architecture.of(params, 2 * data.k + 1, BANDS, CLASSES))


class Run(NamedTuple):
    """What a training left behind."""

    history: list[Epoch]
    states: list[dict]  # weights after each epoch

    def weights(self):
        return b"".join(value.numpy().tobytes() for value in self.states[-1].values())

    def scores(self):
        """Return the history without what depends on the clock."""
        return [row[:6] for row in self.history]


def run(params, data, *, rehearse=False, train=None, dev=None, weights=None, seed=0):
    """Train a new network on the toy."""
    train = toy(TRAIN_LENGTHS, data, 0) if train is None else train
    dev = toy(DEV_LENGTHS, data, 1) if dev is None else dev
    network = network_for(params, data, seed)
    training = Training(network, train, dev, params, weights, torch.float32)
    if rehearse:
        training.rehearse()
    history, states = [], []
    for epoch in training.epochs(progress=False):
        history.append(epoch)
        states.append({name: value.clone() for name, value in network.state_dict().items()})
    return Run(history, states)


class Spy(nn.Sequential):
    """A network that remembers the windows it was trained on."""

    def __init__(self, inputs):
        super().__init__(nn.Linear(inputs, CLASSES))
        self.batches = []

    def forward(self, windows):
        if self.training:
            self.batches.append(windows.clone())
        return super().forward(windows)


def spied(params, lengths, frames, data):
    """Return the batches, each (B, W), that training on frames of one number would see."""
    starts = window_starts(lengths, data.k, data.padding)
    split = place(frames, starts, np.zeros(lengths.sum(), int), data, CPU, torch.float32)
    spy = Spy(2 * data.k + 1)
    list(Training(spy, split, split, params, None, torch.float32).epochs(progress=False))
    return spy.batches


# --- what it learns


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_can_be_learnt_is_learnt(tiny, one_side, optimizer):
    lr = 0.1 if optimizer == "sgd" else 0.01
    params = replace(tiny, optimizer=optimizer, lr=lr, momentum=0.9, epochs=40)
    last = run(params, one_side).history[-1]
    assert last.train_accuracy == 1
    assert last.dev_accuracy == 1
    assert last.dev_loss < 0.1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_optimizer_runs_with_every_schedule(tiny, one_side, optimizer, schedule):
    params = replace(tiny, optimizer=optimizer, schedule=schedule, epochs=4, warmup_epochs=0.5)
    history = run(params, one_side).history
    assert [row.epoch for row in history] == [1, 2, 3, 4]
    assert all(np.isfinite(row).all() for row in history)
    steps = 3
    dev_losses = [row.dev_loss for row in history]
    assert [row.lr for row in history] == [
        params.lr * rate_factor(params, epoch + (steps - 0.5) / steps, dev_losses[:epoch])
        for epoch in range(4)
    ]


# --- a plain loop


def plain_loop(params, data, weights):
    """Train as a textbook does, on windows cut out one by one; return the weights."""
    split = toy(TRAIN_LENGTHS, Data(k=0, padding="zero"), 0)
    windows = []
    for utterance in torch.split(split.windows[split.starts], TRAIN_LENGTHS.tolist()):
        padded = F.pad(utterance, (0, 0, data.k, data.k))
        windows += [padded[n : n + 2 * data.k + 1].flatten() for n in range(len(utterance))]
    windows, labels = torch.stack(windows), split.labels
    count = len(windows)

    network = network_for(params, data).train()
    kinds = {
        "sgd": lambda it: torch.optim.SGD(
            it, params.lr, momentum=params.momentum, weight_decay=params.weight_decay
        ),
        "adam": lambda it: torch.optim.Adam(it, params.lr, weight_decay=params.weight_decay),
        "adamw": lambda it: torch.optim.AdamW(it, params.lr, weight_decay=params.weight_decay),
    }
    optimizer = kinds[params.optimizer](network.parameters())
    criterion = nn.CrossEntropyLoss(weights, label_smoothing=params.label_smoothing)
    shuffle = torch.Generator().manual_seed(params.seed)
    for epoch in range(params.epochs):
        order = torch.randperm(count, generator=shuffle).tolist()
        order += order[: -count % params.batch_size]
        steps = len(order) // params.batch_size
        for step in range(steps):
            batch = order[step * params.batch_size : (step + 1) * params.batch_size]
            optimizer.zero_grad()
            criterion(network(windows[batch]), labels[batch]).backward()
            if params.clip_norm:
                nn.utils.clip_grad_norm_(network.parameters(), params.clip_norm)
            for group in optimizer.param_groups:
                group["lr"] = params.lr * rate_factor(params, epoch + (step + 0.5) / steps, [])
            optimizer.step()
    return network.state_dict()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"normalization": "batch", "normalize": "after"},
        {"normalization": "layer"},
        {"schedule": "onecycle", "warmup_epochs": 0.5},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"clip_norm": 0.1},
        {"label_smoothing": 0.2},
        {"class_weights": "balanced", "label_smoothing": 0.1},
        {"batch_size": 10},
    ],
    ids=lambda changes: " ".join(changes) or "plain",
)
def test_training_agrees_with_a_plain_loop(tiny, one_side, optimizer, changes):
    params = replace(tiny, optimizer=optimizer, lr=0.02, epochs=3, seed=5, **changes)
    labels = toy(TRAIN_LENGTHS, one_side, 0).labels
    weights = class_weights(labels, CLASSES, params.class_weights)
    expected = plain_loop(params, one_side, weights)
    actual = run(params, one_side, weights=weights).states[-1]
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-3, atol=1e-5)


class Waiting(TorchDispatchMode):
    """Remembers the operations that wait for a device's values, since what follows needs them."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        chosen = args[1] if name == "index" else []
        if name in {"_local_scalar_dense", "masked_select", "nonzero"} or any(
            each is not None and each.dtype == torch.bool for each in chosen
        ):
            self.seen.add(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_weights": "sqrt"},
        {"class_weights": "balanced", "label_smoothing": 0.1},
        {"clip_norm": 0.1, "label_smoothing": 0.1, "weight_decay": 0.1, "optimizer": "adamw"},
        {"dropout": 0.1, "normalization": "batch", "optimizer": "adam"},
        {"augment": {"mel_scale": 0.1, "speed": 0.1, "gain": 0.1}},
        {"augment": {"noise": 0.1, "time_masks": 1, "band_masks": 1}},
    ],
    ids=lambda changes: " ".join(changes) or "plain",
)
def test_a_step_never_waits_for_the_device(tiny, one_side, changes):
    distortions = changes.get("augment", {})
    changes = changes | {"augment": replace(tiny.augment, **distortions)}
    params = replace(tiny, **changes)
    split = toy(TRAIN_LENGTHS, one_side, 0)
    weights = class_weights(split.labels, CLASSES, params.class_weights)
    network = network_for(params, one_side).train()
    training = Training(network, split, split, params, weights, torch.float32)
    with Waiting() as waiting:
        training._update()
    assert waiting.seen == set()


# --- which frames it sees


@given(st.integers(1, 30), st.integers(1, 12))
def test_every_frame_is_seen_in_every_epoch_and_every_batch_is_full(tiny, count, batch_size):
    params = replace(tiny, batch_size=batch_size, epochs=3)
    numbered = np.arange(count, dtype=np.float32)[:, None]
    batches = spied(params, np.array([count]), numbered, Data(k=0, padding="zero"))
    size = min(batch_size, count)
    steps = -(-count // size)
    assert {len(batch) for batch in batches} == {size}
    assert len(batches) == 3 * steps
    for epoch in range(3):
        seen = torch.cat(batches[epoch * steps : (epoch + 1) * steps])[:, 0].int().tolist()
        assert sorted(seen[:count]) == list(range(count))
        assert seen[count:] == seen[: len(seen) - count]  # the fill


def test_every_epoch_has_its_own_order(tiny):
    params = replace(tiny, batch_size=30, epochs=3)
    numbered = np.arange(30, dtype=np.float32)[:, None]
    batches = spied(params, np.array([30]), numbered, Data(k=0, padding="zero"))
    orders = {tuple(batch[:, 0].tolist()) for batch in batches}
    assert len(orders) == 3 and tuple(numbered[:, 0]) not in orders


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_frames_of_different_utterances_never_meet_in_a_window(tiny, padding):
    lengths = np.array([3, 1, 5, 2, 1])
    owner = np.repeat(np.arange(1, 6), lengths)  # 0 is padding
    frames = owner.astype(np.float32)[:, None]
    for batch in spied(tiny, lengths, frames, Data(k=3, padding=padding)):
        own = batch[:, 3:4]
        assert ((batch == own) | ((batch == 0) & (padding == "zero"))).all()


def test_a_window_is_trained_on_with_the_label_of_its_middle(tiny, one_side):
    split = toy(TRAIN_LENGTHS, one_side, 0)
    params = replace(tiny, batch_size=len(split.starts), epochs=1)
    initial = network_for(params, one_side)
    with torch.no_grad():
        logits = initial(split.windows[split.starts])
    row = run(params, one_side, train=split).history[0]
    assert row.train_loss == pytest.approx(F.cross_entropy(logits, split.labels).item(), rel=1e-5)
    accuracy = (logits.argmax(1) == split.labels).double().mean().item()
    assert row.train_accuracy == pytest.approx(accuracy)


def test_the_loss_is_smoothed_as_torch_smooths_it(tiny, one_side):
    split = toy(TRAIN_LENGTHS, one_side, 0)
    params = replace(tiny, batch_size=1000, epochs=1, label_smoothing=0.2)
    with torch.no_grad():
        logits = network_for(params, one_side)(split.windows[split.starts])
    expected = F.cross_entropy(logits, split.labels, label_smoothing=0.2).item()
    assert run(params, one_side).history[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_the_labels_of_neighbours_are_learnt_with_equal_weight(tiny, one_side):
    n = 2
    params = replace(tiny, epochs=1, batch_size=1000, neighbours=n)
    plain = toy(TRAIN_LENGTHS, one_side, 0)
    around = labels_around(plain.labels.numpy(), plain.starts.numpy(), n)
    split = plain._replace(labels=torch.from_numpy(around))
    logits = network_for(params, one_side)(split.windows[split.starts])
    (row,) = run(params, one_side, train=split).history
    each = [F.cross_entropy(logits[:, j], split.labels[:, j]).item() for j in range(2 * n + 1)]
    assert row.train_loss == pytest.approx(np.mean(each), rel=1e-5)
    accuracy = (logits[:, n].argmax(1) == plain.labels).double().mean().item()
    assert row.train_accuracy == pytest.approx(accuracy)


def test_a_loss_that_weighs_classes_is_not_fused(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "phonemes.fused", SimpleNamespace(FusedStep=lambda *_: "it"))

    def fused(weights):
        on_a_gpu = SimpleNamespace(
            params=replace(tiny, fused="always", normalization="batch"),
            train=SimpleNamespace(windows=torch.empty(1, 4)),
            network=None,
            optimizer=None,
            weights=weights,
            dtype=torch.bfloat16,
            device=torch.device("cuda"),
            steps=1,
            batch=2,
        )
        return Training._fuse(on_a_gpu)

    assert fused(None) == "it"
    assert fused(torch.ones(CLASSES)) is None


def test_a_batch_larger_than_the_split_is_the_whole_split(tiny, one_side):
    whole = replace(tiny, batch_size=int(TRAIN_LENGTHS.sum()))
    larger = replace(tiny, batch_size=10_000)
    assert run(larger, one_side).weights() == run(whole, one_side).weights()


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_one_frame_is_enough_without_batch_normalization(tiny, one_side, normalization):
    one = toy(np.array([1]), one_side, 0)
    history = run(replace(tiny, normalization=normalization), one_side, train=one).history
    assert len(history) == 2


def test_one_frame_is_too_little_for_batch_normalization(tiny, one_side):
    one = toy(np.array([1]), one_side, 0)
    with pytest.raises(InputError, match="one frame and batch normalization needs two; set"):
        run(replace(tiny, normalization="batch"), one_side, train=one)


# --- dev


def test_dev_is_never_trained_on(tiny, one_side):
    params = replace(tiny, normalization="batch", dropout=0.3)
    labels = np.random.default_rng(9).permutation(toy(DEV_LENGTHS, one_side, 1).labels.numpy())
    other = toy(np.array([2, 40]), one_side, 7)
    expected = run(params, one_side)
    shuffled = run(params, one_side, dev=toy(DEV_LENGTHS, one_side, 1, labels=labels))
    assert shuffled.weights() == expected.weights()
    assert shuffled.history[-1].dev_loss != expected.history[-1].dev_loss
    assert run(params, one_side, dev=other).weights() == expected.weights()


def test_dev_is_scored_with_the_weights_of_the_epoch_just_done(tiny, one_side):
    params = replace(tiny, normalization="batch", dropout=0.3, epochs=3)
    dev = toy(DEV_LENGTHS, one_side, 1)
    done = run(params, one_side)
    for row, state in zip(done.history, done.states, strict=True):
        network = network_for(params, one_side)
        network.load_state_dict(state)
        outcomes = classify(network, dev, 100, torch.float32)
        assert row.dev_loss == pytest.approx(outcomes.loss.mean().item(), rel=1e-5)
        right = (outcomes.predicted == dev.labels).double().mean().item()
        assert row.dev_accuracy == pytest.approx(right)


def test_an_epoch_hands_over_its_own_weights(tiny, one_side):
    three, one = (run(replace(tiny, epochs=epochs), one_side) for epochs in (3, 1))
    for name, value in one.states[0].items():
        assert torch.equal(three.states[0][name], value)
    assert three.weights() != one.weights()


def test_the_best_epoch_is_kept_with_its_weights(tiny, one_side):
    training = training_of(replace(tiny, normalization="batch", dropout=0.3, epochs=40), one_side)
    states = [
        {name: value.clone() for name, value in training.network.state_dict().items()}
        for _ in training.epochs(progress=False)
    ]
    assert 1 < training.best.epoch < 40
    for name, value in states[training.best.epoch - 1].items():
        assert torch.equal(training.best_state[name], value)


# --- when it ends


def stopped_after(tiny, one_side, monkeypatch, accuracies, patience):
    """Return after how many epochs a run stops whose dev accuracies are those given."""
    planned = iter(accuracies)

    def planned_outcomes(network, split, batch, dtype):
        right = round(next(planned) * len(split.starts))
        predicted = split.labels.clone()
        predicted[right:] += 1
        return Outcomes(predicted, torch.ones(len(split.starts)), torch.empty(0))

    monkeypatch.setattr(phonemes.training, "classify", planned_outcomes)
    params = replace(tiny, epochs=len(accuracies), early_stopping=patience)
    dev = toy(np.array([10]), one_side, 1)
    return len(run(params, one_side, dev=dev).history)


@pytest.mark.parametrize(
    ("accuracies", "patience", "epochs"),
    [
        ([0.5, 0.4, 0.3, 0.2, 0.1], 0, 5),
        ([0.5, 0.4, 0.6, 0.2, 0.1], 1, 2),
        ([0.5, 0.4, 0.6, 0.2, 0.1], 2, 5),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 1, 5),
        ([0.5, 0.5, 0.5, 0.5, 0.9], 2, 3),
        ([0.1, 0.5, 0.4, 0.4, 0.4], 3, 5),
        ([0.1, 0.5, 0.4, 0.4, 0.4], 2, 4),
    ],
)
def test_training_stops_when_dev_accuracy_has_not_risen_for_long_enough(
    tiny, one_side, monkeypatch, accuracies, patience, epochs
):
    assert stopped_after(tiny, one_side, monkeypatch, accuracies, patience) == epochs


def test_divergence_is_named_with_its_epoch_and_the_fix(tiny, one_side, monkeypatch):
    leap = {0: 1e-3, 1: 1e30}  # the factor of each epoch
    monkeypatch.setattr(phonemes.training, "rate_factor", lambda _, time, __: leap[int(time)])
    with pytest.raises(InputError) as refused:
        run(tiny, one_side)
    assert str(refused.value) == (
        "training diverged in epoch 2, step 2 of 3: the loss is nan; "
        "lower train.lr, raise train.warmup_epochs, or set train.clip_norm to 1"
    )


@pytest.mark.parametrize("changes", [{"lr": 100.0, "hidden": (64, 64)}, {"lr": float("inf")}])
def test_a_rate_far_too_high_diverges(tiny, one_side, changes):
    with pytest.raises(InputError, match="training diverged in epoch"):
        run(replace(tiny, epochs=30, momentum=0.9, **changes), one_side)


def test_divergence_in_the_very_last_step_is_named_too(tiny, one_side):
    params = replace(tiny, lr=float("inf"), batch_size=1000, epochs=1)
    with pytest.raises(InputError, match="training diverged in epoch 1, step 1 of 1: the loss is "):
        run(params, one_side)


# --- chance


RANDOM = {"normalization": "batch", "dropout": 0.3, "momentum": 0.9}


def test_the_same_seed_gives_the_same_bytes(tiny, one_side):
    params = replace(tiny, **RANDOM)
    first, second = run(params, one_side), run(params, one_side)
    assert first.weights() == second.weights()
    assert first.scores() == second.scores()


def test_another_seed_gives_another_order(tiny, one_side):
    one, two = (run(replace(tiny, seed=seed), one_side) for seed in (1, 2))
    assert one.weights() != two.weights()


def test_another_random_state_gives_other_dropout(tiny, one_side):
    params = replace(tiny, dropout=0.5)
    network = network_for(params, one_side).state_dict()
    weights = []
    for seed in (1, 2):
        fresh = network_for(params, one_side)
        fresh.load_state_dict(network)
        torch.manual_seed(seed)
        split = toy(TRAIN_LENGTHS, one_side, 0)
        list(Training(fresh, split, split, params, None, torch.float32).epochs(progress=False))
        weights.append(fresh[0].weight.detach().clone())
    assert not torch.equal(*weights)


def test_the_order_of_frames_ignores_every_global_random_state(tiny):
    numbered = np.arange(30, dtype=np.float32)[:, None]
    seen = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  the global state is the point
        random.seed(seed)
        batches = spied(tiny, np.array([30]), numbered, Data(k=0, padding="zero"))
        seen.append(torch.cat(batches))
    assert torch.equal(*seen)


def test_what_ran_before_leaves_no_trace(tiny, one_side):
    params = replace(tiny, **RANDOM)
    expected = run(params, one_side).weights()
    np.random.seed(99)  # noqa: NPY002  the global state is the point
    random.seed(99)
    torch.rand(17)
    run(replace(params, seed=7, optimizer="adam"), one_side)
    assert run(params, one_side).weights() == expected


# --- the rehearsal


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_rehearsal_changes_nothing_that_follows(tiny, one_side, optimizer, momentum):
    params = replace(tiny, **RANDOM | {"momentum": momentum}, optimizer=optimizer)
    rehearsed = run(params, one_side, rehearse=True)
    assert rehearsed.weights() == run(params, one_side).weights()
    assert rehearsed.scores() == run(params, one_side).scores()


def rehearsed(params, data, rate=0.0):
    network = network_for(params, data)
    split, dev = toy(TRAIN_LENGTHS, data, 0), toy(DEV_LENGTHS, data, 1)
    training = Training(network, split, dev, params, None, torch.float32)
    training._rates.fill_(rate)
    return training, training.rehearse()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rehearsal_leaves_weights_optimizer_and_chance_as_they_were(tiny, one_side, optimizer):
    params = replace(tiny, **RANDOM, optimizer=optimizer)
    before = network_for(params, one_side).state_dict()
    chance = torch.get_rng_state()
    training, _ = rehearsed(params, one_side, rate=0.1)
    assert torch.equal(torch.get_rng_state(), chance)
    for name, value in training.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    state = [value for values in training.optimizer.state.values() for value in values.values()]
    assert state and not any(value.any() for value in state)


def test_a_rehearsal_counts_parameters_and_bytes(tiny, one_side):
    _, cost = rehearsed(tiny, one_side)
    parameters = 12 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3
    assert cost.parameters == parameters
    frames = [(35, 4), (14, 2)]  # of train and dev, with their utterances
    padded = [(count + utterances + 1) * BANDS * 4 for count, utterances in frames]
    assert cost.resident_bytes == sum(padded) + (35 + 14) * (4 + 8)  # starts and labels
    assert cost.step_bytes > 2 * 4 * parameters + 16 * 12 * 4  # weights, gradients and a batch
    assert cost.epoch_seconds > 0


def test_a_rehearsal_counts_what_the_optimizer_keeps(tiny, one_side):
    sgd, momentum, adam = (
        rehearsed(replace(tiny, **changes), one_side)[1]
        for changes in ({}, {"momentum": 0.9}, {"optimizer": "adam"})
    )
    assert momentum.step_bytes - sgd.step_bytes == 4 * sgd.parameters
    assert adam.step_bytes - sgd.step_bytes == 2 * 4 * sgd.parameters + 6 * 4  # and step counts


def test_a_rehearsal_counts_larger_batches(tiny, one_side):
    small, large = (
        rehearsed(replace(tiny, batch_size=size), one_side)[1].step_bytes for size in (8, 32)
    )
    assert large - small >= 24 * (12 + 8 + 6) * 4  # inputs of the three layers


# --- one step at each rate


def training_of(params, data):
    train, dev = toy(TRAIN_LENGTHS, data, 0), toy(DEV_LENGTHS, data, 1)
    return Training(network_for(params, data), train, dev, params, None, torch.float32)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_at_one_rate_are_those_of_epochs_at_a_constant_rate(tiny, one_side, optimizer):
    params = replace(tiny, optimizer=optimizer, lr=0.02, **RANDOM)
    expected = run(params, one_side)
    training = training_of(params, one_side)
    losses = list(training.losses([params.lr] * params.epochs * 3))  # steps of 16 of 35 frames
    for epoch, row in enumerate(expected.history):
        assert np.mean(losses[3 * epoch :][:3]) == pytest.approx(row.train_loss)
    for name, value in training.network.state_dict().items():
        assert torch.equal(value, expected.states[-1][name])
    assert training.history == []


def test_each_step_has_its_own_rate(tiny, one_side):
    training = training_of(tiny, one_side)
    weight = training.network[0].weight
    before, moved = weight.detach().clone(), []
    for _ in training.losses([0.1, 0.0, 0.1, 0.0, 0.1]):
        moved.append(not torch.equal(weight, before))
        before = weight.detach().clone()
    assert moved == [True, False, True, False, True]


def test_the_loss_of_a_step_that_diverges_is_handed_over_as_it_is(tiny, one_side):
    losses = list(training_of(tiny, one_side).losses([float("inf")] * 2))
    assert np.isfinite(losses).tolist() == [True, False]


# --- class weights


@given(st.lists(st.integers(0, 4), min_size=1), st.sampled_from(["balanced", "sqrt"]))
def test_the_mean_weight_of_the_frames_is_1(labels, scheme):
    labels = torch.tensor(labels)
    weights = class_weights(labels, 6, scheme)
    assert weights[labels].mean().item() == pytest.approx(1, rel=1e-5)
    absent = torch.bincount(labels, minlength=6) == 0
    assert torch.equal(weights == 0, absent)


def test_balanced_weights_give_every_class_the_same_say():
    labels = torch.tensor([0] * 90 + [1] * 9 + [3])
    weights = class_weights(labels, 4, "balanced")
    assert (weights * torch.tensor([90, 9, 0, 1])).tolist() == pytest.approx(
        [100 / 3] * 2 + [0, 100 / 3]
    )


def test_sqrt_weights_lie_half_way_in_between():
    weights = class_weights(torch.tensor([0] * 100 + [1]), 2, "sqrt")
    assert (weights[1] / weights[0]).item() == pytest.approx(10)


def test_no_scheme_means_no_weights():
    assert class_weights(torch.tensor([0, 1]), 2, "none") is None


# --- odds and ends


def test_bfloat16_learns_too(tiny, one_side):
    params = replace(tiny, epochs=30, momentum=0.9)
    train, dev = (
        toy(lengths, one_side, seed, dtype=torch.bfloat16)
        for seed, lengths in enumerate((TRAIN_LENGTHS, DEV_LENGTHS))
    )
    network = network_for(params, one_side)
    training = Training(network, train, dev, params, None, torch.bfloat16)
    *_, last = training.epochs(progress=False)
    assert last.dev_accuracy == 1
    assert next(network.parameters()).dtype == torch.float32


def test_an_epoch_says_how_it_went_and_the_bar_appears_only_where_asked_for(tiny, one_side, capsys):
    run(tiny, one_side)
    quiet = capsys.readouterr()
    split = toy(TRAIN_LENGTHS, one_side, 0)
    network = network_for(tiny, one_side)
    list(Training(network, split, split, tiny, None, torch.float32).epochs(progress=True))
    assert quiet.err == ""
    assert [line[:14] for line in quiet.out.splitlines()] == ["epoch 1: loss ", "epoch 2: loss "]
    assert "epoch 2/2" in capsys.readouterr().err


# --- distorted windows


def distorting(params, **change):
    return replace(params, augment=replace(params.augment, **change))


def test_windows_are_distorted_anew_in_every_step(tiny, one_side, monkeypatch):
    seen = []
    monkeypatch.setattr(
        phonemes.training,
        "distort",
        lambda windows, augment, drawn: seen.append(drawn.uniform.clone()) or windows,
    )
    params = distorting(tiny, gain=0.5)
    train = toy(TRAIN_LENGTHS, one_side, 1)
    network = network_for(params, one_side)
    list(Training(network, train, train, params, None, torch.float32).epochs(progress=False))
    assert len(seen) == params.epochs * 3  # steps of 16 of 35 frames
    assert len({each.numpy().tobytes() for each in seen}) == len(seen)


def test_only_training_sees_distorted_windows(tiny, one_side):
    params = distorting(replace(tiny, epochs=1), noise=5.0, time_masks=1, time_mask=3)
    split = toy(TRAIN_LENGTHS, one_side, 1)
    before = split.windows.clone()
    network = network_for(params, one_side)
    epoch = next(Training(network, split, split, params, None, torch.float32).epochs(False))
    assert torch.equal(split.windows, before)
    right = classify(network, split, 16, torch.float32).predicted == split.labels
    assert epoch.dev_accuracy == pytest.approx(right.float().mean().item())


def test_the_same_seed_distorts_alike_and_another_one_otherwise(tiny, one_side):
    params = distorting(
        tiny, mel_scale=0.2, mel_shift=1.0, speed=0.2, gain=0.2, tilt=0.2, noise=0.2,
        time_masks=1, band_masks=1,
    )  # fmt: skip
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network = build(Architecture.of(params, 3, BANDS, CLASSES))
        for value in network.parameters():
            nn.init.constant_(value, 0.1)
        split = toy(TRAIN_LENGTHS, one_side, 1)
        torch.manual_seed(seed)
        list(Training(network, split, split, params, None, torch.float32).epochs(False))
        results.append(b"".join(v.numpy().tobytes() for v in network.state_dict().values()))
    assert results[0] == results[1]
    assert results[0] != results[2]
