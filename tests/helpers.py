"""What several test modules share: parameters, projects, and commands run in them."""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from ruamel.yaml import YAML

import stages
from phonemes.schema import read_yaml_file
from phonemes.training.params import FitParams

Section = TypeVar("Section")

ROOT = Path(__file__).parent.parent
PARAMS = Path(__file__).with_name("params.yaml")
STAGES = ("corpus", "normalize", "context", "train", "evaluate", "predict")
CLASSES, BANDS = 71, 8  # of `write_course_files`
# of a project that learns something in two epochs
LEARNING = {
    "data": {"k": 2},
    "model": {"hidden": [32, 32], "norm": "batch", "target_context": 1},
    "augment": {"gain": 0.2, "noise": 0.2},
    "train": {"optimizer": "adamw", "lr": 1e-2, "batch_size": 64},
}
COPIED = ("dvc.yaml", ".gitignore", ".dvcignore", "stages", "phonemes", "recipes")
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


# Parameters


def changed(params: Section, **changes: Any) -> Section:
    """Return parameters with some values changed: changed(params, train={"lr": 1.0}).

    `params` is a section, FitParams or Params; sections in it are changed by dictionaries.
    """
    values = {
        name: changed(getattr(params, name), **value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    if isinstance(params, FitParams):
        return params._replace(**values)
    assert is_dataclass(params)
    return replace(params, **values)


def set_params(changes: Mapping[str, object], folder: Path = Path()) -> None:
    """Merge nested changes into a folder's params.yaml, at first that of the tests."""

    def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                merge(into[key], value)
            else:
                into[key] = value

    path = folder / "params.yaml"
    params = read_yaml_file(path if path.exists() else PARAMS)
    merge(params, changes)
    writer = YAML(typ="safe")
    writer.default_flow_style = False
    writer.dump(params, path)


# Stages, in this process and the current folder


def run_stages(*names: str) -> None:
    """Run stages as `python -m stages.NAME` does, with the current folder's parameters."""
    for name in names or STAGES:
        module = importlib.import_module(f"stages.{name}")
        with_arguments, sys.argv = sys.argv, [name]
        try:
            stages.run(module.main)
        finally:
            sys.argv = with_arguments


# Projects of their own, and commands in them


def run(folder: Path, *command: str) -> str:
    """Run a command that must succeed and return what it printed; that of `dvc` is installed."""
    if command[0] == "dvc":  # its script does not start where a folder's name has a space
        command = (sys.executable, "-m", *command)
    result = subprocess.run(command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert result.returncode == 0, f"{command} failed:\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def end_of(*words: str | Path) -> int | str | None:
    """Run `phonemes` in this process and return with what it ends: 0, another code or a message."""
    from phonemes.commands.main import main  # not above: some tests see what an import takes

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["phonemes", *map(str, words)])
        main()
    return end.value.code


def ragged(items: list[np.ndarray]) -> np.ndarray:
    """Return an object array of arrays, one an utterance."""
    array = np.empty(len(items), object)
    for position, item in enumerate(items):
        array[position] = item
    return array


def write_course_files(folder: Path, seed: int = 0) -> None:
    """Write three splits whose labels can be learnt; those of test go into a separate truth.npy."""
    random = np.random.default_rng(seed)
    codes = random.normal(size=(CLASSES, BANDS))
    folder.mkdir(parents=True)
    for split, count in {"train": 40, "dev": 12, "test": 9}.items():
        frames, labels = [], []
        for _ in range(count):
            labels.append(np.repeat(random.integers(0, 5, 12), 4))
            noise = random.normal(scale=0.3, size=(48, BANDS))
            frames.append((codes[labels[-1]] + noise).astype(np.float32))
        np.save(folder / f"{split}.npy", ragged(frames), allow_pickle=True)
        if split == "test":
            np.save(folder.with_name("truth.npy"), np.concatenate(labels))
        else:
            np.save(folder / f"{split}_labels.npy", ragged(labels), allow_pickle=True)


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
    set_params(LEARNING, folder)
    write_course_files(folder / "data/raw/tiny")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "add", "-q", "data/raw/tiny")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Commit all that git does not ignore."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "state")


def ran(output: str) -> list[str]:
    """Return the stages that `dvc repro` really ran, in order."""
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]
