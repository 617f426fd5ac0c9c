"""The pipeline as a user runs it: the real dvc.yaml on tiny corpora, in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parent.parent
STAGES = ("corpus", "normalize", "context", "train", "evaluate", "predict")
CLASSES, BANDS = 71, 8
TINY = {
    "corpus": {"source": "arrays", "path": "data/raw/tiny"},
    "data": {"k": 2},
    "train": {
        "hidden": [32, 32],
        "epochs": 2,
        "batch_size": 64,
        "lr": 1e-2,
        "neighbours": 1,  # a phoneme lasts four frames here
        # no voice: bands next to each other are no neighbours here
        "augment": {"mel_scale": 0, "mel_shift": 0, "gain": 0.2, "noise": 0.2},
    },
    "evaluate": {"resamples": 100},
    "runtime": {"progress": False, "jobs": 1},
}
COPIED = ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore", "stages", "phonemes", "recipes")
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{
        f"GIT_{who}_{what}": "test@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    "DVC_NO_ANALYTICS": "1",
}


def run(folder: Path, *command: str) -> str:
    """Run a command that must succeed and return what it printed."""
    result = subprocess.run(command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert result.returncode == 0, f"{command} failed:\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def set_params(folder: Path, changes: dict[str, object]) -> None:
    """Merge nested changes into params.yaml."""

    def merge(into: dict, values: dict) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                merge(into[key], value)
            else:
                into[key] = value

    params = yaml.safe_load((folder / "params.yaml").read_text())
    merge(params, changes)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def write_course_files(folder: Path, seed: int = 0) -> None:
    """Write three splits of object arrays whose labels can be learnt; those of test beside."""
    random = np.random.default_rng(seed)
    codes = random.normal(size=(CLASSES, BANDS))
    folder.mkdir(parents=True)
    for split, count in {"train": 40, "dev": 12, "test": 9}.items():
        frames, labels = np.empty(count, object), np.empty(count, object)
        for utterance in range(count):
            labels[utterance] = np.repeat(random.integers(0, 5, 12), 4)
            noise = random.normal(scale=0.3, size=(48, BANDS))
            frames[utterance] = (codes[labels[utterance]] + noise).astype(np.float32)
        np.save(folder / f"{split}.npy", frames, allow_pickle=True)
        if split == "test":
            np.save(folder.with_name("truth.npy"), np.concatenate(labels))
        else:
            np.save(folder / f"{split}_labels.npy", labels, allow_pickle=True)


def new_project(folder: Path) -> Path:
    """Copy the project into `folder`, with git and DVC set up and nothing computed."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    for name in (".dvc/config", ".dvc/.gitignore", "data/raw/README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "metrics").mkdir()
    set_params(folder, TINY)
    write_course_files(folder / "data/raw/tiny")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "add", "-q", "data/raw/tiny")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "state")


def ran(output: str) -> list[str]:
    """Return the stages that `dvc repro` really ran, in order."""
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Reproduce a project once; tests leave it reproduced."""
    folder = new_project(tmp_path_factory.mktemp("pipeline") / "project")
    assert ran(run(folder, "dvc", "repro")) == [*STAGES]
    commit(folder)
    return folder


def test_a_second_repro_has_nothing_to_do(project):
    output = run(project, "dvc", "repro")
    assert ran(output) == []
    assert "Data and pipelines are up to date" in output
    assert "Data and pipelines are up to date" in run(project, "dvc", "status")


def test_everything_that_repro_wrote_is_tracked_or_ignored(project):
    run(project, "dvc", "repro")
    assert run(project, "git", "status", "--porcelain") == ""
    tracked = run(project, "git", "ls-files").split()
    assert {"metrics/evaluate.json", "metrics/context.json", "dvc.lock"} <= set(tracked)
    assert not any(name.endswith((".npy", ".pt", "predictions.csv")) for name in tracked)


def test_the_classifier_learns(project):
    scores = json.loads((project / "metrics/evaluate.json").read_text())
    assert scores["dev"]["accuracy"] > 0.9  # one of five phonemes, each a code of its own
    assert scores["dev"]["accuracy_low"] <= scores["dev"]["accuracy"]
    assert scores["dev"]["accuracy"] <= scores["dev"]["accuracy_high"]
    assert "test" not in scores  # it has no labels
    history = pd.read_csv(project / "metrics/history.csv")
    assert history.epoch.tolist() == [1, 2]
    assert scores["model"]["epoch"] == history.dev_accuracy.argmax() + 1
    assert scores["dev"]["accuracy"] == pytest.approx(history.dev_accuracy.max(), abs=1e-5)


def test_predictions_have_one_row_a_test_frame_in_order(project):
    predictions = pd.read_csv(project / "predictions.csv")
    assert list(predictions.columns) == ["id", "label"]
    assert predictions.id.tolist() == list(range(9 * 48))
    truth = np.load(project / "data/raw/truth.npy")  # planted in the frames, in this order
    assert (predictions.label == truth).mean() > 0.9


def test_context_reports_what_k_covers(project):
    facts = json.loads((project / "metrics/context.json").read_text())
    assert facts == {"k": 2, "window_frames": 5, "window_ms": 75}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": {"lr": 5e-3}}, ["train", "evaluate", "predict"]),
        ({"data": {"k": 3}}, ["context", "train", "evaluate", "predict"]),
        ({"normalize": {"over": "corpus"}}, ["normalize", "train", "evaluate", "predict"]),
        ({"evaluate": {"resamples": 200}}, ["evaluate"]),
        ({"smooth": {"sequence": 1.0}}, ["evaluate", "predict"]),
        ({"predict": {"label": "phoneme"}}, ["predict"]),
        ({"runtime": {"batch_size": 100, "jobs": 2}}, []),
        ({"features": {"stride": 5}}, ["corpus", "context"]),  # the arrays stay the same bytes
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_changed_value_reruns_what_it_touches_and_going_back_trains_nothing(
    project, changes, expected
):
    before = (project / "params.yaml").read_text()
    outputs = outcome(project)
    set_params(project, changes)
    assert ran(run(project, "dvc", "repro")) == expected
    (project / "params.yaml").write_text(before)
    restored = ran(run(project, "dvc", "repro"))
    assert not {"corpus", "normalize", "train", "predict"} & set(restored)
    assert outcome(project) == outputs


def outcome(project: Path) -> dict[str, bytes]:
    """Return what a run is for: model, scores, tables and predictions."""
    names = ["models/model.pt", "predictions.csv", "metrics/evaluate.json", "metrics/confusion.png"]
    tables = sorted((project / "metrics/tables").rglob("*.csv"))
    paths = [project / name for name in names] + tables
    return {str(path.relative_to(project)): path.read_bytes() for path in paths}


def test_phonemes_can_be_written_instead_of_numbers(project):
    before = (project / "params.yaml").read_text()
    numbers = pd.read_csv(project / "predictions.csv").label
    set_params(project, {"predict": {"label": "phoneme"}})
    run(project, sys.executable, "-m", "stages.predict")
    names = pd.read_csv(project / "predictions.csv").label
    (project / "params.yaml").write_text(before)
    run(project, "dvc", "checkout", "--force")
    phonemes = (project / "data/corpus/phonemes.txt").read_text().split()
    assert names.tolist() == [phonemes[number] for number in numbers]


def test_smoothed_predictions_have_one_row_a_test_frame_in_order(project):
    before = (project / "params.yaml").read_text()
    set_params(project, {"smooth": {"sequence": 0.5}})
    run(project, sys.executable, "-m", "stages.predict")
    run(project, sys.executable, "-m", "stages.evaluate")
    predictions = pd.read_csv(project / "predictions.csv")
    scores = json.loads((project / "metrics/evaluate.json").read_text())
    (project / "params.yaml").write_text(before)
    run(project, "dvc", "checkout", "--force")
    run(project, "git", "checkout", "metrics/evaluate.json")
    assert predictions.id.tolist() == list(range(9 * 48))
    truth = np.load(project / "data/raw/truth.npy")
    assert (predictions.label == truth).mean() > 0.9
    assert scores["dev"]["accuracy"] > 0.9


def test_changed_data_reruns_everything(tmp_path):
    folder = new_project(tmp_path / "project")
    run(folder, "dvc", "repro", "context")
    shutil.rmtree(folder / "data/raw/tiny")
    write_course_files(folder / "data/raw/tiny", seed=1)
    output = run(folder, "dvc", "repro", "context")
    assert ran(output) == ["corpus"]  # other frames, the same lengths
    assert "corpus" not in ran(run(folder, "dvc", "repro", "context"))


def test_a_wrong_value_stops_the_first_stage_and_keeps_what_was_made(project):
    before = (project / "params.yaml").read_text()
    outputs = outcome(project)
    set_params(project, {"train": {"lr": "abc", "dropout": 2}})
    result = subprocess.run(
        [sys.executable, "-m", "stages.train"],
        cwd=project,
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
    )
    (project / "params.yaml").write_text(before)
    assert result.returncode == 1
    assert "params.yaml has 2 problems" in result.stderr
    assert "train.lr is 'abc'; expected a number above 0 to 100" in result.stderr
    assert "train.dropout is 2; expected a number from 0 to 0.95" in result.stderr
    assert "Traceback" not in result.stderr
    assert outcome(project) == outputs


TRACE = """
import atexit, os, runpy, sys
seen = set()
def notice(event, args):
    if event == "open" and args[1] is not None:  # without a mode: a folder being removed
        seen.add(os.path.relpath(args[0]))
sys.addaudithook(notice)
atexit.register(lambda: print("OPENED", *sorted(seen), sep="\\n"))
runpy.run_module("stages." + sys.argv[1], run_name="__main__")
"""


def without_partial(path: str) -> str:
    """Return the path that a file written beside its destination will have."""
    return re.sub(r"\.([^/]+)\.\d+\.partial", r"\1", path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_opens_only_what_it_declares(project, stage):
    declared = yaml.safe_load((project / "dvc.yaml").read_text())["stages"][stage]
    paths = [*declared["deps"], *declared["outs"]]
    paths += [name for entry in declared.get("metrics", []) for name in entry]
    paths = [path.replace("${corpus.path}", "data/raw/tiny") for path in paths]
    output = run(project, sys.executable, "-c", TRACE, stage)
    opened = map(without_partial, output.split("OPENED\n")[1].splitlines())
    inside = {path for path in opened if not path.startswith("..") and "__pycache__" not in path}
    known = ("params.yaml", "phonemes/__init__.py", "data/.lock", ".dvc/tmp/checkpoints", *paths)
    assert {path for path in inside if not path.startswith(known)} == set()
    # data, that is; code only where Python has not kept it compiled
    assert any(path.startswith((*declared["deps"], *declared["outs"])) for path in inside)
    run(project, "dvc", "checkout", "--force")


def test_experiments_leave_the_workspace_comparable(project):
    output = run(project, "dvc", "exp", "run", "--temp", "-S", "train.lr=1e-3", "-S", "data.k=1")
    assert ran(output) == ["context", "train", "evaluate", "predict"]
    assert "data.k" in run(project, "dvc", "exp", "show", "--drop", "Created", "--md")
    assert run(project, "git", "status", "--porcelain") == ""


def test_a_fresh_clone_pulls_what_was_pushed(project, tmp_path):
    run(
        project,
        "dvc",
        "remote",
        "add",
        "--force",
        "--local",
        "-d",
        "store",
        str(tmp_path / "store"),
    )
    run(project, "dvc", "push", "--run-cache")
    run(project, "git", "clone", "-q", str(project), str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    shutil.copy(project / ".dvc/config.local", clone / ".dvc/config.local")
    assert ran(run(clone, "dvc", "repro", "--pull")) == []
    assert outcome(clone) == outcome(project)


def test_plots_and_metrics_show(project, tmp_path):
    page = tmp_path / "plots"
    run(project, "dvc", "plots", "show", "-o", str(page))
    html = (page / "index.html").read_text()
    for title in ("Cross-entropy", "Frame accuracy", "Learning rate", "Confusion matrix", "F1"):
        assert title in html
    assert "dev.accuracy" in run(project, "dvc", "metrics", "show").replace(" ", "")


@pytest.mark.parametrize("minutes", [1.0])
def test_generated_speech_from_scratch_gives_the_same_bytes_twice(tmp_path, minutes):
    pytest.importorskip("espeakng_loader")
    outcomes = []
    for name, jobs in (("first", 1), ("second", 2)):
        folder = new_project(tmp_path / name)
        synthetic = {"source": "synthetic", "path": "data/raw", "synthetic": {"minutes": minutes}}
        set_params(folder, {"corpus": synthetic, "runtime": {"jobs": jobs}})
        assert ran(run(folder, "dvc", "repro")) == [*STAGES]
        outcomes.append(outcome(folder))
    assert outcomes[0] == outcomes[1]
