"""A run that goes on from a checkpoint ends with the bytes of one that was never disturbed."""

import os
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest
import torch
from helpers import changed
from training.toy import RANDOM, as_bytes, finished, new_run, scores, weights

from phonemes.errors import InputError, MachineError
from phonemes.model import tensor_file
from phonemes.model.tensor_file import read_tensors, write_tensors
from phonemes.training import checkpoint
from phonemes.training.checkpoint import KEPT, Checkpoints, run_key
from phonemes.training.loop import epochs
from phonemes.training.profile import profile
from phonemes.training.schedule import PLANNED
from phonemes.training.state import RunState, UnfitError, restore, state


@pytest.fixture(scope="session")
def stateful(tiny):
    """Return how to train with all kinds of state: moments, running statistics, dropout."""
    return changed(changed(tiny, **RANDOM), train={"optimizer": "adam", "epochs": 4})


@pytest.fixture(scope="session")
def end(tiny):
    """Return a finished run of two epochs."""
    return finished(new_run(tiny))


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, "key")


def fresh(tiny, **train):
    """Return a run that has not begun, of another seed."""
    return new_run(changed(tiny, train={"seed": 99, **train}))


def outcome(run):
    """Return everything that a finished run leaves, as bytes and numbers."""
    return weights(run), as_bytes(run.best_state), scores(run), run.best.epoch


def through_a_file(run, folder):
    """Return a run's state as it comes back from disk."""
    tensors, history = state(run)
    write_tensors(folder / "state", tensors, {"history": history})
    stored = read_tensors(folder / "state")
    return RunState(stored.tensors, stored.description["history"])


# Going on


@pytest.mark.parametrize("profiled", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_run_stopped_after_any_epoch_ends_as_if_never_stopped(
    stateful, tmp_path, optimizer, profiled
):
    params = changed(stateful, train={"optimizer": optimizer, "schedule": "onecycle"})
    undisturbed = new_run(params)
    stored = [through_a_file(undisturbed, tmp_path) for _ in epochs(undisturbed, progress=False)]
    assert len(stored) == 4
    for done, each in enumerate(stored[:-1], start=1):
        resumed = new_run(changed(params, train={"seed": 99}))
        if profiled:
            profile(resumed)
        restore(resumed, each)
        assert len(resumed.history) == done
        assert outcome(finished(resumed)) == outcome(undisturbed)


@pytest.mark.parametrize("schedule", ["step", "plateau"])
def test_more_epochs_go_on_and_give_the_bytes_of_a_longer_run(stateful, checkpoints, schedule):
    longer = changed(stateful, train={"schedule": schedule})
    shorter = finished(new_run(changed(longer, train={"epochs": 2})))
    assert checkpoints.save(shorter, last=True) == ""
    resumed = fresh(longer)
    assert checkpoints.resume(resumed) == "going on after epoch 2, 2 of 4 epochs saved"
    assert outcome(finished(resumed)) == outcome(finished(new_run(longer)))


@pytest.mark.parametrize("schedule", PLANNED)
def test_where_the_schedule_depends_on_the_end_more_epochs_start_afresh_and_say_so(
    end, tiny, checkpoints, schedule
):
    checkpoints.save(end, last=True)
    run = fresh(tiny, epochs=3, schedule=schedule)
    before = weights(run)
    assert checkpoints.resume(run) == (
        f"a run of 2 epochs is stored, but train.schedule {schedule} depends on train.epochs: "
        "training starts afresh"
    )
    assert (weights(run), run.history) == (before, [])


def test_a_finished_run_has_nothing_left_to_train_and_says_how_to_begin_anew(
    end, tiny, checkpoints, tmp_path
):
    checkpoints.save(end, last=True)
    again = fresh(tiny)
    assert checkpoints.resume(again) == (
        f"all 2 epochs are saved, nothing is left to train; delete {tmp_path} to train them anew"
    )
    assert outcome(finished(again)) == outcome(end)


def test_fewer_epochs_start_afresh(end, tiny, checkpoints):
    checkpoints.save(end, last=True)
    run = fresh(tiny, epochs=1, schedule="constant")
    assert checkpoints.resume(run) == ""
    assert run.history == []


def test_without_a_checkpoint_a_run_begins_quietly(tiny, checkpoints):
    assert checkpoints.resume(fresh(tiny)) == ""


def test_a_run_that_stopped_early_stays_stopped(tiny, tmp_path):
    params = changed(tiny, train={"lr": 1e-12, "epochs": 9, "early_stopping_patience": 2})
    stopped = finished(new_run(params))
    assert len(stopped.history) == 3
    resumed = new_run(changed(params, train={"epochs": 20}))
    restore(resumed, through_a_file(stopped, tmp_path))
    assert len(finished(resumed).history) == 3


# Files that are not used


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("content", ["nothing", "garbage", "truncated", "hostile", "other"])
def test_a_checkpoint_that_cannot_be_read_is_named_and_never_run(
    end, tiny, checkpoints, tmp_path, content
):
    checkpoints.save(end, last=True)
    canary = tmp_path / "canary"
    complete = checkpoints.path.read_bytes()
    match content:
        case "hostile":
            torch.save(Canary(canary), checkpoints.path)
        case "other":
            write_tensors(checkpoints.path, {}, {"a": 1})
        case _:
            broken = {"nothing": b"", "garbage": b"garbage" * 99, "truncated": complete[:-100]}
            checkpoints.path.write_bytes(broken[content])
    assert_begins_anew(checkpoints, tiny)
    assert not canary.exists()


EDITS = {
    "no epoch": (lambda t, d: d.update(history=[]), "its history is empty"),
    "half an epoch": (lambda t, d: d.update(history=[[1, 2]]), "row 1 of its history"),
    "texts in the history": (lambda t, d: d["history"][0].__setitem__(1, "a"), "row 1 of its"),
    "NaN in the history": (lambda t, d: d["history"][1].__setitem__(2, np.nan), "row 2 of its"),
    "an epoch twice": (lambda t, d: d["history"][1].__setitem__(0, 1), "row 2 of its history"),
    "a history of numbers": (lambda t, d: d.update(history=[1, 2]), "which epochs were trained"),
    "no number of epochs": (lambda t, d: d.pop("planned"), "which epochs were trained"),
    "no tensors": (lambda t, d: t.clear(), "is missing"),
    "a network less": (
        lambda t, d: [t.pop(name) for name in [*t] if name.startswith("network.")],
        "network.0.bias is missing",
    ),
    "no best network": (
        lambda t, d: [t.pop(name) for name in [*t] if name.startswith("best.")],
        "best.0.bias is missing",
    ),
    "weights of another size": (
        lambda t, d: t.update({"network.0.weight": torch.ones(3, 3)}),
        "network.0.weight is torch.float32 of shape [3, 3]; expected torch.float32 of shape [",
    ),
    "weights of another type": (
        lambda t, d: t.update({"network.0.bias": t["network.0.bias"].double()}),
        "network.0.bias is torch.float64 of shape",
    ),
    "NaN in the best network": (
        lambda t, d: t["best.0.weight"].fill_(torch.nan),
        "best.0.weight holds NaN or infinity",
    ),
    "an optimizer of one weight more": (
        lambda t, d: t.update({"optimizer.99.step": torch.ones(())}),
        "optimizer.99.step is unknown",
    ),
    "an optimizer without moments": (
        lambda t, d: t.pop("optimizer.0.exp_avg"),
        "optimizer.0.exp_avg is missing",
    ),
    "half a random state": (
        lambda t, d: t.update({"random.order": t["random.order"][:, :9].clone()}),
        "random.order is torch.uint8 of shape [1, 9]; expected",
    ),
    "no random state": (lambda t, d: t["random.order"].fill_(255), "random.order is no state of"),
    "none of torch": (lambda t, d: t["random.host"].fill_(255), "random.host is no state of a"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_checkpoint_with_a_wrong_part_is_named_and_training_begins_anew(tiny, checkpoints, edit):
    params = changed(tiny, train={"optimizer": "adam"})
    checkpoints.save(finished(new_run(params)), last=True)
    tensors, description = read_tensors(checkpoints.path)
    change, reason = EDITS[edit]
    change(tensors, description)
    write_tensors(checkpoints.path, tensors, description)
    assert reason in assert_begins_anew(checkpoints, params)


def assert_begins_anew(checkpoints, params):
    """Return why a checkpoint is not used; the run must end as if there were none."""
    undisturbed = outcome(finished(new_run(params)))
    run = new_run(params)
    why = checkpoints.resume(run)
    start, end = f"the checkpoint {checkpoints.path} is not used: ", "; training begins anew"
    assert why.startswith(start) and why.endswith(end) and "\n" not in why
    assert outcome(finished(run)) == undisturbed
    return why.removeprefix(start).removesuffix(end)


def test_a_state_of_another_network_is_refused_before_anything_is_changed(end, tiny):
    other = new_run(changed(tiny, model={"hidden": (9, 9)}))
    before = weights(other)
    with pytest.raises(UnfitError, match=r"is torch\.float32 of shape"):
        restore(other, state(end))
    assert (weights(other), other.history) == (before, [])


def test_a_checkpoint_that_the_machine_cannot_read_is_not_trained_over(
    end, tiny, checkpoints, monkeypatch
):
    checkpoints.save(end, last=True)

    def failing(*_, **__):
        raise MemoryError

    monkeypatch.setattr(tensor_file, "safe_open", failing)
    with pytest.raises(MachineError, match="there is not enough memory"):
        checkpoints.resume(fresh(tiny))


# The folder


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (lambda path: path.touch(), "is a file where a folder is needed"),
        (lambda path: path.symlink_to("nowhere"), "is a link to nowhere, which is not there"),
    ],
)
def test_a_folder_that_cannot_hold_checkpoints_is_named_before_training(
    tiny, tmp_path, block, reason
):
    block(tmp_path / "folder")
    with pytest.raises(InputError, match=rf"/folder {reason}"):
        Checkpoints(tmp_path / "folder", "key").resume(new_run(tiny))


def test_a_full_disk_costs_one_checkpoint_and_not_the_one_before(
    end, checkpoints, tmp_path, monkeypatch
):
    checkpoints.save(end, last=True)
    before = checkpoints.path.read_bytes()

    def full(path, *_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    warning = checkpoints.save(end, last=True)
    assert warning == "warning: no checkpoint was written: [Errno 28] No space left on device"
    assert checkpoints.path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoints.path]


def test_writing_takes_a_small_share_of_the_time(end, checkpoints, monkeypatch):
    clock = iter(range(10_000))  # every look at the clock is a second later
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    written = 0
    for _ in range(100):
        checkpoints.path.unlink(missing_ok=True)
        checkpoints.save(end, last=False)
        written += checkpoints.path.exists()
    assert 1 < written < 10
    checkpoints.save(end, last=True)
    assert checkpoints.path.exists()


@pytest.mark.parametrize("kept", [KEPT, 1])
def test_only_the_newest_checkpoints_of_other_runs_are_kept(end, tmp_path, kept):
    for number in range(kept + 3):
        run = Checkpoints(tmp_path, f"run{number}", kept)
        run.save(end, last=True)
        os.utime(run.path, (number, number))
    names = {path.stem for path in tmp_path.iterdir()}
    assert names == {f"run{number}" for number in range(2, kept + 3)}


def test_checkpoints_of_earlier_releases_go_in_their_turn(end, tmp_path):
    old = tmp_path / "old.pt"
    old.write_bytes(b"a pickle")
    os.utime(old, (0, 0))
    for number in range(KEPT + 1):
        Checkpoints(tmp_path, f"run{number}").save(end, last=True)
    assert not old.exists()


def test_what_killed_runs_left_is_removed_whatever_is_run_next(tiny, checkpoints, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f".other.safetensors.{ended.pid}.partial", ".a.pt.old.partial"):
        (tmp_path / name).write_bytes(bytes(9))
    running = tmp_path / f".queued.safetensors.{os.getpid()}.partial"
    running.write_bytes(bytes(9))
    assert checkpoints.resume(fresh(tiny)) == ""
    assert list(tmp_path.iterdir()) == [running]


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


def test_another_limit_of_parameters_is_the_same_run(keyed):
    limited = keyed._replace(params=changed(keyed.params, model={"max_parameters": 10**6}))
    assert run_key(*keyed) == run_key(*limited)


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
