"""The pipeline as a user runs it: the real dvc.yaml on a tiny corpus, in a copy of the project."""

import json
import re
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import ROOT, STAGES, ran, run, run_stages, set_params, write_course_files
from pipeline.outcomes import EPOCHS, copied, outcome, run_on_one_thread

from phonemes.params import Params

pytestmark = pytest.mark.heavy

STAGE = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
TEST_FRAMES = 9 * 48  # of `write_course_files`


@pytest.fixture
def project(reproduced, tmp_path) -> Path:
    """Return a reproduced project that may be changed."""
    return copied(reproduced, tmp_path / "project")


# What a run makes


def test_a_second_repro_has_nothing_to_do_and_leaves_git_nothing_to_commit(reproduced):
    output = run(reproduced, "dvc", "repro")
    assert ran(output) == []
    assert "Data and pipelines are up to date" in output
    assert run(reproduced, "git", "status", "--porcelain") == ""
    tracked = run(reproduced, "git", "ls-files").split()
    assert {"metrics/evaluate.json", "metrics/context.json", "dvc.lock"} <= set(tracked)
    outputs = [name for name in tracked if not name.startswith("phonemes/")]  # with its own model
    assert not any(name.endswith((".npy", ".safetensors", "predictions.csv")) for name in outputs)


def test_the_classifier_learns(reproduced):
    scores = json.loads((reproduced / "metrics/evaluate.json").read_text())
    assert scores["dev"]["accuracy"] > 0.9  # one of five phonemes, each a code of its own
    assert "test" not in scores  # it has no labels
    history = pd.read_csv(reproduced / "metrics/history.csv")
    assert history.epoch.tolist() == [*range(1, EPOCHS + 1)]
    assert scores["model"]["epoch"] == history.dev_accuracy.argmax() + 1
    assert scores["dev"]["accuracy"] == pytest.approx(history.dev_accuracy.max(), abs=1e-4)


def test_predictions_have_one_row_a_test_frame_in_order(reproduced):
    predictions = pd.read_csv(reproduced / "predictions.csv")
    assert list(predictions.columns) == ["id", "label"]
    assert predictions.id.tolist() == list(range(TEST_FRAMES))
    truth = np.load(reproduced / "data/raw/truth.npy")  # planted in the frames, in this order
    assert (predictions.label == truth).mean() > 0.9


def test_context_reports_what_k_covers(reproduced):
    facts = json.loads((reproduced / "metrics/context.json").read_text())
    assert facts == {"k": 2, "window_frames": 5, "window_ms": 75}


def test_smoothed_predictions_are_right_too_and_can_be_written_as_phonemes(project, monkeypatch):
    monkeypatch.chdir(project)
    set_params({"smooth": {"lm_scale": 0.5}, "predict": {"label": "phoneme"}})
    run_stages("evaluate", "predict")
    scores = json.loads(Path("metrics/evaluate.json").read_text())
    assert scores["dev"]["accuracy"] > 0.9
    predictions = pd.read_csv("predictions.csv")
    assert predictions.id.tolist() == list(range(TEST_FRAMES))
    phonemes = np.array(Path("data/corpus/phonemes.txt").read_text().split())
    truth = phonemes[np.load("data/raw/truth.npy")]
    assert (predictions.label.to_numpy(str) == truth).mean() > 0.9


# What runs again

# what may run again where a value changes: the stages that read it, and those after them
RERUNS = {
    "corpus.allow_shared_speakers": [*STAGES],
    "features.floor": [*STAGES],
    "features.stride": [*STAGES],
    "normalize.over": ["normalize", "train", "evaluate", "predict"],
    "data.k": ["context", "train", "evaluate", "predict"],
    "model.hidden": ["train", "evaluate", "predict"],
    "model.precision": ["train", "evaluate", "predict"],
    "augment.noise": ["train", "evaluate", "predict"],
    "train.lr": ["train", "evaluate", "predict"],
    "stacking.folds": ["train", "evaluate", "predict"],
    "smooth.lm_scale": ["evaluate", "predict"],
    "evaluate.pairs": ["evaluate"],
    "predict.label": ["predict"],
    "runtime.progress": [],
}
# of the stages above those that read the value themselves, where it is not the first one alone
READERS = {
    "features.stride": {"corpus", "context"},
    "data.k": {"context", "train", "evaluate", "predict"},
    "model.precision": {"train", "evaluate", "predict"},
    "smooth.lm_scale": {"evaluate", "predict"},
}
OTHER_VALUES = {
    "corpus": {"allow_shared_speakers": True},
    "features": {"floor": 1e-5, "stride": 5},
    "normalize": {"over": "corpus"},
    "data": {"k": 3},
    "model": {"hidden": [16, 16], "precision": "bf16"},
    "augment": {"noise": 0.1},
    "train": {"lr": 1e-3},
    "stacking": {"folds": 2},
    "smooth": {"lm_scale": 1.0},
    "evaluate": {"pairs": 20},
    "predict": {"label": "phoneme"},
    "runtime": {"progress": True, "jobs": 2},
}


@pytest.fixture(scope="module")
def modified(reproduced, tmp_path_factory) -> dict[str, set[str]]:
    """Return which sections and values each stage misses, once all of the above have changed."""
    folder = copied(reproduced, tmp_path_factory.mktemp("modified") / "project")
    set_params(OTHER_VALUES, folder)
    found = json.loads(run(folder, "dvc", "status", "--json"))
    return {
        stage: set(changes[0]["changed deps"]["params.yaml"]) for stage, changes in found.items()
    }


def followers(stage: str) -> set[str]:
    """Return a stage and all that read what it writes, directly or through others."""
    found, outs = {stage}, STAGE[stage]["outs"]
    for other in STAGES:
        if any(
            dep == out or dep.startswith(f"{out}/") for dep in STAGE[other]["deps"] for out in outs
        ):
            found |= followers(other)
    return found


@pytest.mark.parametrize("name", RERUNS)
def test_a_changed_value_reruns_the_stages_that_read_it_and_those_after_them(modified, name):
    readers = {
        stage
        for stage, changes in modified.items()
        if any(name == changed or name.startswith(f"{changed}.") for changed in changes)
    }
    assert readers == READERS.get(name, {*RERUNS[name][:1]})
    assert [stage for stage in STAGES if stage in set().union(*map(followers, readers))] == RERUNS[
        name
    ]


def test_every_section_is_in_the_table_of_reruns():
    assert {name.partition(".")[0] for name in RERUNS} == {each.name for each in fields(Params)}


def test_a_changed_value_reruns_what_it_touches_and_going_back_trains_nothing(reproduced, project):
    set_params({"normalize": {"over": "corpus"}}, project)
    assert ran(run_on_one_thread(project, "dvc", "repro")) == RERUNS["normalize.over"]
    shutil.copy(reproduced / "params.yaml", project)
    restored = ran(run(project, "dvc", "repro"))
    assert not {"corpus", "normalize", "train", "predict"} & set(restored)
    assert outcome(project) == outcome(reproduced)


def test_where_a_stage_writes_the_same_bytes_nothing_after_it_reruns(project):
    set_params({"features": {"stride": 5}}, project)  # the course's arrays are packed as they are
    assert ran(run(project, "dvc", "repro")) == ["corpus", "context"]


def test_changed_data_is_packed_anew_once(project):
    shutil.rmtree(project / "data/raw/tiny")
    write_course_files(project / "data/raw/tiny", seed=1)
    again = ran(run(project, "dvc", "repro", "normalize", "context"))
    assert again == ["corpus", "normalize"]  # other frames, the same lengths
    assert ran(run(project, "dvc", "repro", "normalize", "context")) == []


def test_a_wrong_value_stops_the_first_stage_and_keeps_what_was_made(
    reproduced, project, monkeypatch
):
    monkeypatch.chdir(project)
    set_params({"train": {"lr": "abc"}, "model": {"dropout": 2}})
    with pytest.raises(SystemExit) as stop:
        run_stages("corpus")
    assert str(stop.value.code).splitlines() == [
        "error: params.yaml has 2 problems:",
        "  model.dropout is 2; expected a number from 0 to 0.95",
        "  train.lr is 'abc'; expected a number above 0 to 100",
    ]
    assert outcome(project) == outcome(reproduced)


# Runs all stages in one process, and prints the files of the project that each opens.
TRACE = """
import json, os, runpy, sys
opened = {}
def notice(event, values):
    if event == "open" and values[1] is not None:  # without a mode: a folder being removed
        opened[stage].add(os.path.relpath(values[0]))
names, sys.argv[1:] = sys.argv[1:], []
for stage in names:
    opened[stage] = set()
    if len(opened) == 1:
        sys.addaudithook(notice)
    runpy.run_module("stages." + stage, run_name="__main__")
print("OPENED", json.dumps({stage: sorted(paths) for stage, paths in opened.items()}))
"""


def without_partial(path: str) -> str:
    """Return the path of the file that a partial one is to replace."""
    return re.sub(r"\.([^/]+)\.\d+\.partial", r"\1", path)


def test_a_stage_opens_no_files_but_those_that_it_declares(project):
    output = run_on_one_thread(project, sys.executable, "-c", TRACE, *STAGES)
    for stage, opened in json.loads(output.split("OPENED ")[1].splitlines()[0]).items():
        paths = [*STAGE[stage]["deps"], *STAGE[stage]["outs"]]
        paths += [name for entry in STAGE[stage].get("metrics", []) for name in entry]
        declared = {path.replace("${corpus.path}", "data/raw/tiny") for path in paths}
        known = {"params.yaml", "data/.lock", *declared}
        known |= {"dvc.yaml", ".dvcignore"}  # which files it is to find unchanged at its end
        if stage == "train":  # goes on from a checkpoint of the same code
            known |= {".dvc/tmp/checkpoints"}
        inside = {
            without_partial(path)
            for path in opened
            if not path.startswith(("..", "phonemes/", "stages/"))  # code: see test_structure
        }
        assert {path for path in inside if not path.startswith(tuple(known))} == set()
        assert any(path.startswith(tuple(declared)) for path in inside)


# What DVC offers around it


def test_experiments_leave_the_workspace_comparable(project):
    output = run(project, "dvc", "exp", "run", "--temp", "-S", "evaluate.pairs=20")
    assert ran(output) == ["evaluate"]
    shown = run(project, "dvc", "exp", "show", "--drop", "Created", "--md")
    assert "evaluate.pairs" in shown
    assert run(project, "git", "status", "--porcelain") == ""


def test_a_fresh_clone_pulls_what_was_pushed(project, tmp_path):
    clone, store = tmp_path / "clone", tmp_path / "store"
    remote = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n"
    (project / ".dvc/config.local").write_text(remote)
    run(project, "dvc", "push", "--run-cache")
    run(project, "git", "clone", "-q", str(project), str(clone))
    shutil.copy(project / ".dvc/config.local", clone / ".dvc/config.local")
    assert ran(run(clone, "dvc", "repro", "--pull")) == []
    assert outcome(clone) == outcome(project)


def test_the_scores_of_two_runs_are_compared_on_one_screen(project, monkeypatch):
    monkeypatch.chdir(project)
    labels = np.load("data/raw/truth.npy").astype(np.int16)
    np.save("data/corpus/labels/test.npy", labels)  # so that all rows are there
    set_params({"smooth": {"lm_scale": 0.5}})
    run_stages("evaluate")
    for options in ((), ("--all",)):
        lines = run(project, "dvc", "metrics", "diff", *options).splitlines()
        assert len(lines) <= 20
        assert max(map(len, lines)) < 100


def test_plots_and_metrics_show(reproduced, tmp_path):
    page = tmp_path / "plots"
    run(reproduced, "dvc", "plots", "show", "-o", str(page))
    html = (page / "index.html").read_text("utf-8")
    for title in (
        "Cross-entropy",
        "objective",
        "Frame accuracy",
        "learning rate",
        "Confusion",
        "F1",
    ):
        assert title in html
    assert "dev.accuracy" in run(reproduced, "dvc", "metrics", "show").replace(" ", "")
