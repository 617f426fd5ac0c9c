"""Two processes that train together take the steps of one, with all their frames."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT
from training import together
from training.together import EVEN, EVEN_DEV, KEY, UNEVEN, UNEVEN_DEV, exact, finish, new, tiny

from phonemes.training.checkpoint import Checkpoints
from phonemes.training.seeds import derived

pytestmark = pytest.mark.heavy


def start(folder, rank, port):
    environment = {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent.parent)]),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "training.together", str(folder)],
        env=os.environ | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of what two processes saw, one of whose runs goes on from one process."""
    folder = tmp_path_factory.mktemp("together")
    alone = new(tiny(together.STATEFUL, epochs=4, optimizer="adam", batches="resident"))
    finish(alone, Checkpoints(folder / "whole", KEY), folder / f"{KEY}.safetensors")
    (folder / "alone").mkdir()
    shutil.move(folder / f"{KEY}.safetensors", folder / "alone")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = [start(folder, rank, port) for rank in range(2)]
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
        assert out == ""  # no process prints
    return folder


@pytest.fixture(scope="module")
def seen(folder):
    """Return what each of the processes saw."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


# The steps of one process


@pytest.mark.parametrize(
    ("name", "train", "dtype"),
    [
        ("one batch", {}, torch.float32),
        ("clipped", {"clip_norm": 0.05}, torch.float32),
        ("float16", {"optimizer": "adamw"}, torch.float16),
    ],
)
def test_a_batch_in_two_parts_is_learnt_as_one(seen, name, train, dtype):
    alone = new(exact(**train), lengths=EVEN, dev=EVEN_DEV, dtype=dtype)
    finish(alone)
    weights = torch.cat([each.detach().flatten() for each in alone.classifier.network.parameters()])
    close = {"rtol": 1e-3, "atol": 2e-3} if dtype == torch.float16 else {"rtol": 1e-5, "atol": 1e-6}
    for each in seen:
        found = each[name]
        assert (found["steps"], found["batch"]) == (1, 24)
        np.testing.assert_allclose(found["weights"], weights, **close)
        np.testing.assert_allclose(found["scores"], together.scores(alone), **close)


@pytest.mark.parametrize(
    "name", ["one batch", "clipped", "float16", "stopped", "plateau", "from one process"]
)
def test_all_processes_have_the_same_network_and_history(seen, name):
    one, other = (each[name].get("end", each[name]) for each in seen)
    assert one["digest"] == other["digest"]
    assert one["scores"] == other["scores"]
    assert one["best"] == other["best"]


def test_training_stops_early_for_all(seen):
    assert [len(each["stopped"]["scores"]) for each in seen] == [3, 3]


def test_means_are_of_all_processes_whatever_the_type(seen):
    for each in seen:
        for values in each["average"].values():
            assert values == [[[1.5] * 3] * 2, [3.0]]


# What each process has, and draws


def test_every_frame_is_in_one_share_and_no_utterance_in_two(seen):
    for number, lengths in enumerate((UNEVEN, UNEVEN_DEV)):
        shares = [each["draws"]["frames"][number] for each in seen]
        assert sorted(shares[0] + shares[1]) == [*range(1, lengths.sum() + 1)]
        utterance = np.repeat(np.arange(len(lengths)), lengths)
        of = [{*utterance[np.array(share) - 1].tolist()} for share in shares]
        assert not of[0] & of[1]
        assert abs(len(shares[0]) - len(shares[1])) <= lengths.max()
    most = max(len(each["draws"]["frames"][0]) for each in seen)
    assert [each["draws"]["steps"] for each in seen] == [-(-most // 8)] * 2


def test_the_first_process_draws_as_one_alone_and_others_differ(seen):
    first, second = (each["draws"]["seeds"] for each in seen)
    assert first == [derived(1, "order of frames"), derived(1, "dropout and distortions"), 1]
    assert not {*first} & {*second}


# Errors of one process


def test_a_gradient_that_overflows_in_one_process_leaves_the_step_out_in_all(seen):
    for each in seen:
        assert each["overflow"] == {"same": True, "scales": [[2.0**16, 0], [2.0**15, 0]]}


def test_a_training_that_diverges_in_one_process_ends_in_all_after_the_same_epoch(seen):
    one, other = (each["diverged"] for each in seen)
    assert one == other
    assert re.match(r"training diverged in epoch 2, step 2 of \d: the loss is nan", one["message"])
    assert one["history"] == 1


def test_a_process_that_trains_something_else_is_named(seen):
    assert {each["same code"] for each in seen} == {
        "process 2 of 2 has other parameters, data, code, torch or number of threads than the "
        "first: give all hosts the same project and data"
    }


# Going on


@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_as_many_processes_go_on_to_the_bytes_of_an_undisturbed_training(seen, kind):
    assert [each[kind]["line"] for each in seen] == [
        "going on after epoch 2, 2 of 4 epochs saved",
        "",
    ]
    for each in seen:
        assert each[kind]["resumed"] == each[kind]["undisturbed"]
        assert (each[kind]["blocks"] > 1) == (kind == "streamed")


def test_another_number_of_processes_goes_on_and_draws_anew(seen, folder):
    line = "going on after epoch 2, 2 of 4 epochs saved; by 2 processes now, 1 before"
    assert seen[0]["from one process"]["line"] == line
    assert len(seen[0]["from one process"]["end"]["scores"]) == 4
    ends = []
    for _ in range(2):
        run = new(tiny(together.STATEFUL, epochs=4, optimizer="adam", batch_size=8))
        assert Checkpoints(folder / "resident", KEY).resume(run) == (
            "going on after epoch 2, 2 of 4 epochs saved; by 1 process now, 2 before"
        )
        done = [[*row[:6]] for row in run.history]
        assert done == seen[0]["resident"]["undisturbed"]["scores"][:2]
        ends.append(finish(run))
    assert ends[0] == ends[1]  # what is drawn is decided by seed and epoch
