"""The benchmark of several GPUs trains and searches in a folder of its own, and compares bytes."""

import os
import re
import sys

import pytest

from benchmarks import several_gpus
from benchmarks.several_gpus import Searched, Trained, print_searched, print_trained

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="two cores"
)


def printed(capfd, monkeypatch, *arguments):
    """Run the benchmark with one and two processes; return the cells of its table, and the rest."""
    monkeypatch.setattr(sys, "argv", ["several_gpus", *map(str, arguments)])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    several_gpus.main()
    out = capfd.readouterr().out
    rows = [re.findall(r"[^| ]+", line) for line in re.findall(r"^\| \d.*\|$", out, re.MULTILINE)]
    return rows, out


@pytest.mark.heavy
def test_it_compares_the_model_files_and_leaves_the_checkout_alone(
    packed, capfd, monkeypatch, tmp_path
):
    before = sorted(packed.rglob("*"))
    changes = (
        "model.hidden=[8,8] model.residual=false train.epochs=1 train.kernels=torch data.k=2 "
        "stacking.folds=2 stacking.networks=2 stacking.hidden=[8,8] stacking.epochs=1 "
        "train.warmup_epochs=0 model.precision=fp32"
    )
    rows, out = printed(capfd, monkeypatch, packed, "stacking", "--set", changes)
    assert [row[0] for row in rows] == ["1", "2"]
    assert rows[0][-1] == rows[1][-1]
    assert out.count("3 networks are shared out to 2 processes") == 1
    assert out.endswith("the model files are the same, byte for byte\n")
    assert sorted(packed.rglob("*")) == before


@pytest.mark.heavy
def test_it_searches_as_many_networks_for_each_process(packed, capfd, monkeypatch):
    space = packed / "space.yaml"
    rows, out = printed(capfd, monkeypatch, packed, "search", "--space", space, "--trials", "4")
    assert [row[:2] for row in rows] == [["1", "4"], ["2", "8"]]
    assert out.count("by each of 2 processes") == 1


def test_other_bytes_are_told(capsys):
    print_trained([Trained(1, 10.0, "a" * 64), Trained(2, 5.2, "b" * 64)])
    out = capsys.readouterr().out
    assert "| 2 | 5.2 | 52.0% | bbbbbbbbbbbbbbbb |\nthe model files are NOT the same\n" in out


def test_a_search_is_compared_with_the_first(capsys):
    print_searched([Searched(1, 60.0, 96, 6000.0), Searched(2, 33.0, 96, 11400.0)])
    assert "| 2 | 96 | 33.0 | 11,400 | 1.90 |" in capsys.readouterr().out
