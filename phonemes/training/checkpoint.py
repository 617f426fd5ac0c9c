"""Where a training run stands, stored after an epoch so that a killed run goes on from there.

A checkpoint is found by a key: a digest of everything that shapes the run, parameters,
arrays, code, torch, device and threads. Another run cannot take it for its own, and a
run that goes on from it ends with the bytes of one that was never disturbed. How many
epochs are planned is not part of the key where the schedule does not look at it, so a
longer run goes on from a shorter one. Nor is the number of processes: with another one, or
other blocks of frames that pass through the device, a run goes on and draws anew.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeGuard

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from phonemes.errors import InputError, raise_true_cause
from phonemes.model.tensor_file import DamagedError, read_tensors, write_tensors
from phonemes.storage.atomic import make_folder, replacing
from phonemes.storage.parts import release
from phonemes.training.params import FitParams
from phonemes.training.run import Run
from phonemes.training.schedule import PLANNED
from phonemes.training.state import (
    RunState,
    UnfitError,
    drew_alike,
    from_first,
    require_fit,
    restore,
    state,
)

# checkpoints of other runs; each takes about four times the network
KEPT = 3
SUFFIXES = (".safetensors", ".pt")  # of checkpoints; the second, of releases before, go in time
ROWS = 2**18  # of an array that are read at a time
SHARE = 0.05  # of the time, at most, that writing checkpoints may take


def run_key(
    params: FitParams, arrays: Iterable[NDArray], code: Iterable[Path], facts: Sequence[object]
) -> str:
    """Return the name under which a run's checkpoints are found.

    Args:
        params: what the network is and how it is trained; its epochs and the limit of its size do
            not count.
        arrays: all that is read: frames, starts and labels of train and dev.
        code: the files that the train stage depends on.
        facts: what else decides the bytes, such as the device.
    """
    digest = hashlib.blake2b(digest_size=16)
    values = {name: asdict(section) for name, section in params._asdict().items()}
    del values["train"]["epochs"], values["model"]["max_parameters"]
    described = [values, *map(str, facts), torch.__version__, torch.get_num_threads()]
    digest.update(json.dumps(described, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        for first in range(0, len(array), ROWS):
            digest.update(np.ascontiguousarray(array[first : first + ROWS]).data)
            release(array)
    for path in code:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of one run, in a folder shared by all runs."""

    def __init__(self, folder: Path, key: str, kept: int = KEPT) -> None:
        self.path, self.kept = folder / f"{key}.safetensors", kept
        self._written, self._cost = -float("inf"), 0.0  # s: when last, and how long it took

    def resume(self, run: Run) -> str:
        """Have a run that is ready to start go on from its checkpoint, if there is one.

        A file that cannot be used is no reason to fail: the run begins anew. What killed
        runs left half written, of whatever values, is removed. Of several processes, all of
        which are here, the first one reads the file and sends it to the others.

        Returns:
            A line that says what happened, or "".

        Raises:
            MachineError: the machine lacks what reading the file takes; it may be good.
            InputError: the folder of checkpoints is a file, or a link to nowhere; or a process
                trains something else.
        """
        keys = run.group.gather(torch.tensor([*self.path.stem.encode()], dtype=torch.uint8))
        for rank, key in enumerate(keys):
            if not torch.equal(key, keys[0]):
                raise InputError(
                    f"process {rank + 1} of {len(keys)} has other parameters, data, code, torch or "
                    "number of threads than the first: give all hosts the same project and data"
                )
        stored, line = self._read(run) if run.group.world.first else (None, "")
        stored = from_first(run, stored)
        if stored:
            restore(run, stored)
        return line

    def _read(self, run: Run) -> tuple[RunState | None, str]:
        """Return the state from which a run can go on, if there is one, and what to say."""
        with suppress(OSError):  # a disk that cannot be written to costs the checkpoints alone
            make_folder(self.path.parent)
        remove_leftovers(self.path.parent)
        try:
            stored = read_tensors(self.path)
            planned, history = (stored.description.get(name) for name in ("planned", "history"))
            if not isinstance(planned, int) or not is_table(history):
                raise UnfitError("it does not say which epochs were trained")
            why = self._refusal(run, planned, len(history))
            if why is not None:
                return None, why
            of_run = RunState(stored.tensors, history)
            require_fit(run, of_run)
            return of_run, self._progress(run, of_run)
        except FileNotFoundError:
            return None, ""
        except (DamagedError, UnfitError, OSError) as error:
            raise_true_cause(error, self.path)
            why = f"the checkpoint {self.path} is not used: {error}; training begins anew"
            return None, why

    def _refusal(self, run: Run, planned: int, done: int) -> str | None:
        """Return why a run does not go on from a state that can be read; None if it does."""
        epochs, schedule = run.train.epochs, run.train.schedule
        if planned != epochs and schedule in PLANNED:
            return (
                f"a run of {planned} epochs is stored, but train.schedule {schedule} depends on "
                "train.epochs: training starts afresh"
            )
        return "" if done > epochs else None

    def _progress(self, run: Run, stored: RunState) -> str:
        done, epochs = len(stored.history), run.train.epochs
        if done == epochs:  # killed before its results were kept, or asked for once more
            return (
                f"all {epochs} epochs are saved, nothing is left to train; "
                f"delete {self.path.parent} to train them anew"
            )
        anew = "" if drew_alike(run, stored) else self._drawn_anew(run, stored)
        return f"going on after epoch {done}, {done} of {epochs} epochs saved{anew}"

    def _drawn_anew(self, run: Run, stored: RunState) -> str:
        now, before = run.group.world.size, stored.processes
        if now == before:
            return "; its frames pass through the device in other blocks now"
        return f"; by {now} process{'es' * (now > 1)} now, {before} before"

    def save(self, run: Run, *, last: bool) -> str:
        """Write where a run stands unless the last writing was too recent.

        A full disk costs this checkpoint, not the one before and not the training. Of several
        processes, all of which are here, the first one decides and writes; the others wait.

        Returns:
            A warning, or "".
        """
        started = time.perf_counter()
        due = last or started - self._written >= self._cost / SHARE
        if not run.group.gather(torch.tensor([int(due)]))[0]:
            return ""
        tensors, history = state(run)
        try:
            if not run.group.world.first:
                return ""
            with replacing(self.path) as path:
                write_tensors(path, tensors, {"planned": run.train.epochs, "history": history})
            self._remove_oldest()
        except OSError as error:
            return f"warning: no checkpoint was written: {error}"
        finally:
            run.group.wait()
        self._written = time.perf_counter()
        self._cost = self._written - started
        return ""

    def _remove_oldest(self) -> None:
        """Remove the checkpoints of other runs but the newest."""
        others = [
            path
            for path in self.path.parent.iterdir()
            if path.suffix in SUFFIXES and path != self.path and not path.name.startswith(".")
        ]
        for old in sorted(others, key=_written)[: -self.kept]:
            old.unlink(missing_ok=True)


def _written(path: Path) -> float:
    """Return when a file was written, s since 1970; 0 where another process has removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of the checkpoints that they were writing.

    Processes that are still running, such as queued experiments, go on writing theirs.
    """
    for partial in folder.glob(".*.partial"):
        process = partial.name.removesuffix(".partial").removesuffix(".former").rpartition(".")[2]
        if not process.isdecimal() or not psutil.pid_exists(int(process)):
            partial.unlink(missing_ok=True)


def is_table(values: object) -> TypeGuard[list[list[float]]]:
    """Return whether a value of JSON is a list of lists."""
    return isinstance(values, list) and all(isinstance(row, list) for row in values)
