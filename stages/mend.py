"""Remove files of DVC's own that it was killed while writing, so that `dvc repro` goes on.

DVC empties dvc.lock and .dvc/tmp/rwlock and then writes them; between the two it leaves
them unreadable when it is killed, and refuses to run. Nothing is lost with them: what was
computed lies in DVC's run cache, and locks of a dead process mean nothing. No stage of
dvc.yaml; `make reproduce` begins with it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import yaml
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


def main() -> None:
    """Remove what is unreadable, unless somebody is writing it just now."""
    for path in READERS:
        if half_written(path):
            time.sleep(WAIT)
            if half_written(path):
                path.unlink()
                print(f"removed {path}, which DVC was killed while writing")


if __name__ == "__main__":
    main()
