"""A stage that cannot go on says why in one line, and keeps what it has."""

import importlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from bad_data import SMALL, set_params, write_flat
from filelock import FileLock

import phonemes.training
import stages
from stages import CORPUS, HISTORY, LOCK, MODEL, RATES

TRAIN = {"epochs": 4, "schedule": "constant", "optimizer": "adam", "dropout": 0.2}


def run(stage="train"):
    stages.run(importlib.import_module(f"stages.{stage}").main)


def stopped(stage="train"):
    with pytest.raises(SystemExit) as stop:
        run(stage)
    return stop.value.code


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train."""
    monkeypatch.chdir(tmp_path)
    set_params(SMALL)
    set_params({"train": TRAIN})
    write_flat()
    for stage in ("corpus", "normalize", "context"):
        run(stage)
    return tmp_path


def after(epoch, action, monkeypatch):
    """Do something when the order of the epoch after `epoch` is drawn."""
    shuffle = phonemes.training.Training._shuffle

    def shuffled(training):
        if len(training.history) == epoch:
            action(training)
        return shuffle(training)

    monkeypatch.setattr(phonemes.training.Training, "_shuffle", shuffled)


def interrupt(_):
    raise KeyboardInterrupt


def ruin(training):
    with torch.no_grad():
        next(training.network.parameters()).fill_(float("nan"))


def results():
    history = pd.read_csv(HISTORY).drop(columns=["frames_per_second", "seconds"])
    return MODEL.read_bytes(), history.values.tolist()


def test_an_interrupted_training_goes_on_and_ends_the_same(project, monkeypatch, capsys):
    run()
    undisturbed = results()
    MODEL.unlink()
    for checkpoint in stages.checkpoint_folder().iterdir():
        checkpoint.unlink()
    with monkeypatch.context() as patch:
        after(3, interrupt, patch)
        assert stopped() == "interrupted; run `dvc repro` to go on"
    assert not MODEL.exists()
    capsys.readouterr()
    run()
    saved = re.search(r"going on after epoch (\d), \1 of 4 epochs saved", capsys.readouterr().out)
    assert saved and 1 <= int(saved[1]) <= 3  # not every short epoch is written
    assert results() == undisturbed


def test_more_epochs_go_on_where_the_schedule_allows(project, capsys):
    set_params({"train": {"epochs": 2}})
    run()
    set_params({"train": {"epochs": 4}})
    run()
    assert "going on after epoch 2, 2 of 4 epochs saved" in capsys.readouterr().out
    longer = results()
    for checkpoint in stages.checkpoint_folder().iterdir():
        checkpoint.unlink()
    run()
    assert "going on" not in capsys.readouterr().out
    assert results() == longer


def test_more_epochs_start_afresh_where_the_schedule_looks_at_the_end(project, capsys):
    set_params({"train": {"epochs": 2, "schedule": "cosine"}})
    run()
    set_params({"train": {"epochs": 3}})
    run()
    assert "train.schedule cosine depends on train.epochs: training starts afresh" in (
        capsys.readouterr().out
    )
    assert len(results()[1]) == 3


def test_a_diverged_training_says_where_and_keeps_its_best_epoch(project, monkeypatch):
    after(2, ruin, monkeypatch)
    message = stopped()
    assert message.startswith("error: training diverged in epoch 3, step 1 of ")
    assert message.endswith(
        "the loss is nan; lower train.lr, raise train.warmup_epochs, or set train.clip_norm to 1"
    )
    assert len(results()[1]) == 2
    monkeypatch.undo()
    monkeypatch.chdir(project)
    run("evaluate")  # the network that was kept is whole


def test_where_the_memory_does_not_suffice_the_values_to_lower_are_named(project):
    set_params({"train": {"hidden": [65_536, 65_536]}})
    gibibytes = 8 * 2**30
    result = subprocess.run(
        [sys.executable, "-m", "stages.train"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (gibibytes, gibibytes)),
        text=True,
        capture_output=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: the memory does not suffice: ")
    assert "you tried to allocate 17179869184 bytes" in result.stderr
    assert result.stderr.endswith(
        "lower train.batch_size, runtime.batch_size, train.hidden or data.k\n"
    )


def test_a_gpu_that_is_full_is_explained_too(project, monkeypatch):
    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.\nmore")

    after(0, full, monkeypatch)
    assert stopped() == (
        "error: the memory does not suffice: CUDA out of memory. Tried to allocate 9.00 GiB.; "
        "lower train.batch_size, runtime.batch_size, train.hidden or data.k"
    )


def test_a_second_stage_in_the_same_folder_is_refused(project):
    with FileLock(LOCK):
        assert stopped() == (
            f"error: a stage is running in {project}; wait for it, or work in a clone"
        )
    run()


def test_an_unexpected_error_keeps_its_traceback(project, monkeypatch):
    def fail(_):
        raise RuntimeError("a bug")

    after(0, fail, monkeypatch)
    with pytest.raises(RuntimeError, match="a bug"):
        run()


# --- the learning-rate range test


def test_the_range_test_writes_its_curve_and_says_what_to_try(project, capsys):
    run("rate")
    table = pd.read_csv(RATES)
    assert list(table.columns) == ["lr", "loss", "smoothed"]
    assert 20 < len(table) <= 300  # an epoch has three steps
    assert table.lr[0] == 1e-5 and table.lr.is_monotonic_increasing
    printed = capsys.readouterr().out
    assert printed.startswith("300 steps of 8 frames, learning rate 1e-05 to 10, on cpu, float32\n")
    tried = re.search(r"dvc exp run -S train.lr=(\S+)\n$", printed)
    assert tried and 1e-5 < float(tried[1]) < table.lr.max()
    assert (
        f"suggested train.lr: {tried[1]}, the geometric mean of both; params.yaml has " in printed
    )


def test_the_range_test_leaves_what_was_trained_as_it_was(project, capsys):
    def files():
        return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}

    run()
    before = files()
    run("rate")
    after = files()
    assert before.items() <= after.items()
    assert {path.relative_to(project) for path in after.keys() - before.keys()} == {RATES}


def test_the_range_test_without_its_inputs_says_how_to_make_them(project):
    (CORPUS / "labels/train.npy").unlink()
    assert stopped("rate") == (
        "error: data/corpus/labels/train.npy is missing; run `dvc repro` to make it"
    )
    assert not RATES.exists()
