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
TIMED = ("frames_per_second", "seconds")  # columns of the history that no two runs share


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


def content(path: Path) -> dict[str, bytes | str]:
    """Return the files at `path`, without the columns of the history that hold times."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found: dict[str, bytes | str] = {}
    for file in filter(Path.is_file, files):
        name = file.relative_to(path.parent).as_posix()
        found[name] = file.read_bytes()
        if file.name == "history.csv":
            found[name] = str(history(file))
    return found


def history(path: Path) -> list[list[str]]:
    """Return header and rows of a history without the columns that hold times."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    kept = [place for place, name in enumerate(header) if name not in TIMED]
    assert all(len(row) == len(header) for row in rows), f"{path} has rows cut short"
    return [[row[place] for place in kept] for row in (header, *rows)]


def outcome(project: Path) -> dict[Path, dict[str, bytes | str]]:
    """Return what all stages wrote."""
    return {path.relative_to(project): content(path) for path in outputs(project) if path.exists()}


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
