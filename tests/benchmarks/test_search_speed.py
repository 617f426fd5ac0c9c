"""The benchmark of the search trains as the search does, and notices a bit that differs."""

import json
import sys

import pytest
import torch
from helpers import ENVIRONMENT, commit, new_project, run

from benchmarks import search_speed

pytestmark = pytest.mark.heavy

SMALL = "train.epochs=1 train.batch_size=256 train.optimizer=adam model.norm=batch"


def benchmark(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["search_speed", *arguments])
    search_speed.main()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Have the recipe's network be small."""
    plain = search_speed.with_recipe

    def with_recipe(name, changes=""):
        return plain(changes=f"{SMALL} {changes} model.hidden=[16,16] train.kernels=torch")

    monkeypatch.setattr(search_speed, "with_recipe", with_recipe)


def test_networks_an_hour_are_measured_by_their_number_at_once(monkeypatch, capsys, tmp_path):
    file = tmp_path / "speed.json"
    benchmark(
        monkeypatch, "--frames", "4000", "--parallel", "1", "2", "--networks", "2",
        "--json", str(file),
    )  # fmt: skip
    rows = json.loads(file.read_text())["speed"]
    assert [row["parallel"] for row in rows] == [1, 2]
    assert all(row["networks_per_hour"] > 0 and row["overhead_seconds"] > 0 for row in rows)
    assert 3600 / rows[0]["networks_per_hour"] > rows[0]["seconds"]
    assert "at once  networks/hour" in capsys.readouterr().out


def test_a_checkouts_corpus_is_trained_on(monkeypatch, project, capsys):
    benchmark(
        monkeypatch, "--folder", str(project), "--parallel", "1", "--networks", "2",
        "--changes", "train.epochs=9 train.batch_size=16 train.lr=1e-2",
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("1,920 frames")
    assert float(lines[-1].split()[-1]) > 0.3  # of 40 phonemes


def test_the_same_weights_are_found_by_both_ways_and_others_are_named(monkeypatch, capsys):
    monkeypatch.setattr(
        search_speed, "CHECKED", {"one": "data.k=1", "other": "data.k=2 model.dropout=0.2"}
    )
    benchmark(monkeypatch, "--check", "--frames", "3000", "--parallel", "1")
    assert capsys.readouterr().out.count("same at once, same as the stage") == 2
    stage = search_speed.as_the_stage

    def a_bit_off(corpus, params):
        states = stage(corpus, params)
        if params.data.k == 2:
            next(iter(states[0].values())).view(torch.int32)[0] ^= 1
        return states

    monkeypatch.setattr(search_speed, "as_the_stage", a_bit_off)
    with pytest.raises(SystemExit, match=r"^other weights: other$"):
        benchmark(monkeypatch, "--check", "--frames", "3000", "--parallel", "1")


def test_the_time_of_drawing_is_measured_by_the_trials_before(monkeypatch, capsys, tmp_path):
    file = tmp_path / "optuna.json"
    benchmark(monkeypatch, "--optuna", "20", "--space", "small", "--json", str(file))
    rows = json.loads(file.read_text())["optuna"]
    assert [trials for trials, _ in rows] == [*range(2, 21, 2)]
    assert all(0 < ms < 5000 for _, ms in rows)


@pytest.mark.slow
def test_the_queue_of_dvc_trains_what_was_drawn(monkeypatch, tmp_path, capsys):
    for name in ("PATH", "GIT_CONFIG_GLOBAL", "DVC_NO_ANALYTICS"):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    project = new_project(tmp_path / "project")
    run(project, "dvc", "repro", "-q")
    commit(project)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces/tiny.yaml").write_text("train: {lr: {low: 0.01, high: 0.1}, epochs: 1}")
    monkeypatch.setattr(search_speed, "RECIPES", tmp_path)
    benchmark(
        monkeypatch, "--queue", "2", "--folder", str(project), "--space", "tiny", "--parallel", "1"
    )
    assert "queued 2 in " in capsys.readouterr().out
    assert len(run(project, "dvc", "exp", "list", "--name-only").split()) == 2
