"""`phonemes repair`: remove what DVC was killed while writing for itself.

DVC empties dvc.lock and .dvc/tmp/rwlock and then writes them, and makes the folder of a run
in its run cache before its content. Killed between the two, it refuses to run from then on.
Nothing is lost with what is removed: results are in DVC's cache, and locks of a dead process
mean nothing. `make reproduce` begins with it.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click
import yaml

WAIT = 1.0  # s, far longer than DVC needs to write either


def readers() -> dict[Path, Callable[[str], object]]:
    """Return how DVC reads each file that it may have been stopped while writing."""
    from dvc.rwlock import SCHEMA
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA

    return {
        Path("dvc.lock"): lambda text: COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text)),
        Path(".dvc/tmp/rwlock"): lambda text: SCHEMA(json.loads(text)),
    }


def half_written(path: Path, reader: Callable[[str], object]) -> bool:
    """Return whether DVC cannot read a file because it was stopped while writing it."""
    from voluptuous import Invalid

    try:
        text = path.read_text("utf-8")
        reader(text)
    except FileNotFoundError:  # which DVC does without
        return False
    except (ValueError, yaml.YAMLError, Invalid):
        return "<<<<<<<" not in text  # a merge that waits for its user
    return False


def unfinished() -> list[Path]:
    """Return DVC's files that are half written, and folders of runs with nothing in them."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        runs = Path(os.path.relpath(Repo().stage_cache.cache_dir))
    except NotDvcRepoError:
        runs = Path(".dvc/cache/runs")
    empty = [path for path in runs.glob("*/*") if path.is_dir() and not any(path.iterdir())]
    damaged = [path for path, reader in readers().items() if half_written(path, reader)]
    return [*damaged, *empty]


@click.command(epilog="Example: phonemes repair && dvc repro")
def repair() -> None:
    """Remove what DVC was killed while writing, so that `dvc repro` goes on.

    Leaves alone what somebody is writing just now. Nothing that was computed is lost.
    """
    found = unfinished()
    if not found:
        return
    time.sleep(WAIT)
    for path in [path for path in unfinished() if path in found]:
        path.rmdir() if path.is_dir() else path.unlink()
        click.echo(f"removed {path}, which DVC was killed while writing")
