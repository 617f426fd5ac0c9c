"""The experiments of a commit, as `dvc exp show` knows them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from phonemes.errors import InputError
from phonemes.schema import read_yaml
from phonemes.storage.layout import CORPUS, MODEL

NOT_SCORED = "not scored"  # only some stages ran: scores are of an earlier run
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

    state: str  # success, NOT_SCORED, or what DVC says: queued, running, failed
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


def read_runs(
    shown: list[dict[str, Any]], lock_of: Callable[[str], str] | None = None
) -> tuple[list[Run], list[Run]]:
    """Return the commits and the experiments of what `dvc exp show --json` printed.

    An experiment in which some stages alone ran holds the scores of an earlier run; it has none
    here.

    Args:
        shown: by DVC.
        lock_of: returns the text of dvc.lock in a git revision; None: git does.

    Raises:
        InputError: it is not laid out as DVC 3 does it.
    """
    try:
        commits = [row for row in shown if row["rev"] != "workspace"]
        rows = [each["revs"][0] for row in commits for each in row["experiments"] or []]
        executors = [each["executor"] for row in commits for each in row["experiments"] or []]
        models = [_made(row, MODEL) for row in (*commits, *rows)]
        # that a model was trained on: of the first run that has it
        corpora = {_made(row, MODEL): _made(row, CORPUS) for row in (*rows[::-1], *commits[::-1])}
        runs = [_run(row, None) for row in commits]
        experiments = [*map(_run, rows, executors)]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{UNKNOWN_LAYOUT} ({type(error).__name__}: {error})") from None
    for number, (row, run) in enumerate(zip(rows, experiments, strict=True)):
        # dvc.lock takes a while to read: only where another run has the same model
        model = _made(row, MODEL)
        if run.state != "success" or models.count(model) == 1:
            continue
        trained_on_it = corpora[model] == _made(row, CORPUS)
        if not (trained_on_it and _as_recorded((lock_of or lock_in)(row["rev"]), run.params)):
            experiments[number] = run._replace(state=NOT_SCORED, accuracy={})
    return runs, experiments


def _run(row: dict[str, Any], executor: dict[str, Any] | None) -> Run:
    data = row["data"] or {}

    def content(kind: str, file: str) -> dict[str, Any]:
        return data.get(kind, {}).get(file, {}).get("data", {})

    scores = content("metrics", "metrics/evaluate.json")
    accuracy = {split: float(scores[split]["accuracy"]) for split in SPLITS if split in scores}
    state = (executor or {}).get("state") or ("failed" if row["error"] else "success")
    read, made = (
        {path: each["hash"] for path, each in (data.get(kind) or {}).items()}
        for kind in ("deps", "outs")
    )
    if state == "success" and not of_one_run(read.items(), made):
        state, accuracy = NOT_SCORED, {}
    params = dict(flat(content("params", "params.yaml")))
    return Run(state, params, accuracy, str(row.get("name") or row["rev"][:7]))


def _made(row: dict[str, Any], path: Path) -> str | None:
    """Return the digest of what a run has at a path, None where there is nothing."""
    return ((row["data"] or {}).get("outs") or {}).get(path.as_posix(), {}).get("hash")


def of_one_run(read: Iterable[tuple[str, str | None]], made: Mapping[str, str | None]) -> bool:
    """Return whether every stage read what the stages before it made last.

    Args:
        read: paths that stages read, with the digest that each had then.
        made: digests of what is there, by path.
    """
    return all(digest == made[path] for path, digest in read if path in made)


def _as_recorded(lock: str, params: dict[str, Any]) -> bool:
    """Return whether stages ran with these parameters, by the text of dvc.lock; "": there is none.

    Raises:
        InputError: dvc.lock is no YAML.
    """
    stages = (read_yaml(lock, "dvc.lock") or {}).get("stages") or {}
    used = [
        each
        for stage in stages.values()
        for each in flat(stage.get("params", {}).get("params.yaml", {}))
    ]
    return all(params.get(name) == value for name, value in used)


def lock_in(revision: str) -> str:
    """Return the text of dvc.lock in a git revision, "" where it has none."""
    try:
        return git("show", f"{revision}:./dvc.lock")
    except InputError:
        return ""


def git(*arguments: str) -> str:
    """Return what git prints.

    Raises:
        InputError: it fails.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8")
    except FileNotFoundError:
        raise InputError("there is no git here; install it") from None
    if done.returncode:
        raise InputError(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def as_text(value: Any) -> str:
    """Return a value as it is written after -S."""
    if isinstance(value, tuple):
        return f"[{','.join(map(as_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
