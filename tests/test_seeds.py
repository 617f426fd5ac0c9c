"""Runs that differ in the seed alone are one setting; only what has a result counts."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_pipeline import ENVIRONMENT, commit, run

from phonemes.errors import InputError
from phonemes.seeds import Run as Row
from phonemes.seeds import Spread, flat, report, spread, summarize

ROOT = Path(__file__).parent.parent


def row(dev, seed=1, state="success", test=None, **params):
    """Return a run with an accuracy on dev, and on test where there is one."""
    accuracy = {"dev": dev} | ({} if test is None else {"test": test})
    return Row(state, {"train.seed": seed, "train.lr": 0.1, "runtime.jobs": 0} | params, accuracy)


def shown(dev=None, params=None, **entry):
    """Return a row of `dvc exp show --json`."""
    scores = {} if dev is None else {"metrics/evaluate.json": {"data": {"dev": {"accuracy": dev}}}}
    values = {"params.yaml": {"data": {"train": params or {"seed": 0}}}}
    return {"rev": "4f2", "data": {"params": values, "metrics": scores}, "error": None} | entry


def experiment(state, dev=None, **params):
    executor = {"state": state} if state else None  # none where it ran in the workspace
    return {"revs": [shown(dev, params)], "executor": executor}


def commit_with(*experiments, dev=None):
    return [shown(0.99, rev="workspace"), shown(dev, experiments=[*experiments])]


# --- settings


def test_the_spread_of_seeds_is_that_of_a_sample():
    assert spread([0.5, 0.8, 0.8]) == Spread(
        pytest.approx(0.7), pytest.approx(0.03**0.5), lowest=0.5, highest=0.8
    )


def test_one_seed_has_no_deviation():
    assert spread([0.5]) == Spread(0.5, None, 0.5, 0.5)


def test_runs_that_differ_in_seed_and_runtime_are_one_setting():
    (setting,) = summarize([row(0.5, 1), row(0.7, 2), row(0.6, 3, **{"runtime.jobs": 2})])
    assert setting.label == ""
    assert setting.seeds == 3
    assert setting.accuracy == {"dev": spread([0.5, 0.7, 0.6])}


def test_settings_are_labelled_by_what_differs_and_the_best_comes_first():
    settings = summarize(
        [
            row(0.5, 1, **{"train.hidden": (8, 8), "train.residual": False, "data.k": 2}),
            row(0.7, 1, **{"train.hidden": (8, 6), "train.residual": True, "data.k": 2}),
            row(0.6, 2, **{"train.hidden": (8, 8), "train.residual": False, "data.k": 2}),
        ]
    )
    assert [(each.label, each.seeds) for each in settings] == [
        ("train.hidden=[8,6] train.residual=true", 1),
        ("train.hidden=[8,8] train.residual=false", 2),
    ]


def test_a_number_is_the_same_with_and_without_a_fraction():
    assert len(summarize([row(0.5, 1, **{"train.lr": 1}), row(0.6, 2, **{"train.lr": 1.0})])) == 1


def test_the_same_seed_counts_once():
    (setting,) = summarize([row(0.5, 1), row(0.9, 1), row(0.6, 2)])
    assert setting.seeds == 2
    assert setting.accuracy["dev"] == spread([0.5, 0.6])


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_a_run_without_success_does_not_count_whatever_accuracy_it_holds(state):
    (setting,) = summarize([row(0.5, 1), row(0.9, 2, state=state)])
    assert setting.seeds == 1


def test_test_is_summed_up_where_every_seed_has_it():
    (setting,) = summarize([row(0.5, 1, test=0.4), row(0.6, 2, test=0.6)])
    assert setting.accuracy["test"] == spread([0.4, 0.6])
    (setting,) = summarize([row(0.5, 1, test=0.4), row(0.6, 2)])
    assert "test" not in setting.accuracy


def test_nested_parameters_have_their_names_in_full():
    nested = {"train": {"lr": 0.1, "augment": {"gain": 0}, "hidden": [8, 6]}, "data": {"k": 2}}
    assert dict(flat(nested)) == {
        "train.lr": 0.1, "train.augment.gain": 0, "train.hidden": (8, 6), "data.k": 2,
    }  # fmt: skip


# --- what DVC shows


def test_the_report_is_a_table_with_what_it_leaves_out():
    experiments = [
        experiment("success", 0.8, seed=1, lr=1),
        experiment(None, 0.7, seed=2, lr=1),
        experiment("success", 0.85, seed=1, lr=2),
        experiment("success", seed=3, lr=1),
        experiment("queued", seed=4, lr=1),
        experiment("queued", seed=5, lr=1),
        experiment("failed", 0.1, seed=6, lr=1),
    ]
    assert report(commit_with(*experiments)).splitlines() == [
        "seeds  dev.accuracy                        setting",
        "    1  0.8500                              train.lr=2",
        "    2  0.7500 ± 0.0707 (0.7000 to 0.8000)  train.lr=1",
        "mean ± standard deviation over seeds (lowest to highest)",
        "experiments left out: 1 failed, 2 queued, 1 without dev.accuracy",
    ]


def test_the_commit_is_a_run_and_the_workspace_is_none():
    lines = report(commit_with(experiment("success", 0.6, seed=1), dev=0.8)).splitlines()
    assert lines[1] == "    2  0.7000 ± 0.1414 (0.6000 to 0.8000)  the only one"
    lines = report(commit_with(experiment("success", 0.8, seed=0), dev=0.8)).splitlines()
    assert lines[1] == "    1  0.8000        the only one"


def test_what_dvc_could_not_read_is_left_out():
    broken = {"revs": [{"rev": "a1", "data": None, "error": {"msg": "?"}}], "executor": None}
    lines = report(commit_with(broken, experiment("success", 0.6, seed=1))).splitlines()
    assert lines[-1] == "experiments left out: 1 failed"


def test_without_experiments_the_commands_that_make_some_are_named():
    with pytest.raises(InputError, match=r"no experiments of this commit; make some with `dvc exp"):
        report(commit_with(dev=0.8))


def test_without_a_result_it_says_what_the_experiments_do():
    with pytest.raises(
        InputError, match="no experiment has a result yet: 1 failed, 1 running; see"
    ):
        report(commit_with(experiment("running", seed=1), experiment("failed", seed=2)))


# --- DVC itself


def printed(folder):
    return subprocess.run(
        [sys.executable, "-m", "phonemes.seeds"],
        cwd=folder,
        env=ENVIRONMENT | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
        capture_output=True,
    )


def wait_for_workers(folder):
    """Wait until no worker of DVC's queue is left that would take what is queued next."""
    for _ in range(60):
        command = ["dvc", "queue", "status"]
        told = subprocess.check_output(command, cwd=folder, env=ENVIRONMENT, text=True)
        if "0 active, 0 idle" in told:
            return
    pytest.fail(f"DVC's workers stay: {told}")


SCORE = """
import json, pathlib, yaml
train = yaml.safe_load(pathlib.Path("params.yaml").read_text())["train"]
assert train["seed"] != 4
scores = {split: {"accuracy": train["lr"] + train["seed"] / 10} for split in ("dev", "test")}
pathlib.Path("metrics/evaluate.json").write_text(json.dumps(scores))
"""


def test_queued_experiments_are_summed_up(tmp_path):
    stage = {
        "cmd": "python score.py",
        "deps": ["score.py"],
        "params": ["train"],
        "metrics": [{"metrics/evaluate.json": {"cache": False}}],
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": stage}}))
    (tmp_path / "params.yaml").write_text("train: {seed: 0, lr: 0.2}\n")
    (tmp_path / "score.py").write_text(SCORE)
    (tmp_path / "metrics").mkdir()
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    run(tmp_path, "dvc", "repro", "-q")
    commit(tmp_path)
    without = printed(tmp_path)
    assert without.returncode == 1
    assert without.stderr.startswith("error: there are no experiments of this commit; make some")
    run(tmp_path, "dvc", "exp", "run", "--queue", "-S", "train.seed=1,2,4")
    subprocess.run(["dvc", "exp", "run", "--run-all"], cwd=tmp_path, env=ENVIRONMENT)
    wait_for_workers(tmp_path)
    run(tmp_path, "dvc", "exp", "run", "--queue", "-S", "train.seed=3")
    result = printed(tmp_path)
    assert result.stdout.splitlines() == [
        "seeds  dev.accuracy                        test.accuracy                       setting",
        "    3" + 2 * "  0.3000 ± 0.1000 (0.2000 to 0.4000)" + "  the only one",
        "mean ± standard deviation over seeds (lowest to highest)",
        "experiments left out: 1 failed, 1 queued",
    ]
    outside = printed(tmp_path.parent)
    assert outside.returncode == 1
    assert outside.stderr.startswith("error: `dvc exp show` failed: ERROR: you are not inside")
