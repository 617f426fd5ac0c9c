"""A run that goes on from a checkpoint ends with the bytes of one that was never disturbed."""

import io
import os
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from test_training import DEV_LENGTHS, TRAIN_LENGTHS, network_for, toy

import phonemes.checkpoint
from phonemes.checkpoint import KEPT, Checkpoints, run_key
from phonemes.schedule import LOOK_AT_THE_END
from phonemes.training import Training

STATEFUL = {"normalization": "batch", "dropout": 0.3, "momentum": 0.9, "epochs": 4}
FREE_OF_THE_END = ["constant", "step", "exponential", "plateau"]


def new_training(params, data, seed=0):
    train, dev = toy(TRAIN_LENGTHS, data, 0), toy(DEV_LENGTHS, data, 1)
    return Training(network_for(params, data, seed), train, dev, params, None, torch.float32)


def finish(training):
    list(training.epochs(progress=False))
    return training


def outcome(training):
    """Return everything that a finished run leaves, as bytes and numbers."""
    states = [training.network.state_dict(), training.best_state]
    weights = [[value.numpy().tobytes() for value in state.values()] for state in states]
    return weights, [row[:6] for row in training.history], training.best.epoch


def through_a_file(state):
    """Return the state as it comes back from disk."""
    file = io.BytesIO()
    torch.save(state, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@pytest.mark.parametrize("rehearsed", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_run_stopped_after_any_epoch_ends_as_if_never_stopped(
    tiny, one_side, optimizer, done, rehearsed
):
    params = replace(tiny, optimizer=optimizer, schedule="onecycle", **STATEFUL)
    undisturbed = outcome(finish(new_training(params, one_side)))
    stopped = new_training(params, one_side)
    for _ in islice(stopped.epochs(progress=False), done):
        state = through_a_file(stopped.state())
    resumed = new_training(params, one_side, seed=99)
    if rehearsed:
        resumed.rehearse()
    resumed.restore(state)
    assert len(resumed.history) == done
    assert outcome(finish(resumed)) == undisturbed


@pytest.mark.parametrize("schedule", FREE_OF_THE_END)
def test_more_epochs_go_on_and_give_the_bytes_of_a_longer_run(tiny, one_side, tmp_path, schedule):
    longer = replace(tiny, optimizer="adam", schedule=schedule, **STATEFUL)
    shorter = finish(new_training(replace(longer, epochs=2), one_side))
    checkpoints = Checkpoints(tmp_path, "key")
    assert checkpoints.save(shorter.state(), 2, last=True) == ""
    state, why = checkpoints.load(4, schedule)
    assert why == "going on after epoch 2, 2 of 4 epochs saved"
    resumed = new_training(longer, one_side, seed=99)
    resumed.restore(state)
    assert outcome(finish(resumed)) == outcome(finish(new_training(longer, one_side)))


@pytest.mark.parametrize("schedule", LOOK_AT_THE_END)
def test_where_the_schedule_looks_at_the_end_more_epochs_start_afresh_and_say_so(
    tiny, one_side, tmp_path, schedule
):
    training = finish(new_training(replace(tiny, schedule=schedule), one_side))
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(training.state(), 2, last=True)
    state, why = checkpoints.load(3, schedule)
    assert state is None
    assert why == (
        f"a run of 2 epochs is stored, but train.schedule {schedule} depends on train.epochs: "
        "training starts afresh"
    )


def test_a_finished_run_has_nothing_left_to_train_and_says_how_to_begin_anew(
    tiny, one_side, tmp_path
):
    finished = finish(new_training(tiny, one_side))
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(finished.state(), 2, last=True)
    state, why = checkpoints.load(2, "cosine")
    assert why == (
        f"all 2 epochs are saved, nothing is left to train; delete {tmp_path} to train them anew"
    )
    again = new_training(tiny, one_side, seed=99)
    again.restore(state)
    assert outcome(finish(again)) == outcome(finished)


def test_fewer_epochs_start_afresh(tiny, one_side, tmp_path):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(finish(new_training(tiny, one_side)).state(), 2, last=True)
    assert checkpoints.load(1, "constant") == (None, "")


def test_without_a_checkpoint_a_run_begins_quietly(tmp_path):
    assert Checkpoints(tmp_path, "key").load(2, "constant") == (None, "")


def test_a_run_that_stopped_early_stays_stopped(tiny, one_side):
    params = replace(tiny, lr=1e-12, epochs=9, early_stopping=2)
    stopped = finish(new_training(params, one_side))
    assert len(stopped.history) == 3
    resumed = new_training(replace(params, epochs=20), one_side)
    resumed.restore(through_a_file(stopped.state()))
    assert len(finish(resumed).history) == 3


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("content", ["nothing", "garbage", "truncated", "hostile", "other"])
def test_a_checkpoint_that_cannot_be_read_is_named_and_never_run(tiny, one_side, tmp_path, content):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(finish(new_training(tiny, one_side)).state(), 2, last=True)
    canary = tmp_path / "canary"
    whole = checkpoints.path.read_bytes()
    checkpoints.path.write_bytes(
        {"nothing": b"", "garbage": b"garbage" * 99, "truncated": whole[:-100]}.get(content, whole)
    )
    if content in ("hostile", "other"):
        torch.save(Canary(canary) if content == "hostile" else {"a": 1}, checkpoints.path)
    state, why = checkpoints.load(4, "constant")
    assert state is None
    assert why.startswith(f"the checkpoint {checkpoints.path} is broken and not used: ")
    assert not canary.exists()


def test_a_full_disk_costs_one_checkpoint_and_not_the_one_before(
    tiny, one_side, tmp_path, monkeypatch
):
    training = finish(new_training(tiny, one_side))
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(training.state(), 2, last=True)
    before = checkpoints.path.read_bytes()

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(phonemes.checkpoint.torch, "save", full)
    warning = checkpoints.save(training.state(), 2, last=True)
    assert warning == "warning: no checkpoint was written: [Errno 28] No space left on device"
    assert checkpoints.path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoints.path]


def test_writing_takes_a_small_share_of_the_time(tiny, one_side, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 1))  # every look at the clock is a second later
    monkeypatch.setattr(phonemes.checkpoint.time, "perf_counter", lambda: float(next(clock)))
    checkpoints = Checkpoints(tmp_path, "key")
    state = finish(new_training(tiny, one_side)).state()
    written = 0
    for _ in range(100):
        checkpoints.path.unlink(missing_ok=True)
        checkpoints.save(state, 2, last=False)
        written += checkpoints.path.exists()
    assert 1 < written < 10
    checkpoints.save(state, 2, last=True)
    assert checkpoints.path.exists()


def test_only_the_newest_checkpoints_of_other_runs_are_kept(tiny, one_side, tmp_path):
    state = finish(new_training(tiny, one_side)).state()
    for number in range(KEPT + 3):
        Checkpoints(tmp_path, f"run{number}").save(state, 2, last=True)
        os.utime(tmp_path / f"run{number}.pt", (number, number))
    names = {path.stem for path in tmp_path.iterdir()}
    assert names == {f"run{number}" for number in range(2, KEPT + 3)}


def test_the_key_tells_runs_apart_and_not_their_length(shipped):
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(3)]

    def key(data=shipped.data, arrays=arrays, facts=("cpu",), **changes):
        return run_key(replace(shipped.train, **changes), data, arrays, facts)

    assert key() == key(epochs=99)
    others = [
        key(lr=0.5),
        key(seed=1),
        key(data=replace(shipped.data, k=shipped.data.k + 1)),
        key(arrays=[arrays[0] + 1, arrays[1]]),
        key(arrays=[arrays[0].reshape(3, 2), arrays[1]]),
        key(arrays=[arrays[1], arrays[0]]),
        key(facts=("cuda",)),
    ]
    assert len({key(), *others}) == len(others) + 1
