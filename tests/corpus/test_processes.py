"""Processes that work for a stage end with it, whatever ends it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from helpers import ENVIRONMENT, ROOT

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

# items that never end in two processes of a pool, or in two of the synthetic source's kind
POOL = """
import os, time
from phonemes.corpus.audio.source import in_order
from phonemes.errors import reported

def work(seconds):
    time.sleep(seconds)
    return os.getpid()

if __name__ == "__main__":
    with reported("interrupted"):
        for worker in in_order(work, iter(lambda: 0.2, None), 2):
            print("working", worker, flush=True)
"""
FRESH = """
import multiprocessing, os, time
from phonemes.corpus.processes import end_with_parent
from phonemes.errors import reported

def work(started):
    end_with_parent()
    started.set()
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        started = context.Event()
        process = context.Process(target=work, args=(started,), daemon=True)
        process.start()
        started.wait()
    with reported("interrupted"):
        while True:
            print("working", os.getpid(), flush=True)
            time.sleep(0.1)
"""


def start(program, folder):
    """Start a program; return it, once its processes work, and them."""
    path = folder / "program.py"
    path.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(path)],
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker_of(process)
    return process, psutil.Process(process.pid).children(recursive=True)


def worker_of(process):
    """Return which process has worked, of the next line of a program."""
    word, worker = process.stdout.readline().split()
    assert word == "working"
    return worker


@pytest.mark.parametrize("program", [POOL, FRESH], ids=["pool", "fresh"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_they_end_when_the_stage_is_ended(program, number, tmp_path):
    process, workers = start(program, tmp_path)
    assert len(workers) >= 2
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert (process.returncode, errors) == (1, "interrupted\n")
    _, alive = psutil.wait_procs(workers, timeout=10)
    for worker in alive:
        worker.kill()
    assert alive == []


def test_ctrl_c_in_a_terminal_is_left_to_the_stage(tmp_path):
    process, workers = start(POOL, tmp_path)
    while len({worker_of(process) for _ in range(10)}) < 2:
        pass  # one of them is still starting
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
    time.sleep(0.5)
    for _ in range(10):  # what was under way before, and more
        assert worker_of(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors == "interrupted\n"
