"""A training that was stopped goes on, and one that diverges keeps its best epoch."""

import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT, run_stages, set_params
from pipeline.bad_data import get_ready_to_train

from phonemes.model.store import load_model
from phonemes.params import load
from phonemes.storage.layout import CORPUS, HISTORY, MODEL, STATISTICS, checkpoint_folder
from phonemes.storage.read import read_phonemes, read_spelling
from phonemes.training.checkpoint import Checkpoints
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
    return MODEL.read_bytes(), HISTORY.read_text().splitlines()[1:]


def test_an_interrupted_training_goes_on_and_ends_the_same(project, monkeypatch, capsys):
    run_stages("train")
    undisturbed = results()
    MODEL.unlink()
    shutil.rmtree(checkpoint_folder())
    with monkeypatch.context() as patch:
        after(3, interrupt, patch)
        assert stopped() == "interrupted; the same command goes on"
    assert not MODEL.exists()
    capsys.readouterr()
    run_stages("train")
    saved = re.search(r"going on after epoch (\d), \1 of 4 epochs saved", capsys.readouterr().out)
    assert saved and 1 <= int(saved[1]) <= 3  # not every short epoch is written
    assert results() == undisturbed


def test_an_epoch_is_shown_once_it_is_saved(project, monkeypatch):
    shown = []  # of the epochs that were shown before each writing
    save = Checkpoints.save

    def saved(checkpoints, run, **how):
        shown.append(len(pd.read_csv(HISTORY)) if HISTORY.exists() else 0)
        return save(checkpoints, run, **how)

    monkeypatch.setattr(Checkpoints, "save", saved)
    run_stages("train")
    assert shown == [0, 1, 2, 3]


def test_a_model_above_its_limit_is_refused_before_training(project):
    set_params({"model": {"max_parameters": 100}})
    assert stopped().startswith(
        "error: the model would have 1,187 parameters; model.max_parameters is 100; most are 800"
    )
    assert not HISTORY.exists() and not checkpoint_folder().exists()


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


def test_a_diverged_training_in_its_first_epoch_leaves_what_was_there(project, monkeypatch):
    run_stages("train")
    before = results()
    set_params({"train": {"seed": 5}})
    with monkeypatch.context() as patch:
        after(0, ruin, patch)
        assert stopped().startswith("error: training diverged in epoch 1, step 1 of ")
    assert results() == before


@pytest.mark.parametrize("network", [1, 2], ids=["the first network", "another one"])
def test_of_a_model_with_stacking_a_diverged_network_leaves_what_was_there(
    project, monkeypatch, network
):
    run_stages("train")
    before = results()
    set_params({"stacking": {"folds": 2, "networks": 1, "context": 1, "epochs": 2}})
    reached = []

    def ruin_one(step):
        reached.append(step)
        if len(reached) == network:
            ruin(step)

    with monkeypatch.context() as patch:
        after(1, ruin_one, patch)
        assert stopped().startswith("error: training diverged in epoch 2, step 1 of ")
    assert results() == before


def test_parameters_edited_during_training_drop_it_and_restored_ones_take_it_up(
    project, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        after(2, lambda _: set_params({"train": {"epochs": 3}}), patch)
        assert stopped().startswith("error: train.epochs in params.yaml changed while stage train")
    assert not MODEL.exists() and not HISTORY.exists()
    set_params({"train": {"epochs": 4}})
    capsys.readouterr()
    run_stages("train")
    assert "all 4 epochs are saved, nothing is left to train" in capsys.readouterr().out
    assert len(results()[1]) == 4


def test_the_history_grows_while_training_where_dvc_removed_it_and_ends_complete(
    project, monkeypatch
):
    seen = {}

    def look(step):
        seen["epochs"] = pd.read_csv(HISTORY)["epoch"].tolist()
        seen["files"] = [path.name for path in HISTORY.parent.glob("*history*")]

    HISTORY.unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        after(2, look, patch)
        run_stages("train")
    assert seen == {"epochs": [1, 2], "files": ["history.csv"]}
    assert pd.read_csv(HISTORY)["epoch"].tolist() == [1, 2, 3, 4]


def test_an_interrupted_training_leaves_no_history_without_its_model(project, monkeypatch):
    HISTORY.unlink(missing_ok=True)
    after(2, interrupt, monkeypatch)
    stopped()
    assert not HISTORY.exists() and not MODEL.exists()


def test_the_model_file_says_what_it_was_made_for_and_how_it_was_trained(project):
    run_stages("train")
    _, purpose, _, facts = load_model(MODEL, torch.device("cpu"))
    params = load()
    assert purpose.phonemes == read_phonemes(CORPUS)
    assert purpose.spelling == read_spelling(CORPUS, len(purpose.phonemes))
    assert (purpose.k, purpose.padding) == (params.data.k, params.data.padding)
    assert purpose.normalization == asdict(params.normalize.normalization)
    assert purpose.features is None  # the course's frames are taken as they are
    assert np.array_equal(purpose.statistics.numpy(), np.load(STATISTICS))
    best = pd.read_csv(HISTORY).dev_accuracy
    assert (facts.epoch, facts.dev_accuracy) == (
        best.argmax() + 1,
        pytest.approx(best.max(), abs=1e-6),
    )
    assert facts.precision in ("float32", "bfloat16")


@pytest.mark.parametrize("stage", ["evaluate", "predict"])
def test_a_model_of_phonemes_in_another_order_is_refused(project, stage):
    run_stages("train")
    path = CORPUS / "phonemes.txt"
    first, second, *others = path.read_text("utf-8").split()
    path.write_text("\n".join([second, first, *others]), "utf-8")
    with pytest.raises(SystemExit) as stop:
        run_stages(stage)
    assert stop.value.code == (
        f"error: {MODEL} was made for other data: the phoneme of label 0 is {first} there and "
        f"{second} here; run `dvc repro` to train a model for these data"
    )
