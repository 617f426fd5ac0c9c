"""Remove what DVC was killed while writing for itself, so that `dvc repro` goes on.

DVC empties dvc.lock and .dvc/tmp/rwlock and then writes them, and makes the folder of a run
in its run cache before what lies there; when it is killed between the two it refuses to run
from then on. Nothing is lost with what is removed: what was computed lies in DVC's cache, and
locks of a dead process mean nothing. No stage of dvc.yaml; `make reproduce` begins with it.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo
from dvc.rwlock import SCHEMA as RWLOCK
from dvc.schema import COMPILED_LOCKFILE_SCHEMA as LOCKFILE
from voluptuous import Invalid

WAIT = 1.0  # s, far longer than DVC needs to write either
READERS: dict[Path, Callable[[str], object]] = {
    Path("dvc.lock"): lambda text: LOCKFILE(yaml.safe_load(text)),
    Path(".dvc/tmp/rwlock"): lambda text: RWLOCK(json.loads(text)),
}


def half_written(path: Path) -> bool:
    """Tell whether DVC cannot read what lies there because it was stopped while writing it."""
    try:
        text = path.read_text("utf-8")
        READERS[path](text)
    except FileNotFoundError:  # which DVC does without
        return False
    except (ValueError, yaml.YAMLError, Invalid):
        return "<<<<<<<" not in text  # a merge that waits for its user
    return False


def unfinished() -> list[Path]:
    """Return DVC's files that are half written, and folders of runs with nothing in them."""
    try:
        runs = Path(os.path.relpath(Repo().stage_cache.cache_dir))
    except NotDvcRepoError:
        runs = Path(".dvc/cache/runs")
    empty = [path for path in runs.glob("*/*") if path.is_dir() and not any(path.iterdir())]
    return [*filter(half_written, READERS), *empty]


def main() -> None:
    """Remove what is unreadable, unless somebody is writing it just now."""
    found = unfinished()
    if not found:
        return
    time.sleep(WAIT)
    for path in [path for path in unfinished() if path in found]:
        path.rmdir() if path.is_dir() else path.unlink()
        print(f"removed {path}, which DVC was killed while writing")


if __name__ == "__main__":
    main()
