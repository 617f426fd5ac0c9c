"""Every stage: it explains itself, runs one at a time, and says in one line why it cannot go on."""

import errno
import importlib
import io
import re
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from helpers import ENVIRONMENT, PARAMS, ROOT, STAGES, run_stages, set_params
from pipeline.bad_data import get_ready_to_train

import stages
from phonemes.errors import InputError
from phonemes.storage.layout import (
    CONTEXT,
    CORPUS,
    HISTORY,
    LOCK,
    MODEL,
    NORMALIZED,
    PREDICTIONS,
    SCORES,
    TABLES,
    WINDOW,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder with parameters and nothing else; stages are called without arguments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage"])
    shutil.copy(PARAMS, "params.yaml")
    return tmp_path


@pytest.fixture
def command(folder, monkeypatch):
    """Return what runs a stage in this process as `python -m stages.NAME ARGUMENTS` does."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(ROOT / f"stages/{name}.py"), run_name="__main__")

    return run


def stopped(main, *sections):
    """Run a stage that must fail and return its message."""
    with pytest.raises(SystemExit) as stop:
        stages.run(main, *sections)
    return stop.value.code


def failing(error):
    """Return a stage that raises an error."""

    def main(params, outputs):
        raise error

    return main


# Help and arguments


@pytest.mark.heavy
def test_help_explains_the_stage_and_trains_nothing(folder):
    get_ready_to_train()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = subprocess.run(
        [sys.executable, "-m", "stages.train", "--help"],
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: python -m stages.train [-h]\n\nTrain the classifier: ")
    assert "Sections of params.yaml: data, model, augment, train, stacking.\n" in result.stdout
    assert result.stdout.endswith("example:  dvc repro train\n")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("name", STAGES)
def test_help_names_the_sections_of_parameters_that_dvc_watches(name, command, capsys):
    with pytest.raises(SystemExit) as end:
        command(name, "--help")
    assert end.value.code == 0
    (named,) = re.findall(r"Sections of params\.yaml: (.*)\.\n", capsys.readouterr().out)
    watched = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"][name]["params"]
    assert {*named.split(", ")} == {parameter.partition(".")[0] for parameter in watched}


@pytest.mark.parametrize("argument", ["--epochs=3", "again"])
@pytest.mark.parametrize("name", ["corpus", "train"])
def test_an_argument_is_refused(name, argument, command, folder, capsys):
    with pytest.raises(SystemExit) as end:
        command(name, argument)
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: unrecognized arguments: {argument}\n")
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]


# Warnings


def test_an_unusual_value_is_warned_of_in_one_line_and_used(command, capsys):
    get_ready_to_train()
    set_params({"train": {"lr": 5, "batch_size": 32}})
    command("train")
    assert capsys.readouterr().err == (
        "warning: train.lr is 5; usual are values from 1e-05 to 0.1\n"
    )
    assert MODEL.exists()


def test_a_stage_warns_of_the_sections_that_it_depends_on_alone(folder, capsys):
    set_params({"train": {"lr": 5}, "data": {"k": 61}})
    stages.run(lambda params, outputs: None, "data", "normalize")
    assert capsys.readouterr().err == "warning: data.k is 61; usual are values from 0 to 60\n"


# Errors


def test_what_the_user_can_mend_ends_in_one_line(folder):
    assert stopped(failing(InputError("no frames; add some"))) == "error: no frames; add some"


def test_an_error_of_the_disk_says_that_nothing_was_lost(folder):
    assert stopped(failing(OSError(28, "No space left on device", "models"))) == (
        "error: [Errno 28] No space left on device: 'models'; what was there before is untouched"
    )


def test_an_interrupted_stage_says_how_to_go_on(folder):
    assert stopped(failing(KeyboardInterrupt())) == "interrupted; the same command goes on"


@pytest.mark.parametrize(
    ("main", "reason"),
    [
        (lambda *_: torch.empty(2**50), r".* tried to allocate 4503599627370496 bytes.*"),
        (lambda *_: np.empty(2**50), r"Unable to allocate 8\.00 PiB .*"),
        (
            failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nmore")),
            r"CUDA out of memory\. Tried to allocate 9 GiB\.",
        ),
    ],
    ids=["torch", "numpy", "GPU"],
)
def test_out_of_memory_names_the_values_to_lower(main, reason, folder):
    assert re.fullmatch(
        f"error: out of memory: {reason}; lower train.batch_size, model.hidden or data.k",
        stopped(main),
    )


def test_out_of_memory_names_no_value_of_a_network_in_a_stage_without_one(folder):
    assert stopped(failing(MemoryError("no")), "corpus", "features") == (
        "error: out of memory: no; end other programs, or use a machine with more memory"
    )


def test_an_unexpected_error_keeps_its_traceback(folder):
    with pytest.raises(RuntimeError, match="a bug"):
        stages.run(failing(RuntimeError("a bug")))


def test_bad_parameters_are_refused_before_the_work(folder):
    set_params({"train": {"lr": -1}})
    message = stopped(failing(AssertionError("the stage ran")))
    assert message.startswith("error: params.yaml has 1 problem:\n  train.lr is -1; expected ")


# All outputs or none


OUTPUTS = {
    "corpus": [CORPUS],
    "normalize": [NORMALIZED],
    "context": [CONTEXT, WINDOW],
    "train": [MODEL, HISTORY],
    "evaluate": [TABLES, SCORES],
    "predict": [PREDICTIONS],
}


def state(stage):
    """Return the files of a stage's outputs and when each was written."""
    return {
        file: (file.stat().st_mtime_ns, file.stat().st_ino)
        for output in OUTPUTS[stage]
        for file in (sorted(output.rglob("*")) if output.is_dir() else [output])
    }


class Full(io.StringIO):
    """Standard output on a full disk."""

    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """Return a small project in which all stages have run."""
    made = tmp_path_factory.mktemp("complete")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        get_ready_to_train()
        run_stages("train", "evaluate", "predict")
    return made


@pytest.fixture
def project(complete, tmp_path, monkeypatch):
    """Enter a copy of the complete project."""
    copy = shutil.copytree(complete, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(copy)
    return copy


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_cannot_print_leaves_its_outputs_as_they_were(project, stage, monkeypatch):
    before = state(stage)
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(SystemExit, match="No space left on device; what was there before is unt"):
        run_stages(stage)
    assert state(stage) == before
    assert not [*project.glob("**/.*.partial")]


@pytest.mark.parametrize(
    ("stage", "function"),
    [
        ("context", "window_milliseconds"),
        ("train", "save_model"),
        ("evaluate", "save_predictions"),
        ("evaluate", "write_tables"),
    ],
)
def test_a_failure_at_one_output_leaves_all_as_they_were(project, stage, function, monkeypatch):
    before = state(stage)
    module = importlib.import_module(f"stages.{stage}")
    monkeypatch.setattr(
        module, function, lambda *_: failing(OSError(5, "Input/output error"))(0, 0)
    )
    with pytest.raises(SystemExit, match="Input/output error; what was there before is untouched"):
        run_stages(stage)
    assert state(stage) == before


@pytest.mark.parametrize("stage", STAGES)
def test_all_outputs_of_a_stage_are_replaced(project, stage):
    before = state(stage)
    run_stages(stage)
    now = state(stage)
    assert now.keys() == before.keys()
    assert all(now[path] != before[path] for path in now)


# What a stage reads


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_edited_while_a_stage_runs_drop_its_results(project, stage, monkeypatch):
    before = state(stage)
    edits = {
        "corpus": {"features": {"bands": 41}},
        "normalize": {"normalize": {"variance": False}},
        "context": {"data": {"k": 3}},
        "train": {"train": {"lr": 0.5}},
        "evaluate": {"evaluate": {"pairs": 7}},
        "predict": {"predict": {"label": "phoneme"}},
    }

    class Editing(io.StringIO):
        def flush(self):
            set_params(edits[stage])

    monkeypatch.setattr(sys, "stdout", Editing())
    ((section, values),) = edits[stage].items()
    with pytest.raises(
        SystemExit, match=rf"error: {section}\.{next(iter(values))} in params\.yaml chang"
    ):
        run_stages(stage)
    assert state(stage) == before


# One at a time


def test_a_second_stage_in_the_same_folder_is_refused(folder):
    seen = []
    LOCK.parent.mkdir()
    with FileLock(LOCK):
        assert stopped(lambda params, outputs: seen.append(params)) == (
            f"error: a stage is running in {folder}; wait for it, or work in a clone"
        )
    assert not seen
    stages.run(lambda params, outputs: seen.append(params))
    assert seen


def test_a_failed_stage_does_not_lock_the_folder(folder):
    stopped(failing(InputError("no frames")))
    stages.run(lambda params, outputs: None)
