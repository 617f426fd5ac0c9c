"""Training is a plain loop over shuffled windows, only faster: same batches, same weights."""

import copy
import io
import math
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import changed
from torch import nn
from tqdm import tqdm
from training.toy import (
    BANDS,
    CLASSES,
    DEV_LENGTHS,
    RANDOM,
    STEPS,
    TRAIN_LENGTHS,
    as_bytes,
    copied,
    finished,
    new_run,
    scores,
    states,
    toy,
    weights,
    windows_of,
)

from phonemes.context import window_starts
from phonemes.decoding.decode import decode
from phonemes.errors import InputError
from phonemes.inference.classify import classify
from phonemes.model.store import Model
from phonemes.storage.layout import HostSplit
from phonemes.training.loop import BAR, DivergedError, epochs
from phonemes.training.loss import class_weights
from phonemes.training.schedule import rate_factor
from phonemes.training.seeds import derived

OPTIMIZERS = ["sgd", "adam", "adamw"]
SCHEDULES = ["constant", "step", "exponential", "plateau", "cosine", "onecycle"]


# What it learns


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_can_be_learnt_is_learnt(tiny, optimizer):
    how = {"optimizer": optimizer, "lr": 0.1 if optimizer == "sgd" else 0.02, "momentum": 0.9}
    last = finished(new_run(changed(tiny, train=how | {"epochs": 20}))).history[-1]
    assert last.train_accuracy == 1
    assert last.dev_accuracy == 1
    assert last.dev_loss < 0.1


def test_bfloat16_learns_too(tiny):
    params = changed(tiny, train={"epochs": 20, "momentum": 0.9})
    run = finished(new_run(params, dtype=torch.bfloat16))
    assert run.history[-1].dev_accuracy == 1
    assert next(run.classifier.network.parameters()).dtype == torch.float32


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_has_the_rate_of_the_schedule(tiny, schedule):
    params = changed(tiny, train={"schedule": schedule, "epochs": 3, "warmup_epochs": 0.5})
    dev = toy(DEV_LENGTHS, params.data, 1)
    # labels that no frame has: the loss on dev rises while that on the training set falls
    run = new_run(params, dev=dev._replace(labels=(dev.labels + 1) % CLASSES))
    for number, row in enumerate(epochs(run, progress=False)):
        dev_losses = [before.dev_loss for before in run.history[:number]]
        expected = [
            params.train.lr * rate_factor(params.train, number + (step + 0.5) / STEPS, dev_losses)
            for step in range(STEPS)
        ]
        assert run.buffers.rates.tolist() == pytest.approx(expected)
        assert row.lr == pytest.approx(np.mean(expected))
    assert [row.epoch for row in run.history] == [1, 2, 3]
    assert np.isfinite(run.history).all()
    assert (len({row.lr for row in run.history[1:]}) == 1) == (schedule == "constant")


# A plain loop


def plain_loop(network, params):
    """Train as a textbook does, on windows cut out one by one; return the network's state."""
    train, split = params.train, toy(TRAIN_LENGTHS, params.data, 0)
    windows = windows_of(split, TRAIN_LENGTHS, params.data.k)
    labels = torch.from_numpy(split.labels)
    kinds = {
        "sgd": lambda it: torch.optim.SGD(
            it, train.lr, momentum=train.momentum, weight_decay=train.weight_decay
        ),
        "adam": lambda it: torch.optim.Adam(it, train.lr, weight_decay=train.weight_decay),
        "adamw": lambda it: torch.optim.AdamW(it, train.lr, weight_decay=train.weight_decay),
    }
    network.train()
    optimizer = kinds[train.optimizer](network.parameters())
    of_classes = class_weights(labels, 3, train.class_weights)
    criterion = nn.CrossEntropyLoss(of_classes, label_smoothing=train.label_smoothing)
    shuffle = torch.Generator().manual_seed(derived(train.seed, "order of frames"))
    for epoch in range(train.epochs):
        order = torch.randperm(len(windows), generator=shuffle).tolist()
        order += order[: -len(order) % train.batch_size]
        steps = len(order) // train.batch_size
        for step in range(steps):
            batch = order[step * train.batch_size : (step + 1) * train.batch_size]
            optimizer.zero_grad()
            criterion(network(windows[batch]), labels[batch]).backward()
            if train.clip_norm:
                nn.utils.clip_grad_norm_(network.parameters(), train.clip_norm)
            for group in optimizer.param_groups:
                group["lr"] = train.lr * rate_factor(train, epoch + (step + 0.5) / steps, [])
            optimizer.step()
    return network.state_dict()


@pytest.mark.parametrize(
    ("model", "train"),
    [
        ({}, {"optimizer": "sgd"}),
        ({}, {"optimizer": "adam"}),
        ({}, {"optimizer": "adamw"}),
        ({"norm": "batch", "norm_position": "after"}, {"optimizer": "sgd"}),
        ({"norm": "batch"}, {"optimizer": "adam"}),
        ({"norm": "layer"}, {"optimizer": "adamw"}),
        ({}, {"optimizer": "adamw", "schedule": "onecycle", "warmup_epochs": 0.5}),
        ({}, {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1}),
        ({}, {"optimizer": "adam", "weight_decay": 0.1}),
        ({}, {"optimizer": "adamw", "weight_decay": 0.1}),
        ({}, {"optimizer": "sgd", "clip_norm": 0.1}),
        ({}, {"optimizer": "adam", "label_smoothing": 0.2}),
        ({}, {"optimizer": "sgd", "class_weights": "balanced", "label_smoothing": 0.1}),
        ({}, {"optimizer": "adamw", "class_weights": "sqrt"}),
        ({}, {"optimizer": "adam", "batch_size": 10}),
    ],
    ids=str,
)
def test_training_agrees_with_a_plain_loop(tiny, model, train):
    params = changed(tiny, model=model, train={"lr": 0.02, "epochs": 3, "seed": 5} | train)
    run = new_run(params)
    expected = plain_loop(copy.deepcopy(run.classifier.network), params)
    actual = finished(run).classifier.network.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-3, atol=1e-5)


class NotedBatches:
    """Batches that note what is asked of them."""

    def __init__(self, batches, calls):
        self.batches, self.calls = batches, calls
        self.split, self.count, self.blocks = batches.split, batches.count, batches.blocks
        self.generator = batches.generator

    def begin(self, epoch, order):
        self.calls.append(("order", epoch))
        self.batches.begin(epoch, order)

    def before(self, step):
        self.calls.append(("frames", step))
        self.batches.before(step)


class NotedStep:
    """A step that notes what is asked of it."""

    def __init__(self, step, calls):
        self.step, self.calls = step, calls

    def begin(self, epoch):
        self.calls.append(("epoch", epoch))
        self.step.begin(epoch)

    def update(self, order, cursor, rates, totals):
        self.calls.append(("update", int(cursor)))
        self.step.update(order, cursor, rates, totals)

    def memory(self):
        return self.step.memory()


def test_frames_are_asked_for_before_the_step_that_reads_them(tiny):
    run, calls = new_run(tiny), []
    run.batches, run.step = NotedBatches(run.batches, calls), NotedStep(run.step, calls)
    finished(run)
    assert calls == [
        call
        for epoch in range(tiny.train.epochs)
        for call in [
            ("order", epoch),
            ("epoch", epoch),
            *[(what, step) for step in range(STEPS) for what in ("frames", "update")],
        ]
    ]


# The dev set


def test_dev_is_never_trained_on(tiny):
    params = changed(tiny, **RANDOM)
    dev = toy(DEV_LENGTHS, params.data, 1)
    shuffled = np.random.default_rng(9).permutation(dev.labels)
    expected = finished(new_run(params))
    relabelled = finished(new_run(params, dev=dev._replace(labels=shuffled)))
    assert weights(relabelled) == weights(expected)
    assert relabelled.history[-1].dev_loss != expected.history[-1].dev_loss
    other = finished(new_run(params, dev=toy(np.array([2, 40]), params.data, 7)))
    assert weights(other) == weights(expected)


def test_dev_is_scored_with_the_weights_of_the_epoch_just_done(tiny):
    run = new_run(changed(tiny, **RANDOM))
    for row in epochs(run, progress=False):
        found = classify(run.classifier, run.dev, torch.float32)
        assert row.dev_loss == found.loss.mean().item()
        assert row.dev_accuracy == (found.predicted == run.dev.labels).double().mean().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dev_is_scored_as_the_kept_model_scores_it_whatever_the_batch_size(tiny, dtype):
    for batch_size in (7, 5000):
        params = changed(tiny, model={"target_context": 1}, train={"batch_size": batch_size})
        run = finished(new_run(params, dtype=dtype))
        kept = Model([run.trained.classifier(run.device)], [])
        scores = decode(kept, run.dev, DEV_LENGTHS, dtype, None)
        assert run.best.dev_loss == scores.loss.mean().item()
        right = (scores.predicted == run.dev.labels).double().mean().item()
        assert run.best.dev_accuracy == right


def test_the_network_after_an_epoch_does_not_depend_on_later_ones(tiny):
    three, one = (states(new_run(changed(tiny, train={"epochs": n}))) for n in (3, 1))
    assert as_bytes(three[0]) == as_bytes(one[0])
    assert as_bytes(three[-1]) != as_bytes(one[-1])


# When it ends, and what it keeps


class ConstantStep:
    """A step after which the network predicts one class everywhere, another in each epoch."""

    def __init__(self, network, classes):
        self.output, self.classes = network[-1], classes

    @torch.no_grad()
    def begin(self, epoch):
        self.output.weight.zero_()
        self.output.bias.zero_()
        self.output.bias[self.classes[epoch]] = epoch + 1

    def update(self, order, cursor, rates, totals):
        cursor += 1
        totals[2] += 1

    def memory(self):
        return None


def run_with_dev_accuracies(tiny, ranks, patience=0):
    """Return a run whose dev accuracy in each epoch has a rank, from 0."""
    labels = np.repeat(np.arange(6), np.arange(1, 7))  # class c has c + 1 frames
    starts = window_starts(np.array([len(labels)]), tiny.data.k, tiny.data.padding)
    dev = HostSplit(np.zeros((len(labels), BANDS), np.float32), starts, labels)
    params = changed(tiny, train={"epochs": len(ranks), "early_stopping_patience": patience})
    run = new_run(params, dev=dev, classes=6)
    run.step = ConstantStep(run.classifier.network, ranks)
    return run


@pytest.mark.parametrize(
    ("ranks", "patience", "count"),
    [
        ([5, 4, 3, 2, 1], 0, 5),
        ([4, 3, 5, 1, 0], 1, 2),
        ([4, 3, 5, 1, 0], 2, 5),
        ([0, 1, 2, 3, 4], 1, 5),
        ([3, 3, 3, 3, 5], 2, 3),
        ([0, 4, 3, 3, 3], 3, 5),
        ([0, 4, 3, 3, 3], 2, 4),
    ],
)
def test_training_stops_when_dev_accuracy_has_not_risen_for_long_enough(
    tiny, ranks, patience, count
):
    run = finished(run_with_dev_accuracies(tiny, ranks, patience))
    assert len(run.history) == count
    assert [row.dev_accuracy for row in run.history] == [(rank + 1) / 21 for rank in ranks[:count]]


def test_the_first_epoch_of_the_highest_dev_accuracy_is_kept_with_its_weights(tiny):
    run = run_with_dev_accuracies(tiny, [0, 4, 2, 4])
    after = states(run)
    assert run.best == run.history[1]
    assert as_bytes(run.best_state) == as_bytes(after[1]) != as_bytes(after[3])
    network = run.trained.classifier(run.device).network
    assert as_bytes(network.state_dict()) == as_bytes(after[1])
    assert not network.training


def test_divergence_is_named_with_its_epoch_and_the_fix(tiny):
    run = new_run(tiny)
    progress = epochs(run, progress=False)
    next(progress)
    run.train = replace(run.train, lr=1e30)
    with pytest.raises(DivergedError) as refused:
        next(progress)
    assert str(refused.value) == (
        "training diverged in epoch 2, step 2 of 3: the loss is nan; "
        "lower train.lr, raise train.warmup_epochs, or set train.clip_norm to 1"
    )
    assert len(run.history) == 1 and run.best_state  # what was good is not lost


@pytest.mark.parametrize("lr", [100.0, math.inf])
def test_a_rate_far_too_high_diverges(tiny, lr):
    train = {"lr": lr, "epochs": 30, "momentum": 0.9}
    with pytest.raises(InputError, match="training diverged in epoch"):
        finished(new_run(changed(tiny, model={"hidden": (64, 64)}, train=train)))


def test_divergence_in_the_very_last_step_is_named_too(tiny):
    params = changed(tiny, train={"lr": math.inf, "batch_size": 1000, "epochs": 1})
    with pytest.raises(InputError, match="training diverged in epoch 1, step 1 of 1: the loss is "):
        finished(new_run(params))


# Chance


def test_the_same_seed_gives_the_same_bytes_whatever_ran_before(tiny):
    params = changed(tiny, **RANDOM)
    expected = finished(new_run(params))
    np.random.seed(99)  # noqa: NPY002  the global state is the point
    random.seed(99)
    torch.rand(17)
    finished(new_run(changed(params, train={"seed": 7, "optimizer": "adam"})))
    again = finished(new_run(params))
    assert weights(again) == weights(expected)
    assert scores(again) == scores(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"dropout": 0.5}},
        {
            "augment": {
                "mel_scale": 0.2, "mel_shift": 1.0, "time_warp": 0.2, "gain": 0.2,
                "spectral_tilt": 0.2, "noise": 0.2, "time_masks": 1, "band_masks": 1,
            }
        },
    ],
    ids=["dropout", "augment"],
)  # fmt: skip
def test_dropout_and_distortions_follow_torchs_random_state(tiny, changes):
    results = []
    for seed in (1, 1, 2):
        run = new_run(changed(tiny, **changes))
        torch.manual_seed(seed)
        results.append(weights(finished(run)))
    assert results[0] == results[1] != results[2]


def test_the_order_of_frames_ignores_every_global_random_state(tiny):
    results = []
    for seed in (1, 2):
        run = new_run(tiny)
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  the global state is the point
        random.seed(seed)
        results.append(weights(finished(run)))
    assert results[0] == results[1]


def test_another_order_gives_other_weights(tiny):
    runs = [new_run(tiny) for _ in range(2)]
    assert as_bytes(copied(runs[0])) == as_bytes(copied(runs[1]))
    runs[1].batches.generator.manual_seed(2)
    assert weights(finished(runs[0])) != weights(finished(runs[1]))


# What it prints


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_epoch_says_how_it_went_and_the_bar_appears_only_where_asked_for(
    tiny, capsys, monkeypatch
):
    finished(new_run(tiny))
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert [line[:14] for line in quiet.out.splitlines()] == ["epoch 1: loss ", "epoch 2: loss "]
    monkeypatch.setattr(sys, "stderr", Terminal())
    list(epochs(new_run(tiny), progress=True))
    assert "epoch 2/2: 100%|" in sys.stderr.getvalue()


def test_a_pipe_gets_no_bar_and_no_control_characters(tiny, capsys):
    list(epochs(new_run(tiny), progress=True))
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.replace("\n", "").isprintable()


def test_the_bar_of_a_long_training_fits_80_columns():
    bar = tqdm.format_meter(
        70_000_000, 127_000_000, 599, 80, "epoch 33/60: ", unit=" frames", unit_scale=True,
        bar_format=BAR, postfix="accuracy=0.872, loss=1.240",
    )  # fmt: skip
    assert len(bar) <= 80
    assert bar.endswith("frames/s, accuracy=0.872, loss=1.240")


# Without a word


def test_no_line_is_printed_where_none_is_wanted_and_nothing_else_changes(tiny, capsys):
    told, quiet = new_run(tiny), new_run(tiny)
    told_rows = [row.dev_loss for row in epochs(told, progress=False)]
    assert capsys.readouterr().out.count("epoch") == len(told_rows)
    assert [row.dev_loss for row in epochs(quiet, progress=False, lines=False)] == told_rows
    assert capsys.readouterr().out == ""
