"""A run that goes on from a checkpoint ends with the bytes of one that was never disturbed."""

import io
import os
import time
from typing import NamedTuple

import numpy as np
import pytest
import torch
from helpers import changed
from training.toy import RANDOM, as_bytes, finished, new_run, scores, weights

from phonemes.training.checkpoint import KEPT, Checkpoints, run_key
from phonemes.training.loop import epochs, restore, state
from phonemes.training.profile import profile
from phonemes.training.schedule import PLANNED


@pytest.fixture(scope="session")
def stateful(tiny):
    """Return how to train with all kinds of state: moments, running statistics, dropout."""
    return changed(changed(tiny, **RANDOM), train={"optimizer": "adam", "epochs": 4})


@pytest.fixture(scope="session")
def end(tiny):
    """Return the state of a finished run of two epochs."""
    return state(finished(new_run(tiny)))


def outcome(run):
    """Return everything that a finished run leaves, as bytes and numbers."""
    return weights(run), as_bytes(run.best_state), scores(run), run.best.epoch


def through_a_file(stored):
    """Return a state as it comes back from disk."""
    file = io.BytesIO()
    torch.save(stored, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


# Going on


@pytest.mark.parametrize("profiled", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_run_stopped_after_any_epoch_ends_as_if_never_stopped(stateful, optimizer, profiled):
    params = changed(stateful, train={"optimizer": optimizer, "schedule": "onecycle"})
    undisturbed = new_run(params)
    stored = [through_a_file(state(undisturbed)) for _ in epochs(undisturbed, progress=False)]
    assert len(stored) == 4
    for done, each in enumerate(stored[:-1], start=1):
        resumed = new_run(changed(params, train={"seed": 99}))
        if profiled:
            profile(resumed)
        restore(resumed, each)
        assert len(resumed.history) == done
        assert outcome(finished(resumed)) == outcome(undisturbed)


@pytest.mark.parametrize("schedule", ["step", "plateau"])
def test_more_epochs_go_on_and_give_the_bytes_of_a_longer_run(stateful, tmp_path, schedule):
    longer = changed(stateful, train={"schedule": schedule})
    shorter = finished(new_run(changed(longer, train={"epochs": 2})))
    checkpoints = Checkpoints(tmp_path, "key")
    assert checkpoints.save(state(shorter), 2, last=True) == ""
    stored, why = checkpoints.load(4, schedule)
    assert why == "going on after epoch 2, 2 of 4 epochs saved"
    resumed = new_run(changed(longer, train={"seed": 99}))
    restore(resumed, stored)
    assert outcome(finished(resumed)) == outcome(finished(new_run(longer)))


@pytest.mark.parametrize("schedule", PLANNED)
def test_where_the_schedule_depends_on_the_end_more_epochs_start_afresh_and_say_so(
    end, tmp_path, schedule
):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(end, 2, last=True)
    stored, why = checkpoints.load(3, schedule)
    assert stored is None
    assert why == (
        f"a run of 2 epochs is stored, but train.schedule {schedule} depends on train.epochs: "
        "training starts afresh"
    )


def test_a_finished_run_has_nothing_left_to_train_and_says_how_to_begin_anew(tiny, tmp_path):
    done = finished(new_run(tiny))
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(state(done), 2, last=True)
    stored, why = checkpoints.load(2, "cosine")
    assert why == (
        f"all 2 epochs are saved, nothing is left to train; delete {tmp_path} to train them anew"
    )
    again = new_run(changed(tiny, train={"seed": 99}))
    restore(again, stored)
    assert outcome(finished(again)) == outcome(done)


def test_fewer_epochs_start_afresh(end, tmp_path):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(end, 2, last=True)
    assert checkpoints.load(1, "constant") == (None, "")


def test_without_a_checkpoint_a_run_begins_quietly(tmp_path):
    assert Checkpoints(tmp_path, "key").load(2, "constant") == (None, "")


def test_a_run_that_stopped_early_stays_stopped(tiny):
    params = changed(tiny, train={"lr": 1e-12, "epochs": 9, "early_stopping_patience": 2})
    stopped = finished(new_run(params))
    assert len(stopped.history) == 3
    resumed = new_run(changed(params, train={"epochs": 20}))
    restore(resumed, through_a_file(state(stopped)))
    assert len(finished(resumed).history) == 3


# The files


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("content", ["nothing", "garbage", "truncated", "hostile", "other"])
def test_a_checkpoint_that_cannot_be_read_is_named_and_never_run(end, tmp_path, content):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(end, 2, last=True)
    canary = tmp_path / "canary"
    complete = checkpoints.path.read_bytes()
    match content:
        case "hostile":
            torch.save(Canary(canary), checkpoints.path)
        case "other":
            torch.save({"a": 1}, checkpoints.path)
        case _:
            broken = {"nothing": b"", "garbage": b"garbage" * 99, "truncated": complete[:-100]}
            checkpoints.path.write_bytes(broken[content])
    stored, why = checkpoints.load(4, "constant")
    assert stored is None
    assert why.startswith(f"the checkpoint {checkpoints.path} is broken and not used: ")
    assert not canary.exists()


def test_a_full_disk_costs_one_checkpoint_and_not_the_one_before(end, tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(end, 2, last=True)
    before = checkpoints.path.read_bytes()

    def full(stored, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    warning = checkpoints.save(end, 2, last=True)
    assert warning == "warning: no checkpoint was written: [Errno 28] No space left on device"
    assert checkpoints.path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoints.path]


def test_writing_takes_a_small_share_of_the_time(end, tmp_path, monkeypatch):
    clock = iter(range(10_000))  # every look at the clock is a second later
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    checkpoints = Checkpoints(tmp_path, "key")
    written = 0
    for _ in range(100):
        checkpoints.path.unlink(missing_ok=True)
        checkpoints.save(end, 2, last=False)
        written += checkpoints.path.exists()
    assert 1 < written < 10
    checkpoints.save(end, 2, last=True)
    assert checkpoints.path.exists()


@pytest.mark.parametrize("kept", [KEPT, 1])
def test_only_the_newest_checkpoints_of_other_runs_are_kept(end, tmp_path, kept):
    for number in range(kept + 3):
        Checkpoints(tmp_path, f"run{number}", kept).save(end, 2, last=True)
        os.utime(tmp_path / f"run{number}.pt", (number, number))
    names = {path.stem for path in tmp_path.iterdir()}
    assert names == {f"run{number}" for number in range(2, kept + 3)}


# The key


class Keyed(NamedTuple):
    """All that a key depends on."""

    params: object
    arrays: list
    code: list
    facts: tuple


@pytest.fixture
def keyed(tiny, tmp_path):
    code = [tmp_path / "step.py", tmp_path / "loop.py"]
    for path in code:
        path.write_text(f"# {path.name}\n")
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(3)]
    return Keyed(tiny, arrays, code, ("cpu", ["SIL", "AA0"]))


def test_the_same_run_has_the_same_key_however_many_epochs_it_has(keyed):
    longer = keyed._replace(params=changed(keyed.params, train={"epochs": 99}))
    assert run_key(*keyed) == run_key(*longer)


def test_whatever_shapes_a_run_changes_its_key(keyed, tmp_path, monkeypatch):
    def changing(**sections):
        return keyed._replace(params=changed(keyed.params, **sections))

    frames, labels = keyed.arrays
    other = tmp_path / "other.py"
    other.write_text("# step.py, edited\n")
    others = [
        changing(data={"k": 2}),
        changing(model={"hidden": (8, 7)}),
        changing(augment={"gain": 0.1}),
        changing(train={"lr": 0.5}),
        changing(train={"seed": 2}),
        keyed._replace(arrays=[frames + 1, labels]),
        keyed._replace(arrays=[frames.reshape(3, 2), labels]),
        keyed._replace(arrays=[frames.view(np.int32), labels]),
        keyed._replace(arrays=[labels, frames]),
        keyed._replace(code=[other, keyed.code[1]]),
        keyed._replace(code=keyed.code[:1]),
        keyed._replace(facts=("cuda", ["SIL", "AA0"])),
        keyed._replace(facts=("cpu", ["SIL", "AA1"])),
    ]
    keys = {run_key(*each) for each in [keyed, *others]}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    keys.add(run_key(*keyed))
    assert len(keys) == len(others) + 2


def test_frames_that_are_memory_mapped_have_the_key_of_the_same_in_memory(keyed, tmp_path):
    np.save(tmp_path / "frames.npy", keyed.arrays[0])
    mapped = np.load(tmp_path / "frames.npy", mmap_mode="r")
    assert run_key(*keyed._replace(arrays=[mapped, keyed.arrays[1]])) == run_key(*keyed)
