"""What the pipeline's stages wrote, to compare the outcomes of runs byte by byte."""

import csv
import shutil
import subprocess
from pathlib import Path

import yaml
from helpers import ENVIRONMENT, STAGES

# of the project that `conftest.reproduced` makes: a training that lasts about a second, and
# whose best epoch is a late one
EPOCHS = 40
TRAINING = {"train": {"epochs": EPOCHS, "lr": 5e-4}}
# one thread: two that wait for each other are many times slower on a busy machine
ONE_THREAD = ENVIRONMENT | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def run_on_one_thread(folder: Path, *command: str) -> str:
    """Run a command that must succeed, as `helpers.run`; return what it printed."""
    result = subprocess.run(command, cwd=folder, env=ONE_THREAD, text=True, capture_output=True)
    assert result.returncode == 0, f"{command} failed:\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def copied(project: Path, folder: Path) -> Path:
    """Copy a project with everything that was computed in it."""
    return shutil.copytree(project, folder, symlinks=True)


def outputs(project: Path, *stages: str) -> list[Path]:
    """Return everything that the stages, or all of them, declare to write, in their order."""
    declared = yaml.safe_load((project / "dvc.yaml").read_text("utf-8"))["stages"]
    names = [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in stages or STAGES
        for out in declared[stage]["outs"] + declared[stage].get("metrics", [])
    ]
    return [project / name for name in names]


def content(path: Path) -> dict[str, bytes]:
    """Return the files at `path`."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        file.relative_to(path.parent).as_posix(): file.read_bytes()
        for file in filter(Path.is_file, files)
    }


def history(path: Path) -> list[list[str]]:
    """Return header and rows of a history."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [*csv.reader(file)]
    assert all(len(row) == len(rows[0]) for row in rows), f"{path} has rows cut short"
    return rows


def outcome(project: Path) -> dict[Path, dict[str, bytes]]:
    """Return what all stages wrote."""
    return {path.relative_to(project): content(path) for path in outputs(project) if path.exists()}


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
