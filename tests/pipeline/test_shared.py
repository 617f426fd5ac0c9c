"""`dvc repro` shares networks out to processes; how many is no reason to train anew."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from helpers import ENVIRONMENT, new_project, ran, run, set_params

from phonemes.storage.layout import MODEL

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="two cores",
    ),
]

STACKED = {"folds": 2, "networks": 2, "context": 3, "epochs": 2}


def processes_in(folder):
    """Return the processes that work in a folder."""
    return [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(folder)]


def test_repro_with_two_processes_is_interrupted_goes_on_and_is_then_up_to_date(tmp_path):
    folder = new_project(tmp_path / "project")
    set_params({"stacking": STACKED, "train": {"epochs": 200}, "runtime": {"gpus": 2}}, folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=folder, env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not [*folder.glob(".dvc/tmp/checkpoints/[!.]*")]:
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, _ = process.communicate(timeout=40)
    assert process.returncode != 0
    assert out.count("interrupted; the same command goes on") == 1
    assert processes_in(folder) == []
    assert not (folder / MODEL).exists()
    set_params({"train": {"epochs": 3}}, folder)
    assert ran(run(folder, "dvc", "repro")) == ["train", "evaluate", "predict"]
    set_params({"runtime": {"gpus": 1}}, folder)
    assert ran(run(folder, "dvc", "repro")) == []
