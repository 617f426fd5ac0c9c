"""A training that was stopped goes on, and one that diverges keeps its best epoch."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers import ROOT, run_stages, set_params
from pipeline.bad_data import get_ready_to_train

from phonemes.storage.layout import HISTORY, MODEL, checkpoint_folder
from phonemes.training.step import TorchStep


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train."""
    monkeypatch.chdir(tmp_path)
    get_ready_to_train()
    set_params({"model": {"dropout": 0.2}, "train": {"epochs": 4, "optimizer": "adam"}})
    return tmp_path


def stopped():
    """Run a training that must stop and return its message."""
    with pytest.raises(SystemExit) as stop:
        run_stages("train")
    return stop.value.code


def after(epoch, action, monkeypatch):
    """Call `action` with the step of the training when the epoch after `epoch` begins."""
    begin = TorchStep.begin

    def acted(step, number):
        if number == epoch:
            action(step)
        begin(step, number)

    monkeypatch.setattr(TorchStep, "begin", acted)


def interrupt(_):
    raise KeyboardInterrupt


def ruin(step):
    with torch.no_grad():
        next(step.network.parameters()).fill_(float("nan"))


def results():
    history = pd.read_csv(HISTORY).drop(columns=["frames_per_second", "seconds"])
    return MODEL.read_bytes(), history.values.tolist()


def test_an_interrupted_training_goes_on_and_ends_the_same(project, monkeypatch, capsys):
    run_stages("train")
    undisturbed = results()
    MODEL.unlink()
    shutil.rmtree(checkpoint_folder())
    with monkeypatch.context() as patch:
        after(3, interrupt, patch)
        assert stopped() == "interrupted; run `dvc repro` to go on"
    assert not MODEL.exists()
    capsys.readouterr()
    run_stages("train")
    saved = re.search(r"going on after epoch (\d), \1 of 4 epochs saved", capsys.readouterr().out)
    assert saved and 1 <= int(saved[1]) <= 3  # not every short epoch is written
    assert results() == undisturbed


def test_more_epochs_go_on_where_the_schedule_allows(project, capsys):
    set_params({"train": {"epochs": 2}})
    run_stages("train")
    set_params({"train": {"epochs": 4}})
    run_stages("train")
    assert "going on after epoch 2, 2 of 4 epochs saved" in capsys.readouterr().out
    longer = results()
    shutil.rmtree(checkpoint_folder())
    run_stages("train")
    assert "going on" not in capsys.readouterr().out
    assert results() == longer


def test_more_epochs_start_afresh_where_the_schedule_depends_on_their_number(project, capsys):
    set_params({"train": {"epochs": 2, "schedule": "cosine"}})
    run_stages("train")
    set_params({"train": {"epochs": 3}})
    run_stages("train")
    assert "train.schedule cosine depends on train.epochs: training starts afresh" in (
        capsys.readouterr().out
    )
    assert len(results()[1]) == 3


def test_only_code_that_the_stage_depends_on_makes_a_training_start_afresh(project, capsys):
    Path("phonemes").unlink()  # a link
    shutil.copytree(ROOT / "phonemes", "phonemes", ignore=shutil.ignore_patterns("__pycache__"))
    set_params({"train": {"epochs": 1}})
    for path, expected in [
        ("phonemes/training/loop.py", False),
        ("phonemes/params.py", True),
        ("phonemes/decoding/decode.py", True),
        ("phonemes/training/loop.py", False),
    ]:
        with Path(path).open("a") as file:
            file.write("# edited\n")
        capsys.readouterr()
        run_stages("train")
        assert ("all 1 epochs are saved" in capsys.readouterr().out) == expected, path


def test_a_diverged_training_says_where_and_keeps_its_best_epoch(project, monkeypatch):
    with monkeypatch.context() as patch:
        after(2, ruin, patch)
        message = stopped()
    assert message.startswith("error: training diverged in epoch 3, step 1 of ")
    assert message.endswith(
        "the loss is nan; lower train.lr, raise train.warmup_epochs, or set train.clip_norm to 1"
    )
    assert len(results()[1]) == 2
    run_stages("evaluate")  # the network that was kept is complete
