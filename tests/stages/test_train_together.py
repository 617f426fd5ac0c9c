"""A network trained by several processes: one that dies ends all, and the next run goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from helpers import ENVIRONMENT, ROOT, run_stages, set_params, write_course_files

from phonemes.storage.layout import HISTORY, MODEL

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="two cores",
    ),
]
EPOCHS = 200


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a small project that is ready to train."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(ROOT / "dvc.yaml", folder)
        for name in ("phonemes", "stages"):
            (folder / name).symlink_to(ROOT / name)
        set_params({
            "model": {"hidden": [32, 32], "norm": "batch", "dropout": 0.1},
            "train": {"optimizer": "adam", "lr": 1e-3, "batch_size": 32, "epochs": EPOCHS},
            "runtime": {"gpus": 2},
        })  # fmt: skip
        write_course_files(folder / "data/raw/tiny")
        run_stages("corpus", "normalize", "context")
        yield folder


def test_a_killed_process_ends_all_soon_and_another_number_of_them_goes_on(project, capsys):
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not HISTORY.exists():  # shown once the first epoch is saved
        assert process.poll() is None
        time.sleep(0.02)
    processes = psutil.Process(process.pid).children(recursive=True)
    (second,) = [each for each in processes if each.environ().get("RANK") == "1"]
    second.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - killed < 10
    assert process.returncode == 1
    assert err == "error: process 2 of 2 was ended by SIGKILL, probably for lack of memory\n"
    assert not any(each.is_running() for each in processes)
    assert not MODEL.exists() and not HISTORY.exists()
    assert "60 steps of 32 frames an epoch" in out
    assert "one of 2 processes, each with 16 frames of a step" in out
    done = re.findall(r"^epoch (\d+): ", out, re.MULTILINE)
    assert done == [str(number) for number in range(1, len(done) + 1)]  # one process prints

    set_params({"runtime": {"gpus": 1}, "train": {"epochs": len(done) + 2}})
    run_stages("train")
    line = re.search(r"going on after epoch (\d+), .*; (.*)$", capsys.readouterr().out, re.M)
    assert line and line[2] == "by 1 process now, 2 before"
    assert 1 <= int(line[1]) <= len(done)  # not every short epoch is written
    assert MODEL.exists() and len(pd.read_csv(HISTORY)) == len(done) + 2
