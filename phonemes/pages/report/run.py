"""What a run left behind, read from the workspace, a git revision or a DVC experiment.

Tables that a stage has not written yet, or wrote in an older version without, are absent and
listed as missing: a page shows what there is.
"""

import errno
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pandas as pd

from phonemes.errors import InputError, raise_true_cause
from phonemes.schema import read_yaml
from phonemes.storage.inputs import PARAMS
from phonemes.storage.layout import HISTORY, SCORES, TABLES

WORKSPACE = "workspace"
STAGES = ("corpus", "normalize", "context", "train", "evaluate")  # that the tables come from
LOCKFILE = Path("dvc.lock")
SPLITS = ("dev", "test")
TABLE_COLUMNS = {
    "scores": "score value low high unit units",
    "confusion": "actual predicted count",
    "phonemes": "phoneme precision recall f1 support",
    "phonetic_classes": "class frames accuracy class_accuracy share_of_errors",
    "boundaries": "distance frames accuracy share_of_frames share_of_errors",
    "stress": "stress frames accuracy vowel_accuracy stress_errors share_of_errors",
    "speakers": "speaker utterances frames right accuracy",
    "utterances": "utterance speaker frames right accuracy phones phone_errors",
    "calibration": "low high frames confidence accuracy",
    "phone_errors": "labels silence phones predicted_phones insertions deletions substitutions "
    "error_rate",
}
HISTORY_COLUMNS = "epoch train_loss dev_loss train_accuracy dev_accuracy lr"
TEXTS = set(  # columns that are no numbers, whatever a phoneme or speaker is called
    "score unit actual predicted phoneme class distance stress speaker utterance labels "
    "silence".split()
)


class Files(Protocol):
    """The files of a project at one moment."""

    name: str  # of the revision

    def open(self, path: Path) -> BinaryIO:
        """Open a file for reading.

        Raises:
            FileNotFoundError: it is not there.
        """

    def advice(self) -> str:
        """Return how a file that is missing is made, or got."""


class WorkspaceFiles:
    """The files of the current folder."""

    name = WORKSPACE

    def open(self, path: Path) -> BinaryIO:
        """Open a file; see `Files`."""
        return path.open("rb")

    def advice(self) -> str:
        """Return how a file is made."""
        return "run `dvc repro`"


class RevisionFiles:
    """The files of a git revision or DVC experiment; those that DVC keeps are read from its cache.

    Raises:
        InputError: there is no such revision, or no git repository.
    """

    def __init__(self, name: str) -> None:
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException

        self.name = name
        try:
            self._files = DVCFileSystem(".", rev=name)
            self._files.info("")  # opens the repository: only then is a name looked up
        except DvcException as error:
            raise InputError(
                f"cannot read {name!r}: {error}; give a git revision or a DVC experiment, as "
                "`git log` and `dvc exp list` show them"
            ) from None

    def open(self, path: Path) -> BinaryIO:
        """Open a file; see `Files`."""
        from dvc.exceptions import DvcException
        from dvc_data.index import DataIndexDirError

        try:
            return self._files.open(path.as_posix(), "rb")
        except (DataIndexDirError, DvcException) as error:  # a folder is in no cache and remote
            raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from None

    def advice(self) -> str:
        """Return how a file is got or made."""
        return (
            "`dvc fetch --all-commits` or `dvc exp pull` gets what DVC's cache lacks; `dvc repro` "
            f"with {self.name} checked out makes what it never had"
        )


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    files: Files
    params: dict[str, Any]  # of params.yaml
    model: dict[str, float]  # parameters, and the epoch that was kept
    history: pd.DataFrame | None
    tables: dict[str, dict[str, pd.DataFrame]]  # by split and name
    missing: tuple[str, ...]  # names of dev's tables that the run does not have
    changed_since: tuple[str, ...]  # parameters that dvc.lock has with other values

    @property
    def name(self) -> str:
        """Return the revision's name."""
        return self.files.name

    @property
    def dev(self) -> dict[str, pd.DataFrame]:
        """Return the tables of dev."""
        return self.tables["dev"]

    @property
    def phonemes(self) -> tuple[str, ...]:
        """Return the phonemes in label order."""
        return tuple(self.dev["phonemes"]["phoneme"])

    def score(self, name: str, split: str = "dev") -> float | None:
        """Return a score, or None where the split or the score is not there."""
        if split not in self.tables:
            return None
        values = self.tables[split]["scores"].set_index("score")["value"]
        return float(values[name]) if name in values.index and pd.notna(values[name]) else None

    def param(self, section: str, name: str) -> Any:
        """Return a parameter, or None where an older params.yaml lacks it."""
        values = self.params.get(section)
        return values.get(name) if isinstance(values, dict) else None

    def flat_params(self) -> dict[str, Any]:
        """Return all parameters by their names in full, as train.lr."""
        return dict(_flat(self.params))


def open_files(name: str) -> Files:
    """Return the files of a revision by its name; "workspace" is the current folder."""
    if name == WORKSPACE:
        return WorkspaceFiles()
    return RevisionFiles(name)


def read_run(files: Files) -> Run:
    """Read a run.

    Raises:
        InputError: it has no scores, or a file is damaged; says what to do.
    """
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for split in SPLITS:
        found = dict(_tables(files, split))
        if found.keys() >= {"scores", "confusion", "phonemes"}:
            tables[split] = found
    if "dev" not in tables:
        raise InputError(f"{files.name} has no scores of dev in {TABLES}: {files.advice()}")
    params = _mapping(files, PARAMS)
    return Run(
        files,
        params,
        _model(files),
        read_table(files, HISTORY, HISTORY_COLUMNS),
        tables,
        tuple(name for name in TABLE_COLUMNS if name not in tables["dev"]),
        tuple(_changed_since(files, params)),
    )


def _mapping(files: Files, path: Path) -> dict[str, Any]:
    """Return what a YAML file holds; nothing where it holds no keys and values."""
    values = read_yaml(_text(files, path), f"{path} of {files.name}")
    return values if isinstance(values, dict) else {}


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _changed_since(files: Files, params: dict[str, Any]) -> list[str]:
    """Return the parameters that dvc.lock has with other values, if DVC made the results."""
    try:
        stages = _mapping(files, LOCKFILE).get("stages", {})
    except InputError:  # no dvc.lock, where stages were run without DVC
        return []
    used: dict[str, Any] = {}
    for stage in STAGES:
        used |= dict(_flat(stages.get(stage, {}).get("params", {}).get(str(PARAMS), {})))
    now = dict(_flat(params))
    return [name for name, value in used.items() if now.get(name) != value]


def _tables(files: Files, split: str) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, columns in TABLE_COLUMNS.items():
        if (table := read_table(files, TABLES / split / f"{name}.csv", columns)) is not None:
            yield name, table


def read_table(files: Files, path: Path, columns: str) -> pd.DataFrame | None:
    """Read some columns of a CSV; None where the file is not there.

    Raises:
        InputError: it is damaged, or lacks a column.
    """
    try:
        with files.open(path) as file:
            table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
        table = table[columns.split()]
        numbers = [name for name in table.columns if name not in TEXTS]
        return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise_true_cause(error, path)
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"{path} of {files.name} is damaged ({reason}); delete it and run `dvc repro`"
        ) from None


def _text(files: Files, path: Path) -> str:
    try:
        with files.open(path) as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path} of {files.name}: {error}") from None


def _model(files: Files) -> dict[str, float]:
    try:
        found = json.loads(_text(files, SCORES))["model"]
        return {name: float(found[name]) for name in ("parameters", "epoch")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{SCORES} of {files.name} is damaged ({error!r}); run `dvc repro`"
        ) from None
