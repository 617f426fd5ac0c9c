"""Two GPUs of one host average by copies, and nobody else does."""

import json
import os
import subprocess
import sys

import pytest
import torch
from helpers import ROOT

from phonemes.distributed.copies import Copies
from phonemes.distributed.world import Group, World
from phonemes.training.distributed_step import DistributedStep


def group_of(size, one_host=True):
    return Group(World(0, size, 0), store=object() if one_host else None)


@pytest.mark.parametrize(("size", "one_host"), [(1, False), (2, False), (3, True)])
def test_only_two_gpus_of_one_host_average_by_copies(monkeypatch, size, one_host):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Copies.between(group_of(size, one_host)) is None


def test_processes_on_a_cpu_do_not_average_by_copies(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Copies.between(group_of(2)) is None


@pytest.mark.parametrize("reached", [[False, True], [True, False], [False, False]])
def test_where_one_gpu_does_not_reach_the_other_neither_copies(monkeypatch, reached):
    own, other = reached
    group = group_of(2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "can_device_access_peer", lambda *_: own)
    monkeypatch.setattr(group, "gather", lambda mine: torch.stack([mine, torch.tensor(int(other))]))
    assert Copies.between(group) is None


@pytest.mark.parametrize("error", [ImportError, AttributeError, TypeError, RuntimeError])
def test_without_symmetric_memory_neither_copies(monkeypatch, error):
    def fails(self, rank):
        raise error("no way")

    group = group_of(2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "can_device_access_peer", lambda *_: True)
    monkeypatch.setattr(group, "gather", lambda mine: torch.stack([mine, torch.tensor(1)]))
    monkeypatch.setattr(Copies, "__init__", fails)
    assert Copies.between(group) is None


class Recorded:
    """A step of two parts, and the way between two GPUs, that note what happens."""

    kernels = "triton"

    def __init__(self):
        self.seen = []

    def parts(self, *buffers):
        for number in range(2):
            self.seen.append(f"gradients {number}")
            yield [torch.tensor([float(number)])]
        self.seen.append("weights")

    def begin(self, epoch=None):
        self.seen.append("begin")

    def average(self, part, tensor):
        self.seen.append(f"average {part}: {tensor.item():g}")

    def memory(self):
        return 5


def test_each_part_is_averaged_by_copies_before_the_step_goes_on(monkeypatch):
    recorded = Recorded()
    monkeypatch.setattr(Copies, "between", lambda group: recorded)
    step = DistributedStep(recorded, group_of(2))
    step.update(*[torch.zeros(1)] * 4)
    assert recorded.seen == [
        "begin", "gradients 0", "average 0: 0", "gradients 1", "average 1: 1", "weights"
    ]  # fmt: skip
    assert step.memory() == 10


def test_a_step_of_torchs_kernels_is_not_averaged_by_copies(monkeypatch):
    recorded = Recorded()
    recorded.kernels = "torch"
    monkeypatch.setattr(Copies, "between", lambda group: pytest.fail("asked for copies"))
    assert DistributedStep(recorded, group_of(2)).memory() == 5


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_copies_give_the_bytes_of_an_all_reduce_in_every_step(tmp_path):
    torchrun = ["torch.distributed.run", "--standalone", "--local-addr=localhost"]
    command = [sys.executable, "-m", *torchrun, "--nproc-per-node=2", "-m", "distributed.copying"]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    subprocess.run([*command, str(tmp_path)], env=os.environ | paths, check=True, timeout=120)
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["same"] == [True] * 200
        assert found["memory"] == 2 * (1_000_000 + 3_001 + 64)
