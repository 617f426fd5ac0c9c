"""The benchmark of scaling compares what is measured with the model's prediction."""

import pytest
import torch

from benchmarks import scaling
from benchmarks.scaling import cases, measured, print_accuracy, print_scaling
from benchmarks.step_model import Net
from phonemes.distributed.world import SINGLE
from phonemes.inference.device import Compute


def test_the_networks_are_that_of_the_course_and_that_of_the_recipe_legal():
    course, legal = (case.net for case in cases("cuda"))
    assert course == Net(65 * 40, (1024, 1024, 1024, 512, 256, 256), 71)
    assert len(legal.hidden) == 11 and set(legal.hidden) == {1216}
    assert legal.outputs == 31 * 71
    assert 19e6 < sum(legal.products) < 20e6


@pytest.mark.heavy
def test_the_figures_of_a_process_are_all_there(monkeypatch):
    monkeypatch.setattr(scaling, "OTHER_FRAMES", 600)
    monkeypatch.setattr(scaling, "DEV", 700)
    monkeypatch.setattr(scaling, "matrix_rate", lambda *_: 1e9)
    monkeypatch.setattr(scaling, "copy_rate", lambda *_: 1e9)
    found = measured(SINGLE, Compute(torch.device("cpu"), torch.float32), 0.0)
    assert found["gpus"] == 1 and found["latency"] > 0
    for case in cases("cpu"):
        each = found["cases"][case.name]
        assert each["frames_per_second"] > 0 and each["products"] > 0
        assert len(each["epochs"]) == scaling.EPOCHS
        assert min(each["between"].values()) > 0


BETWEEN = {"forward": 2e-12, "backward": 4e-12, "loss": 2e-12}  # s of a number


def figures(gpus, rate):
    names = [case.name for case in cases("cuda")]
    found = {
        "gpus": gpus, "device": "a GPU", "matrix": 7e14, "copied": 2.7e12, "latency": 2e-6,
        "cases": {
            name: {"frames_per_second": rate, "products": 6e14, "between": BETWEEN}
            for name in names
        },
    }  # fmt: skip
    if gpus > 1:
        found["all_reduce"] = {str(size): 2e-5 + size / 2e11 for size in scaling.SIZES}
    return found


def test_measured_and_predicted_times_stand_side_by_side(capsys):
    print_scaling([figures(1, 12e6), figures(2, 23e6)], 2**22)
    out = capsys.readouterr().out
    assert "all-reduce on 2 GPUs: 20 us + bytes over 200 GB/s" in out
    assert "| course, k = 32 | 1 | 12,000,000 | 1.00 | 1.365 | " in out
    assert "| course, k = 32 | 2 | 23,000,000 | 1.92 | 1.425 | " in out
    forecasts = [line.split(" | ") for line in out.splitlines() if line.count("|") == 5]
    assert [line[1] for line in forecasts[-3:]] == ["4", "8", "64"]
    assert all(float(line[2]) <= int(line[1]) for line in forecasts[-3:])


def test_a_goal_that_a_seed_misses_is_said(capsys):
    run = {"seed": 1, "accuracy": 0.66, "seconds": 30.0, "seconds_to_goal": 20.0}
    missed = run | {"accuracy": 0.65, "seconds_to_goal": None}
    print_accuracy([{"gpus": 1, "runs": [run, run]}, {"gpus": 2, "runs": [run, missed]}])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| 1 | 0.6600 (0.6600 to 0.6600) | 30.0 | 20.0 |",
        "| 2 | 0.6550 (0.6500 to 0.6600) | 30.0 | not by all |",
    ]
