"""Networks shared out to processes make the model of one process, and end as one program does."""

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

from phonemes.storage.layout import HISTORY, LOCK, MODEL

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="two cores",
    ),
]

SAVED = "nothing is left to train"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train three base networks and two stacked ones."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for name in ("phonemes", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    stacked = {"folds": 2, "networks": 2, "context": 3, "epochs": 2}
    model = {"hidden": [32, 32], "norm": "batch", "dropout": 0.1}
    set_params({"train": {"batch_size": 64}, "model": model, "stacking": stacked})
    write_course_files(tmp_path / "data/raw/tiny")
    run_stages("corpus", "normalize", "context")
    return tmp_path


def begun(processes):
    """Start the train stage with a number of processes."""
    set_params({"runtime": {"gpus": processes}})
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
    )


def trained(processes):
    """Run the train stage to its end; return its exit code, what it printed, and its errors."""
    process = begun(processes)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def results():
    history = pd.read_csv(HISTORY)
    return MODEL.read_bytes(), history.values.tolist()


def nothing_half_written(project):
    return not [*project.rglob(".*.partial"), *project.rglob("*.lock.*")]


def children(process):
    """Return the ids of the processes that a process has started."""
    return [each.pid for each in psutil.Process(process.pid).children()]


def once_there(paths, within=60):
    """Wait until as many files as asked for are there."""
    end = time.monotonic() + within
    while not paths():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_processes_make_the_bytes_of_one_and_each_trains_its_share(project):
    code, out, _ = trained(1)
    assert code == 0
    assert "shared out" not in out
    alone = results()
    for path in (MODEL, HISTORY):
        path.unlink()
    shutil.rmtree(".dvc")
    code, out, err = trained(2)
    assert (code, err) == (0, "")
    assert results() == alone
    assert nothing_half_written(project)
    assert "3 networks are shared out to 2 processes" in out
    assert "\nbase network without fold 1 of 2: kept epoch" in out  # of the second, a line
    assert "\nbase network without fold 2 of 2: kept epoch" in out
    assert "\nstacked network 1 of 2\n" in out  # of the first, in full
    assert "\nstacked network 2 of 2: kept epoch" in out
    shutil.rmtree("models")
    code, out, _ = trained(1)  # goes on from what both have left
    assert out.count(SAVED) == 5
    assert results() == alone


def handing_over(project, **train):
    """Have the second of two processes begin the first one's last network; return one's results."""
    set_params({
        "stacking": {"folds": 4, "networks": 1},
        "train": {"epochs": 3, "optimizer": "adamw", **train},
    })  # fmt: skip
    assert trained(1)[0] == 0
    alone = results()
    for path in (MODEL, HISTORY):
        path.unlink()
    shutil.rmtree(project / ".dvc")
    return alone


def test_a_network_that_is_handed_over_has_the_bytes_of_one_process(project):
    alone = handing_over(project)
    code, out, err = trained(2)
    assert (code, err) == (0, "")
    assert "\nbase network without fold 2 of 4: 2 of 3 epochs trained, another pro" in out
    assert "\nbase network without fold 2 of 4\n" in out
    assert out.count("\ngoing on after epoch 2, 2 of 3 epochs saved\n") == 1
    assert results() == alone


def test_a_network_that_stops_before_it_is_handed_over_is_taken_as_it_is(project):
    early = {"lr": 1e-12, "early_stopping_patience": 1}
    alone = handing_over(project, epochs=30, **early)
    code, out, _ = trained(2)
    assert code == 0
    done = re.search(r"\nbase network without fold 2 of 4: (\d+) of 30 epochs trained, an", out)[1]
    assert int(done) < 20  # after which it would be handed over
    taken = out.partition("\nbase network without fold 2 of 4\n")[2]
    assert f"\ngoing on after epoch {done}, {done} of 30 epochs saved\n" in taken
    assert "\nepoch " not in taken.partition("\nstacked network")[0]
    assert results() == alone


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_is_killed_at_a_hand_over_goes_on_with_any_number_of_processes(
    project, processes
):
    alone = handing_over(project)
    process = begun(2)
    while "another process goes on" not in (line := process.stdout.readline()):
        assert line
    pids = children(process)
    process.kill()
    process.communicate()
    once_there(lambda: not any(map(psutil.pid_exists, pids)), within=10)
    assert not MODEL.exists()
    assert trained(processes)[::2] == (0, "")
    assert results() == alone


def test_who_waits_for_a_network_ends_with_the_error_of_the_one_that_trains_it(project):
    module = project / "phonemes/training/run.py"
    inside = """
    import os, time
    if os.environ.get("RANK") == "1" and epoch == 1:
        time.sleep(10)
        next(run.classifier.network.parameters()).data.fill_(float("nan"))
"""
    text = module.read_text()
    marked = "    run.step.begin(epoch)\n"
    module.write_text(text.replace(marked, marked + inside.lstrip("\n")))
    set_params({"stacking": {"folds": 4, "networks": 1}, "train": {"epochs": 3}})
    code, out, err = trained(2)
    assert code == 1
    assert out.count("\nepoch 3: ") == 2  # what the first process had to do before it waited
    assert err.startswith("error: base network without fold 2 of 4: training diverged in epoch 2")
    assert err.count("\n") == 1
    assert nothing_half_written(project)


def test_a_killed_run_goes_on_with_another_number_of_processes(project):
    assert trained(1)[0] == 0
    undisturbed = results()
    shutil.rmtree(".dvc")
    MODEL.unlink()
    process = begun(2)
    once_there(lambda: [*project.glob(".dvc/tmp/checkpoints/[!.]*")])
    pids = children(process)
    assert len(pids) == 2
    process.kill()
    process.communicate()
    once_there(lambda: not any(map(psutil.pid_exists, pids)), within=10)
    assert not MODEL.exists()
    assert trained(1)[::2] == (0, "")
    assert results() == undisturbed


@pytest.mark.parametrize("rank", [0, 1])
def test_a_network_that_diverges_ends_all_with_its_message(project, rank):
    module = project / "phonemes/training/run.py"
    inside = f"""
    import os
    if os.environ.get("RANK") == "{rank}" and number == 1:
        next(run.classifier.network.parameters()).data.fill_(float("nan"))
"""
    text = module.read_text()
    marked = "    run.step.begin(epoch)\n"
    assert text.count(marked) == 1
    module.write_text(text.replace(marked, marked + inside.replace("number", "epoch").lstrip("\n")))
    set_params({"train": {"epochs": 3}})
    began = time.monotonic()
    code, _, err = trained(2)
    assert time.monotonic() - began < 60
    assert code == 1
    name = "base network without fold 1 of 2: " * (rank == 1)
    assert err.startswith(f"error: {name}training diverged in epoch 2, step ")
    assert err.count("\n") == 1
    assert not MODEL.exists() and not HISTORY.exists()
    assert nothing_half_written(project)


def test_what_all_processes_refuse_is_said_once(project):
    set_params({"stacking": {"folds": 41}})
    code, _, err = trained(2)
    assert code == 1
    assert err.count("warning: stacking.folds is 41; ") == 1
    assert err.count("error: stacking.folds is 41, but the training set has 40 utterances") == 1
    assert err.count("\n") == 2


def test_more_processes_than_cores_are_refused_before_any_starts(project):
    code, out, err = trained(1024)
    cores = len(os.sched_getaffinity(0))
    assert (code, out) == (1, "")
    assert err == (
        f"error: runtime.gpus is 1024, but there are {cores} cores; set it to auto, or to at most "
        f"{cores}\n"
    )


def test_ctrl_c_ends_all_processes_and_nothing_is_half_written(project):
    set_params({"train": {"epochs": 200}})
    process = begun(2)
    once_there(lambda: [*project.glob(".dvc/tmp/checkpoints/[!.]*")])
    pids = children(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err == "interrupted; the same command goes on\n"
    assert not any(map(psutil.pid_exists, pids))
    assert not MODEL.exists() and not HISTORY.exists()
    assert nothing_half_written(project)


def test_while_a_run_is_shared_out_no_other_stage_runs_in_its_folder(project):
    set_params({"train": {"epochs": 200}})
    process = begun(2)
    once_there(lambda: [*project.glob(".dvc/tmp/checkpoints/[!.]*")])
    assert LOCK.exists()
    code, _, err = trained(2)
    assert code == 1
    assert err.startswith("error: a stage is running in ")
    assert err.count("\n") == 1
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
