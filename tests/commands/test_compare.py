"""Experiments are shown with what each changed, the best first, on a narrow screen too."""

import pytest

from phonemes.commands.compare import changes, compared, report
from phonemes.commands.experiments import Run, read_runs
from phonemes.errors import InputError

COMMIT = Run(
    "success",
    {"data.k": 2, "train.lr": 0.1, "model.hidden": (8, 8), "model.residual": False},
    {"dev": 0.8},
    "main",
)


def experiment(name, dev=None, state="success", test=None, **params):
    accuracy = {} if dev is None else {"dev": dev}
    accuracy |= {} if test is None else {"test": test}
    changed = {key.replace("__", "."): value for key, value in params.items()}
    return Run(state, COMMIT.params | changed, accuracy, name)


def test_the_best_comes_first_with_what_it_changed():
    table = compared(
        COMMIT,
        [
            experiment("slow", 0.7, train__lr=0.2),
            experiment("wide", 0.9, model__hidden=(16, 16), model__residual=True),
        ],
    )
    assert table.splitlines() == [
        "experiment  dev.accuracy  changed",
        "wide              0.9000  model.hidden=[16,16] model.residual=true",
        "main              0.8000  the commit",
        "slow              0.7000  train.lr=0.2",
    ]


def test_what_did_not_succeed_comes_last_without_the_accuracy_it_holds():
    table = compared(
        COMMIT,
        [
            experiment("a", 0.8, state="failed", data__k=3),
            experiment("b", state="queued", data__k=4),
            experiment("c", data__k=5),
            experiment("d", 0.5),
        ],
    )
    assert table.splitlines()[2:] == [
        "d                 0.5000  nothing changed",
        "a                      -  failed: data.k=3",
        "b                      -  queued: data.k=4",
        "c                      -  no accuracy: data.k=5",
    ]


def test_the_accuracy_of_test_has_a_column_where_there_is_one():
    lines = compared(COMMIT, [experiment("a", 0.9, test=0.85)]).splitlines()
    assert lines[0].split() == ["experiment", "dev.accuracy", "test.accuracy", "changed"]
    assert lines[1].split()[:3] == ["a", "0.9000", "0.8500"]
    assert lines[2].split()[:3] == ["main", "0.8000", "-"]


def test_parameters_that_one_of_both_does_not_have_are_told():
    old = COMMIT._replace(params={"train.lr": 0.1, "gone": 1})
    assert changes(COMMIT._replace(params={"train.lr": 0.1, "new": True}), old) == (
        "gone is gone new=true"
    )


@pytest.mark.parametrize("columns", [60, 80])
def test_it_fits_a_narrow_terminal_and_loses_nothing(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    params = {"train__lr": 0.2, "model__hidden": (1536,) * 7, "data__k": 35, "train__seed": 123}
    text = compared(COMMIT, [experiment("proud-fish", 0.9, test=0.8, **params)])
    assert max(map(len, text.splitlines())) <= columns
    for word in ("data.k=35", "train.lr=0.2", "train.seed=123", "0.9000", "0.8000"):
        assert word in text


def test_without_experiments_it_says_how_to_make_one():
    commit = {"rev": "4f2a", "name": "main", "data": None, "error": None, "experiments": None}
    with pytest.raises(InputError, match=r"no experiments of this commit; make one with `dvc exp"):
        report([commit | {"rev": "workspace"}, commit])


def test_what_dvc_shows_is_named_by_branch_and_experiment():
    def shown(name, k, dev):
        files = {"params.yaml": {"data": {"data": {"k": k}}}}
        scores = {"metrics/evaluate.json": {"data": {"dev": {"accuracy": dev}}}}
        return {
            "rev": "0123456789", "name": name, "data": {"params": files, "metrics": scores},
            "error": None, "experiments": None,
        }  # fmt: skip

    best = {"revs": [shown("proud-fish", 3, 0.9)], "executor": None, "name": "proud-fish"}
    commit = shown(None, 2, 0.8) | {"experiments": [best]}
    assert report([shown(None, 9, 0.1) | {"rev": "workspace"}, commit]).splitlines() == [
        "experiment  dev.accuracy  changed",
        "proud-fish        0.9000  data.k=3",
        "0123456           0.8000  the commit",
    ]


def shown(name, params, dev, model="a", context=("c", "c"), corpus="f"):
    """Return what DVC shows of a run; `context` is its digest when made, and when it was read."""
    made, read = context
    row = {
        "rev": f"rev-of-{name}", "name": name, "error": None, "experiments": None,
        "data": {
            "params": {"params.yaml": {"data": params}},
            "metrics": {"metrics/evaluate.json": {"data": {"dev": {"accuracy": dev}}}},
            "deps": {"data/context": {"hash": read}, "phonemes/model": {"hash": "code"}},
            "outs": {
                "data/corpus": {"hash": corpus}, "data/context": {"hash": made},
                "models/model.safetensors": {"hash": model},
            },
        },
    }  # fmt: skip
    return {"revs": [row], "executor": None, "name": name} if name != "main" else row


def lock(**train):
    lines = [f"        {name}: {value}" for name, value in train.items()]
    return "\n".join(["stages:", "  train:", "    params:", "      params.yaml:", *lines])


def states(*experiments, locks=None):
    """Return the states of experiments of a commit with `train.lr` 0.1."""
    commit = shown("main", {"train": {"lr": 0.1}}, 0.8) | {"experiments": [*experiments]}
    _, runs = read_runs([commit], lambda revision: (locks or {}).get(revision, ""))
    return [(run.state, run.accuracy) for run in runs]


def test_an_experiment_that_only_packed_other_data_does_not_show_the_scores_of_the_commit():
    same = {"train": {"lr": 0.1}}
    assert states(shown("normalized too", same, 0.8, context=("new", "c"))) == [("not scored", {})]
    assert states(shown("packed alone", same, 0.8, corpus="new")) == [("not scored", {})]
    trained = shown("trained", same, 0.7, corpus="new", model="new")
    assert states(trained) == [("success", {"dev": 0.7})]
    assert compared(COMMIT, [experiment("packed", state="not scored", data__k=3)]).endswith(
        "packed                 -  not scored: data.k=3"
    )


def test_an_experiment_whose_parameters_no_stage_used_does_not_show_the_scores_of_the_commit():
    changed = {"train": {"lr": 0.2}}
    locks = {"rev-of-a": lock(**{"train.lr": 0.1}), "rev-of-b": lock(**{"train.lr": 0.2})}
    found = states(shown("a", changed, 0.8), shown("b", changed, 0.8), locks=locks)
    assert found == [("not scored", {}), ("success", {"dev": 0.8})]


def test_an_experiment_with_a_model_of_its_own_is_shown_without_a_look_at_its_lock():
    other = {"rev-of-a": lock(**{"train.lr": 0.1})}
    found = states(shown("a", {"train": {"lr": 0.2}}, 0.7, model="b"), locks=other)
    assert found == [("success", {"dev": 0.7})]
