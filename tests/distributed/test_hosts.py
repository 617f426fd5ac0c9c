"""Processes of two hosts, here of two network namespaces, train together and end together."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import ENVIRONMENT, ROOT, run_stages, set_params, write_course_files

from phonemes.storage.layout import HISTORY

pytestmark = pytest.mark.heavy


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def hosts():
    """Return two namespaces whose only way to each other is a cable, and their addresses."""
    number = os.getpid() % 200
    names = [f"phonemes{number}a", f"phonemes{number}b"]
    addresses = [f"10.{77 + number % 100}.{number}.{end}" for end in (1, 2)]
    try:
        for name in names:
            ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces are not allowed here: {error}")
    try:
        ends = [f"ph{number}a", f"ph{number}b"]
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, addresses, strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            for each in ("lo", end):
                ip("-n", name, "link", "set", each, "up")
        yield [*zip(names, ends, addresses, strict=True)]
    finally:
        for name in names:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for name in ("phonemes", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    set_params({
        "model": {"hidden": [32, 32], "norm": "batch"},
        "train": {"batch_size": 32, "epochs": 200},
    })  # fmt: skip
    write_course_files(tmp_path / "data/raw/tiny")
    run_stages("corpus", "normalize", "context")
    return tmp_path


def begun(hosts):
    """Start the train stage on all hosts, as docs/scaling.md says."""
    return [
        subprocess.Popen(
            [
                *("ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run"),
                *("--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(number)),
                *("--master-addr", hosts[0][2], "--master-port", "29500", "-m", "stages.train"),
            ],
            env=ENVIRONMENT | {"GLOO_SOCKET_IFNAME": end, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number, (name, end, _) in enumerate(hosts)
    ]  # fmt: skip


def test_a_process_killed_on_one_host_ends_all_on_both_soon(hosts, project):
    processes = begun(hosts)
    while not HISTORY.exists():  # shown once the first epoch is saved
        assert not any(process.poll() for process in processes)
        time.sleep(0.05)
    for pid in ip("netns", "pids", hosts[1][0]).split():
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            if b"\0RANK=1\0" in b"\0" + file.read():
                os.kill(int(pid), signal.SIGKILL)
    killed = time.monotonic()
    ends = [process.communicate(timeout=60) for process in processes]
    assert time.monotonic() - killed < 15, ends
    assert [process.returncode for process in processes] == [1, 1], ends
    assert "epoch 1: " in ends[0][0]
    assert ends[1][0] == ""  # one process prints
    assert "error: another process of this run has ended" in ends[0][1]
    assert "Signal 9 (SIGKILL) received" in ends[1][1]
    assert not HISTORY.exists()
