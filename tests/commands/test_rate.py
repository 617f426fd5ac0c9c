"""`phonemes rate` writes the curve of a range test, says what to try, and changes nothing else."""

import re
import sys

import pandas as pd
import pytest
from filelock import FileLock
from helpers import run_stages, set_params
from pipeline.bad_data import get_ready_to_train

from phonemes.commands.main import main
from phonemes.storage.layout import CORPUS, LOCK, RATES


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train."""
    monkeypatch.chdir(tmp_path)
    get_ready_to_train()
    set_params({"model": {"dropout": 0.2}, "train": {"optimizer": "adam"}})
    monkeypatch.setattr(sys, "argv", ["phonemes", "rate"])
    return tmp_path


def rate():
    """Run `phonemes rate` in this process and return with what it ends: 0, or a message."""
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_the_range_test_writes_its_curve_and_says_what_to_try(project, capsys):
    capsys.readouterr()
    assert rate() == 0
    table = pd.read_csv(RATES)
    assert list(table.columns) == ["lr", "loss", "smoothed", "mark"]
    assert 20 < len(table) <= 300  # an epoch has three steps
    assert table.lr[0] == 1e-5 and table.lr.is_monotonic_increasing
    assert table.mark.notna().sum() == 3
    printed = capsys.readouterr().out
    assert printed.startswith("300 steps of 8 frames, learning rate 1e-05 to 10, on cpu, float32\n")
    tried = re.search(r"dvc exp run -S train.lr=(\S+)\n$", printed)
    assert tried and 1e-5 < float(tried[1]) < table.lr.max()
    assert (
        f"suggested train.lr: {tried[1]}, the geometric mean of both; params.yaml has 0.1\n"
    ) in printed


def test_the_range_test_leaves_what_was_trained_as_it_was(project):
    def files():
        return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}

    run_stages("train")
    before = files()
    assert rate() == 0
    after = files()
    assert before.items() <= after.items()
    assert {path.relative_to(project) for path in after.keys() - before.keys()} == {RATES}


def test_the_range_test_without_its_inputs_says_how_to_make_them(project):
    (CORPUS / "labels/train.npy").unlink()
    assert rate() == "error: data/corpus/labels/train.npy is missing; run `dvc repro` to make it"
    assert not RATES.exists()


def test_the_range_test_is_refused_while_a_stage_runs(project):
    with FileLock(LOCK):
        assert rate() == (
            f"error: a stage is running in {project}; wait for it, or work in a clone"
        )
    assert not RATES.exists()
