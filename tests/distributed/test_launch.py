"""Work is shared by as many processes as there are GPUs, or as were asked for."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
from helpers import ROOT

from phonemes.distributed import launch
from phonemes.distributed.launch import process_count
from phonemes.errors import InputError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch):
    """Have four GPUs and two cores."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(launch.os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(launch.sys, "platform", "linux")


@pytest.mark.parametrize(
    ("gpus", "device", "networks", "count"),
    [
        ("auto", CUDA, 6, 4),  # all GPUs of the host
        ("auto", CUDA, 3, 3),  # one a network
        ("auto", CUDA, 1, 1),  # another result with more: only where it is asked for
        ("auto", CPU, 6, 1),
        (1, CUDA, 6, 1),
        (2, CUDA, 6, 2),
        (4, CUDA, 3, 3),
        (2, CUDA, 1, 2),
        (2, CPU, 6, 2),
    ],
)
@pytest.mark.usefixtures("machine")
def test_as_many_processes_share_networks(gpus, device, networks, count):
    assert process_count(gpus, device, networks) == count


@pytest.mark.parametrize(
    ("gpus", "device", "message"),
    [
        (5, CUDA, "runtime.gpus is 5, but there are 4 GPUs; set it to auto, or to at most 4"),
        (3, CPU, "runtime.gpus is 3, but there are 2 cores; set it to auto, or to at most 2"),
        (2, torch.device("mps"), "runtime.gpus is 2, but there is 1 GPU; set it to auto, or "),
    ],
)
@pytest.mark.usefixtures("machine")
def test_more_gpus_than_there_are_cannot_be_asked_for(gpus, device, message):
    with pytest.raises(InputError, match=message):
        process_count(gpus, device, 8)


@pytest.mark.usefixtures("machine")
def test_a_process_of_torchrun_starts_no_others(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert process_count(4, CUDA, 6) == process_count("auto", CUDA, 6) == 1


def test_a_single_process_imports_nothing_of_torch_distributed_that_torch_does_not():
    modules = "import sys, torch; before = set(sys.modules)"
    imports = "import phonemes.distributed.launch, phonemes.distributed.world"
    added = "[name for name in set(sys.modules) - before if name.startswith('torch')]"
    done = subprocess.run(
        [sys.executable, "-c", f"{modules}\n{imports}\nprint({added})"],
        cwd=ROOT, text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


# Programs that are launched

PROGRAM = """
import os, signal, sys, time
import torch
from pathlib import Path
from phonemes.distributed.launch import launch
from phonemes.distributed.process import in_a_world
from phonemes.distributed.world import World, joined
from phonemes.errors import InputError, reported

world, device = World.of_environment(), torch.device("cpu")
with reported():
    if world.size == 1:
        launch(2, device, "program", sys.argv[1:])
        print("launcher ends")
        sys.exit()
    Path(f"pid{world.rank}").write_text(str(os.getpid()))
    with in_a_world(world), joined(world, device) as group:
        BODY
"""


@pytest.fixture
def program(tmp_path):
    """Return what starts a program of two processes with a body."""

    def start(body, **environment):
        text = PROGRAM.replace("BODY", body.strip().replace("\n", "\n        "))
        (tmp_path / "program.py").write_text(text)
        return subprocess.Popen(
            [sys.executable, "-m", "program"],
            cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"} | environment,
        )  # fmt: skip

    return start


def ended(process, within=60):
    """Return exit code, what was printed, and the lines of errors."""
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err.splitlines()


def running(tmp_path, within=40):
    """Return the ids of both processes once they are there."""
    files = [tmp_path / f"pid{rank}" for rank in range(2)]
    end = time.monotonic() + within
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < end
        time.sleep(0.05)
    return [int(file.read_text()) for file in files]


def are_gone(pids, within=10):
    """Return whether processes end soon."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(map(psutil.pid_exists, pids)):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.heavy
def test_processes_know_their_numbers_wait_for_each_other_and_share_tensors(program, tmp_path):
    body = """
values = torch.full((3,), world.rank + 5.0)
if world.rank == 1:
    time.sleep(0.5)
    Path("late").touch()
group.wait()
assert Path("late").exists()
group.broadcast([values], 1)
Path(f"rank{world.rank}").write_text(f"{[*world]} {values.tolist()} {torch.get_num_threads()}")
"""
    code, out, err = ended(program(body, OMP_NUM_THREADS="1"))
    assert (code, out, err) == (0, "launcher ends\n", [])
    assert (tmp_path / "rank0").read_text() == "[0, 2, 0] [6.0, 6.0, 6.0] 1"
    assert (tmp_path / "rank1").read_text() == "[1, 2, 1] [6.0, 6.0, 6.0] 1"


@pytest.mark.heavy
@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_process_ends_all_with_its_message_and_nothing_else(program, rank):
    body = f"""
if world.rank == {rank}:
    raise InputError("the file is bad")
group.wait()
"""
    began = time.monotonic()
    assert ended(program(body)) == (1, "", ["error: the file is bad"])
    assert time.monotonic() - began < 30


@pytest.mark.heavy
def test_an_error_of_all_processes_is_reported_once(program):
    assert ended(program('raise InputError("no fold")')) == (1, "", ["error: no fold"])


@pytest.mark.heavy
def test_a_killed_process_ends_all_and_is_named(program):
    body = """
if world.rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
group.wait()
"""
    message = "error: process 2 of 2 was ended by SIGKILL, probably for lack of memory"
    assert ended(program(body)) == (1, "", [message])


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_launcher_ends_all_processes(program, tmp_path, number):
    process = program("if world.rank:\n    time.sleep(60)\ngroup.wait()")
    pids = running(tmp_path)
    process.send_signal(number)
    assert ended(process, within=20) == (1, "", ["interrupted"])
    assert are_gone(pids)


@pytest.mark.heavy
def test_processes_end_with_a_killed_launcher(program, tmp_path):
    process = program("time.sleep(60)")
    pids = running(tmp_path)
    process.kill()
    process.communicate()
    assert are_gone(pids)


@pytest.mark.heavy
def test_the_exit_code_of_a_process_is_that_of_the_launcher(program):
    assert ended(program("sys.exit(130)"))[0] == 130


@pytest.mark.heavy
def test_a_process_that_cannot_hear_signals_ends_with_the_others_too(program, tmp_path):
    body = """
if world.rank == 1:
    Path("failing").touch()
    raise InputError("the file is bad")
torch.distributed.TCPStore(  # waits without a look at signals, as for a GPU
    "localhost", 0, is_master=True, wait_for_workers=False
).wait(["nothing"], __import__("datetime").timedelta(seconds=60))
"""
    assert ended(program(body))[::2] == (1, ["error: the file is bad"])
    assert time.time() - (tmp_path / "failing").stat().st_mtime < 20  # torchrun waits 30 s
