"""Processes of several hosts, here of one, learn soon that another one has ended or is silent."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from helpers import ROOT

SCRIPT = """
import os, sys, time
import torch
from phonemes.distributed import watch
from phonemes.distributed.world import World, joined

watch.LOOK_SECONDS, watch.GRACE_SECONDS, watch.SILENT_SECONDS = 0.2, 0.5, 2
rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
busy = [*map(float, sys.argv[1:])]
with joined(World(rank, size, 0), torch.device("cpu")):
    print("joined", flush=True)
    time.sleep(busy[rank])  # exchanges no data, as where a recorded graph waits
    print("done", flush=True)
time.sleep(busy[rank + size])
"""
LONG = 100


@pytest.fixture
def start():
    """Return what starts processes, each as on a host of its own, and waits until they joined."""
    processes = []

    def begin(*seconds):
        """Start processes; give the seconds of each until it leaves, then of each until it ends."""
        size = len(seconds) // 2
        with socket.create_server(("localhost", 0)) as server:
            port = server.getsockname()[1]
        for rank in range(size):
            environment = os.environ | {
                "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": "0",
                "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
            }  # fmt: skip
            command = [sys.executable, "-c", SCRIPT, *map(str, seconds)]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            processes.append(subprocess.Popen(command, env=environment, bufsize=0, **pipes))
        for process in processes:
            assert process.stdout.readline() == b"joined\n", process.communicate()
        return processes

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("killed", "named"), [(0, [1, 1]), (2, [3, 1])])
def test_all_end_soon_after_one_is_killed_whatever_they_do(start, killed, named):
    processes = start(*[LONG] * 6)
    processes[killed].kill()
    since = time.monotonic()
    others = [process for process in processes if process is not processes[killed]]
    errors = [process.communicate(timeout=30)[1] for process in others]
    assert time.monotonic() - since < 10  # it takes 2.4 s: the first one ends before the last
    assert [process.returncode for process in others] == [1, 1]
    for error, number in zip(errors, named, strict=True):
        assert error.decode() == (
            "error: another process of this run has ended; its own error says why "
            f"(process {number} of 3)\n"
        )


def test_a_process_that_is_silent_ends_the_others(start):
    first, second = start(*[LONG] * 4)
    second.send_signal(signal.SIGSTOP)
    _, error = first.communicate(timeout=30)
    assert first.returncode == 1
    assert error == b"error: process 2 of 2 has not answered for 2 s\n"


def test_processes_that_all_pause_go_on(start):
    processes = start(5, 5, 0, 0)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    for process in processes:
        process.send_signal(signal.SIGCONT)
    ends = [process.communicate(timeout=30) for process in processes]
    assert ends == [(b"done\n", b"")] * 2


@pytest.mark.parametrize("later", [0, 1])
def test_a_process_goes_on_after_another_one_has_nothing_left_to_do(start, later):
    seconds = [0, 0, 0, 0]
    seconds[later] = 4  # longer than what it waits after one has ended
    processes = start(*seconds)
    ends = [process.communicate(timeout=30) for process in processes]
    assert ends == [(b"done\n", b"")] * 2
    assert [process.returncode for process in processes] == [0, 0]
