"""The journal of a search: Optuna's, a file that several processes and machines may share.

Each trial has the values that were drawn, an accuracy after each epoch, and once it is over its
record. A trial that a process left unfinished, being killed or stopped, is begun again by the
next one.
"""

import json
import logging
import os
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import optuna
import psutil
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from phonemes.errors import InputError
from phonemes.storage.atomic import make_folder
from phonemes.training.seeds import derived

JOURNAL = "journal.log"  # in the folder of a search
LOCK_SECONDS = 10  # after which a lock that a killed process left is broken; writing takes far less
STARTUP = 20  # trials that are drawn at random before TPE models them
REDUCTION = 4  # of the trials that reach an epoch of comparison, one in so many goes on
FACTS, RECORD, WORKER, RETRAINED = "facts", "record", "worker", "retrained"

Ending = Literal["complete", "pruned", "diverged", "refused", "stopped", "failed"]


class Record(NamedTuple):
    """What became of a trial."""

    ending: Ending
    values: dict[str, Any]  # of what is varied, by names in full
    reason: str = ""  # of an ending that is not complete or pruned
    choosing: float | None = None
    reporting: float | None = None
    epoch: int | None = None  # that was kept
    parameters: int | None = None
    seconds: float | None = None  # of training
    overhead_seconds: float | None = None


class Trial(NamedTuple):
    """A trial that is over."""

    number: int
    record: Record
    curve: list[float]  # accuracy on the choosing half after each epoch
    started: float  # s since 1970
    ended: float


class JournalFile(JournalFileBackend):
    """A journal that a process appends to without waiting for the disk.

    What is written outlives the process; each trial has some twenty lines, and a disk takes
    milliseconds for each.
    """

    def __init__(self, path: Path, lock: JournalFileOpenLock) -> None:
        super().__init__(str(path), lock)
        self._path, self._lock_of_file = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock_of_file.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(lines.encode("utf-8"))
        finally:
            self._lock_of_file.release()


def sampler(kind: str, seed: int) -> BaseSampler:
    """Return what draws values: tpe or random."""
    if kind == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # group: parameters with conditions
        return TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True)


def pruner(kind: str, epochs: int) -> BasePruner:
    """Return what ends trials early: none, halving or hyperband, over at most so many epochs."""
    if kind == "none" or epochs < 2:
        return NopPruner()
    if kind == "halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    return HyperbandPruner(1, epochs, REDUCTION)


def open_study(folder: Path, facts: Mapping[str, str], pruning: BasePruner) -> optuna.Study:
    """Open the journal of a folder, or begin one.

    Args:
        folder: of the search.
        facts: what all trials of a search share, as space and corpus, by what they are called.
        pruning: what ends trials early.

    Raises:
        InputError: the journal is of another space or corpus, or damaged.
    """
    optuna.logging.set_verbosity(logging.ERROR)
    make_folder(folder)
    path = folder / JOURNAL
    lock = JournalFileOpenLock(str(path), grace_period=LOCK_SECONDS)
    if path.exists():
        _remove_unfinished_line(path, lock)
    try:
        study = optuna.create_study(
            storage=JournalStorage(JournalFile(path, lock)),
            study_name=folder.name,
            direction="maximize",
            pruner=pruning,
            load_if_exists=True,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged ({error}); move {folder} away, or give another --name"
        ) from None
    known = study.user_attrs.get(FACTS)
    if known is None:
        study.set_user_attr(FACTS, dict(facts))
    elif other := [name for name, value in facts.items() if known.get(name) != value]:
        raise InputError(
            f"{folder} holds a search with another {' and '.join(other)}; give another --name, "
            "or move it away"
        )
    return study


def _remove_unfinished_line(path: Path, lock: JournalFileOpenLock) -> None:
    """Remove an unfinished last line, which a process left that was killed while it wrote."""
    lock.acquire()
    try:
        with path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            position, rest = end, b""
            while position and b"\n" not in rest:
                position = max(0, position - 2**16)
                file.seek(position)
                rest = file.read(end - position)
            complete = position + rest.rfind(b"\n") + 1
            if complete < end:
                file.truncate(complete)
    finally:
        lock.release()


def worker() -> list[Any]:
    """Return which process this is, of all machines: machine, number and time of its start."""
    return [socket.gethostname(), os.getpid(), psutil.Process().create_time()]


def begin_again(study: optuna.Study) -> int:
    """Have the trials that dead processes of this machine left begun again; return how many.

    To be called where nobody else asks for a trial: one without a worker is then of a process
    that ended before it could say so.
    """
    left = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if _is_dead(trial.user_attrs.get(WORKER))
    ]
    for trial in left:
        again(study, trial.number, trial.params)
    return len(left)


def again(study: optuna.Study, number: int, params: Mapping[str, Any]) -> None:
    """End a trial without a result, and have its values tried by whoever asks next."""
    study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
    if params:  # else it ended before anything was drawn
        study.enqueue_trial(dict(params))


def _is_dead(worker: Any) -> bool:
    """Return whether the process of a trial was one of this machine and has ended."""
    match worker:
        case [str(host), int(number), int() | float() as started]:
            if host != socket.gethostname():
                return False
            try:
                return abs(psutil.Process(number).create_time() - started) > 1
            except psutil.NoSuchProcess:
                return True
            except psutil.AccessDenied:
                return False
    return True


def ask(study: optuna.Study, kind: str, seed: int) -> optuna.Trial:
    """Begin a trial, whose values depend on the seed, its number and the trials before it."""
    study.sampler = sampler(kind, 0)  # draws nothing before it is replaced
    trial = study.ask()
    study.sampler = sampler(kind, derived(seed, f"trial {trial.number}") % 2**32)
    trial.set_user_attr(WORKER, worker())
    return trial


def tell(trial: optuna.Trial, record: Record) -> None:
    """End a trial; one that was stopped is to be begun again."""
    study = trial.study
    trial.set_user_attr(RECORD, record._asdict())
    if record.ending == "complete":
        study.tell(trial, record.choosing)
    elif record.ending in ("stopped", "failed"):
        study.tell(trial, state=TrialState.FAIL)
        if record.ending == "stopped":
            study.enqueue_trial(trial.params)
    else:  # with its last accuracy, or as the worst where there is none: not to be drawn again
        study.tell(trial, state=TrialState.PRUNED)


def trials(study: optuna.Study, known: Mapping[int, Trial] = MappingProxyType({})) -> list[Trial]:
    """Return the trials that are over, in their order; those that are `known` as they are there."""
    return [
        known.get(each.number) or _trial(each)
        for each in study.get_trials(deepcopy=False)
        if RECORD in each.user_attrs and each.state.is_finished()
    ]


def _trial(frozen: FrozenTrial) -> Trial:
    started, ended = frozen.datetime_start, frozen.datetime_complete
    assert started and ended
    curve = [value for _, value in sorted(frozen.intermediate_values.items())]
    record = Record(**frozen.user_attrs[RECORD])
    return Trial(frozen.number, record, curve, started.timestamp(), ended.timestamp())


def counted(trial: Trial) -> bool:
    """Return whether a trial was trained, to its end or as far as it was worth."""
    return trial.record.ending in ("complete", "pruned", "diverged")


def running(study: optuna.Study) -> int:
    """Return the number of trials that are not over, of all processes."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def retrained(study: optuna.Study) -> dict[str, Record]:
    """Return the further trainings of winners, by `trial NUMBER, seed SEED`."""
    return {
        name.removeprefix(f"{RETRAINED} "): Record(**record)
        for name, record in study.user_attrs.items()
        if name.startswith(f"{RETRAINED} ")
    }


def keep_retrained(study: optuna.Study, name: str, record: Record) -> None:
    """Keep a further training of a winner."""
    study.set_user_attr(f"{RETRAINED} {name}", record._asdict())


def importances(study: optuna.Study) -> dict[str, float]:
    """Return the share of each parameter in what the accuracy depends on, largest first.

    By PED-ANOVA (Watanabe, Bansal and Hutter, 2023, arXiv 2304.10255) over complete trials; none
    where these are too few.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < STARTUP or len({trial.value for trial in complete}) == 1:
        return {}
    return optuna.importance.get_param_importances(study)
