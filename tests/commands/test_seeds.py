"""Runs that differ in the seed alone are one setting; only what has a result counts."""

import shutil
import subprocess

import pytest
import yaml
from click.testing import CliRunner
from helpers import ENVIRONMENT, commit, run

from phonemes.commands.experiments import Run, flat
from phonemes.commands.seeds import Spread, difference, report, seeds, spread, summarize
from phonemes.errors import InputError

pytestmark = pytest.mark.heavy


def row(dev, seed=1, state="success", test=None, **params):
    """Return a run with an accuracy on dev, and on test where there is one."""
    accuracy = {"dev": dev} | ({} if test is None else {"test": test})
    return Run(state, {"train.seed": seed, "train.lr": 0.1, "runtime.jobs": 0} | params, accuracy)


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


# Settings


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
            row(0.5, 1, **{"model.hidden": (8, 8), "model.residual": False, "data.k": 2}),
            row(0.7, 1, **{"model.hidden": (8, 6), "model.residual": True, "data.k": 2}),
            row(0.6, 2, **{"model.hidden": (8, 8), "model.residual": False, "data.k": 2}),
        ]
    )
    assert [(each.label, each.seeds) for each in settings] == [
        ("model.hidden=[8,6] model.residual=true", 1),
        ("model.hidden=[8,8] model.residual=false", 2),
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


def test_the_interval_of_a_difference_is_welchs():
    from scipy.stats import ttest_ind

    values = [0.71, 0.74, 0.72], [0.60, 0.66]
    first, other = summarize(
        [row(v, seed, **{"train.lr": lr}) for lr in (0, 1) for seed, v in enumerate(values[lr])]
    )
    found = difference(first, other)
    expected = ttest_ind(values[1], values[0], equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((0.63 - 2.17 / 3, expected.low, expected.high))


def test_seeds_that_do_not_vary_give_a_difference_without_width():
    settings = [row(v, seed, **{"train.lr": v}) for v in (0.5, 0.75) for seed in (1, 2)]
    assert difference(*summarize(settings)) == (-0.25, -0.25, -0.25)


def test_a_setting_with_one_seed_has_no_interval_of_its_difference():
    first, other = summarize([row(0.8), row(0.7, 2), row(0.5, **{"train.lr": 1})])
    assert difference(first, other) is None


def test_nested_parameters_have_their_names_in_full():
    nested = {"corpus": {"audio": {"seed": 1}}, "model": {"hidden": [8, 6]}, "data": {"k": 2}}
    assert dict(flat(nested)) == {"corpus.audio.seed": 1, "model.hidden": (8, 6), "data.k": 2}


# What DVC shows


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


def test_settings_of_several_seeds_are_compared_with_the_first_of_them():
    runs = {0: (0.95,), 1: (0.8, 0.9), 2: (0.5, 0.6), 3: (0.4,)}
    experiments = [
        experiment("success", accuracy, seed=seed, lr=lr)
        for lr, accuracies in runs.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    lines = report(commit_with(*experiments)).splitlines()
    assert "dev.difference" in lines[0]
    assert [line.count(" to ") for line in lines[1:5]] == [0, 1, 2, 0]
    assert "-0.3000 (-0.6042 to +0.0042)" in lines[3]  # t of 2 degrees .975: 4.3027, times 0.0707
    assert "Welch's t" in lines[-1]


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


@pytest.mark.parametrize(
    "printed",
    [
        {"workspace": {}},  # DVC 2 and older
        [{"rev": "main"}],
        [{"rev": "main", "experiments": [{"revs": []}]}],
        [{"rev": "main", "experiments": None, "error": None, "data": [1]}],
        ["main"],
        None,
        3,
    ],
)
def test_what_another_dvc_prints_is_refused_in_one_line(printed):
    with pytest.raises(InputError, match=r"^`dvc exp show --json` prints what this"):
        report(printed)


def test_an_accuracy_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="could not convert string to float: 'high'"):
        report(commit_with(experiment("success", "high")))


def test_values_of_any_kind_in_an_old_commit_are_compared():
    old = [[1], {"a": [2]}]
    found = report(commit_with(experiment("success", 0.5, old=old), experiment("success", 0.7)))
    assert [line.split()[:2] for line in found.splitlines()[1:3]] == [
        ["1", "0.7000"],
        ["1", "0.5000"],
    ]


# DVC itself


SCORE = """
import json, pathlib, yaml
train = yaml.safe_load(pathlib.Path("params.yaml").read_text())["train"]
assert train["seed"] != 4
scores = {split: {"accuracy": train["lr"] + train["seed"] / 10} for split in ("dev", "test")}
pathlib.Path("metrics/evaluate.json").write_text(json.dumps(scores))
"""
OF_THREE_SEEDS = [
    "seeds  dev.accuracy                        test.accuracy                       setting",
    "    3" + 2 * "  0.3000 ± 0.1000 (0.2000 to 0.4000)" + "  the only one",
    "mean ± standard deviation over seeds (lowest to highest)",
]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Return a project of one stage, whose accuracy is 0.2 and a tenth of the seed."""
    folder = tmp_path_factory.mktemp("seeds") / "project"
    (folder / "metrics").mkdir(parents=True)
    stage = {
        "cmd": "python score.py",
        "deps": ["score.py"],
        "params": ["train"],
        "metrics": [{"metrics/evaluate.json": {"cache": False}}],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": stage}}))
    (folder / "params.yaml").write_text("train: {seed: 0, lr: 0.2}\n")
    (folder / "score.py").write_text(SCORE)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "repro", "-q")
    commit(folder)
    return folder


@pytest.fixture
def project(scored, tmp_path, monkeypatch):
    """Enter a copy of that project."""
    folder = shutil.copytree(scored, tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def printed(*arguments):
    """Return what `phonemes seeds` prints in the current folder."""
    return CliRunner().invoke(seeds, arguments, catch_exceptions=False).output.splitlines()


def test_experiments_in_temporary_folders_are_summed_up_and_queued_ones_left_out(project):
    for seed in (1, 2):
        run(project, "dvc", "exp", "run", "--temp", "-S", f"train.seed={seed}")
    run(project, "dvc", "exp", "run", "--queue", "-S", "train.seed=3")
    assert printed() == [*OF_THREE_SEEDS, "experiments left out: 1 queued"]
    (project / "note").write_text("a further commit\n")
    commit(project)
    with pytest.raises(
        InputError, match=r"those of earlier commits .*`dvc exp list --all-commits`"
    ):
        printed()
    assert printed("HEAD~1") == [*OF_THREE_SEEDS, "experiments left out: 1 queued"]


def test_a_project_without_experiments_and_a_folder_without_project_are_refused(
    project, monkeypatch
):
    with pytest.raises(InputError, match="there are no experiments of this commit; make some"):
        printed()
    monkeypatch.chdir(project.parent)
    with pytest.raises(InputError, match="`dvc exp show` failed: ERROR: you are not inside"):
        printed()


def wait_for_workers(folder):
    """Wait until no worker of DVC's queue is left that would take what is queued next."""
    for _ in range(60):
        status = run(folder, "dvc", "queue", "status")
        if "0 active, 0 idle" in status:
            return
    pytest.fail(f"DVC's workers stay: {status}")


@pytest.mark.slow
def test_queued_experiments_that_ran_are_summed_up_and_failed_ones_left_out(project):
    run(project, "dvc", "exp", "run", "--queue", "-S", "train.seed=1,2,4")
    subprocess.run(["dvc", "exp", "run", "--run-all"], cwd=project, env=ENVIRONMENT)
    wait_for_workers(project)
    run(project, "dvc", "exp", "run", "--queue", "-S", "train.seed=3")
    assert printed() == [*OF_THREE_SEEDS, "experiments left out: 1 failed, 1 queued"]
