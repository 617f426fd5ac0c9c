"""The experiments of a commit, as `dvc exp show` knows them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from phonemes.errors import InputError

SPLITS = ("dev", "test")
OTHER_COMMITS = (
    "those of earlier commits are listed by `dvc exp list --all-commits`, and taken with COMMIT "
    "as argument"
)
UNKNOWN_LAYOUT = (
    "`dvc exp show --json` prints what this command does not know; it knows that of DVC 3.60 and "
    "later: install the DVC of constraints.txt"
)


class Run(NamedTuple):
    """A commit or an experiment."""

    state: str  # success, or what DVC says: queued, running, failed
    params: dict[str, Any]  # by their names in full, as "train.lr"
    accuracy: dict[str, float]  # by split; none where there is none
    name: str = ""  # of the branch or experiment


def show(commit: str | None = None) -> list[dict[str, Any]]:
    """Return what `dvc exp show --json` prints of a git revision, or of the last commit.

    Raises:
        InputError: it fails, or prints no JSON.
    """
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    command += [] if commit is None else [f"--rev={commit}"]
    shown = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if shown.returncode:
        raise InputError(
            f"`dvc exp show` failed: {shown.stderr.strip()}; try again, if an experiment was being "
            "started or ended"
        )
    try:
        return json.loads(shown.stdout)
    except ValueError as error:
        raise InputError(f"{UNKNOWN_LAYOUT} ({error})") from None


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings by its name in full; lists as tuples."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _frozen(value)


def _frozen(value: Any) -> Any:
    """Return a value that can be compared in a set, whatever a commit's params.yaml had there."""
    if isinstance(value, dict):
        return tuple((key, _frozen(inner)) for key, inner in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def read_runs(shown: list[dict[str, Any]]) -> tuple[list[Run], list[Run]]:
    """Return the commits and the experiments of what `dvc exp show --json` printed.

    Raises:
        InputError: it is not laid out as DVC 3 does it.
    """
    try:
        commits = [row for row in shown if row["rev"] != "workspace"]
        experiments = [each for row in commits for each in row["experiments"] or []]
        return [_run(row, None) for row in commits], [
            _run(each["revs"][0], each["executor"]) for each in experiments
        ]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{UNKNOWN_LAYOUT} ({type(error).__name__}: {error})") from None


def _run(row: dict[str, Any], executor: dict[str, Any] | None) -> Run:
    data = row["data"] or {}

    def content(kind: str, file: str) -> dict[str, Any]:
        return data.get(kind, {}).get(file, {}).get("data", {})

    scores = content("metrics", "metrics/evaluate.json")
    return Run(
        (executor or {}).get("state") or ("failed" if row["error"] else "success"),
        dict(flat(content("params", "params.yaml"))),
        {split: float(scores[split]["accuracy"]) for split in SPLITS if split in scores},
        str(row.get("name") or row["rev"][:7]),
    )


def as_text(value: Any) -> str:
    """Return a value as it is written after -S."""
    if isinstance(value, tuple):
        return f"[{','.join(map(as_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
