"""`phonemes search --gpus N` is one search by several processes, and ends as by one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import psutil
import pytest
from helpers import ENVIRONMENT, ROOT, set_params

from phonemes.commands.search import open_search
from phonemes.search import journal
from phonemes.search.study import Plan

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
        reason="two cores",
    ),
]

RESULTS = Path("search/space")


def begun(*arguments):
    """Start a search by two processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "phonemes", "search", "space.yaml", "--gpus", "2", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def searched(*arguments):
    """Search with two processes; return exit code, what was printed, and errors."""
    process = begun(*arguments)
    try:
        out, err = process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        process.kill()  # with which the others end
        raise
    return process.returncode, out, err


def workers():
    """Return how many trials each process has begun, by its id."""
    lines = map(json.loads, (RESULTS / "journal.log").read_text().splitlines())
    values = [line.get("user_attr", {}).get(journal.WORKER) for line in lines]
    return Counter(pid for _, pid, _ in filter(None, values))


def children(process):
    return [each.pid for each in psutil.Process(process.pid).children()]


def after_trials(process, count, within=90):
    """Wait until some trials are over."""
    end = time.monotonic() + within
    log = RESULTS / "journal.log"
    while not (log.exists() and log.read_text().count(f'"{journal.RECORD}"') >= count):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)


def test_two_processes_make_one_search_and_share_its_winners(search_project):
    code, out, err = searched("--trials", "10", "--seeds", "2", "--winners", "2")
    assert (code, err) == (0, "")
    assert out.startswith(
        "6 parameters varied by random, pruner halving, seed 1; 1 at a time on cpu "
    )
    assert out.count("by each of 2 processes") == 1
    assert out.count("training trial ") == 1
    assert out.count("to train it: ") == 1
    table = pd.read_csv(RESULTS / "trials.csv")
    assert len(table) == 10
    assert len(workers()) == 2  # both began trials
    assert sum(workers().values()) == 10
    found = open_search("space.yaml", "space", Plan("tpe", "halving", 1, 0, None), None)[0]
    again = journal.retrained(found.study)
    winners = re.search(r"training trial (\d+), trial (\d+) and", out).groups()
    names = ["start", *(f"trial {number}" for number in winners)]
    assert sorted(again) == sorted(f"{name}, seed {seed}" for name in names for seed in (2, 3))
    text = (RESULTS / "journal.log").read_text()
    assert all(text.count(f"{journal.RETRAINED} {name}") == 1 for name in again)  # each once
    code, out, err = searched("--trials", "0")  # another number of seconds, nothing more to do
    assert (code, err) == (0, "")
    assert (RESULTS / "journal.log").read_text().count(f'"{journal.RECORD}"') == 10


def test_ctrl_c_ends_all_processes_with_their_results_and_the_search_goes_on(search_project):
    process = begun("--minutes", "5")
    after_trials(process, 3)
    pids = children(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert out.count("interrupted; the same command goes on") == 1
    assert len(pids) == 2
    assert not any(map(psutil.pid_exists, pids))
    count = len(pd.read_csv(RESULTS / "trials.csv"))
    assert count >= 3
    set_params({"runtime": {"gpus": 2}})  # which is no reason for another search
    code, _, err = searched("--trials", str(count + 2), "--seeds", "0")
    assert (code, err) == (0, "")
    assert len(pd.read_csv(RESULTS / "trials.csv")) >= count + 2


def test_a_killed_process_ends_the_search_and_no_finished_trial_is_lost(search_project):
    process = begun("--minutes", "5")
    after_trials(process, 3)
    os.kill(children(process)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "was ended by SIGKILL, probably for lack of memory" in err
    assert err.count("\n") == 1
    code, _, err = searched("--trials", "0", "--seeds", "0")
    assert (code, err) == (0, "")
    assert len(pd.read_csv(RESULTS / "trials.csv")) >= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "../up"], "error: --name is '../up'; expected letters"),
        (["--gpus", "1024"], "error: runtime.gpus is 1024, but there are "),
    ],
)
def test_what_cannot_be_searched_is_refused_once(search_project, arguments, message):
    code, out, err = searched(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize("value", ["0", "two"])
def test_gpus_are_auto_or_a_number(search_project, value):
    code, _, err = searched("--gpus", value)
    assert code == 2
    assert "Invalid value for '--gpus'" in err
