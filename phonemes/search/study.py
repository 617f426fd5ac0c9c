"""The search: draw values, train, record the result, until the time is over or trials are enough.

Threads of one process train one network each; further processes and machines join by the
journal. Trials are begun by one thread at a time, so that no more are than were asked for.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import torch
from filelock import FileLock

from phonemes.errors import InputError
from phonemes.search import journal
from phonemes.search.journal import Record, Trial
from phonemes.search.outcome import StoppedError, record_of
from phonemes.search.space import Space, suggest
from phonemes.search.winners import Final, best_of, finals
from phonemes.search.workers import Workers
from phonemes.training.loop import DivergedError
from phonemes.wording import counted

MOST_REFUSED = 500  # trials in a row that no network came of, before a search ends


class Plan(NamedTuple):
    """How long to search, and how."""

    sampler: str  # tpe or random
    pruner: str  # none, halving or hyperband
    seed: int  # of the values that are drawn
    trials: int | None  # in the journal when the search is over, of all processes
    deadline: float | None  # of time.perf_counter


class Progress(NamedTuple):
    """How far a search is."""

    trials: int  # that were trained
    best: Trial | None


class Search:
    """A search in a folder, with all that its threads share."""

    def __init__(
        self, folder: Path, space: Space, study: optuna.Study, plan: Plan, workers: Workers
    ) -> None:
        """Get ready; nothing is trained yet.

        Args:
            folder: of the search.
            space: what is searched.
            study: the journal.
            plan: how to search.
            workers: train networks.
        """
        self.folder, self.space, self.study, self.plan = folder, space, study, plan
        self.workers = workers
        self._optuna = threading.Lock()
        self._known: dict[int, Trial] = {}
        self._refused = 0

    def over(self) -> bool:
        """Return whether trainings are to end: the search was stopped, or its time is over."""
        late = self.plan.deadline is not None and time.perf_counter() > self.plan.deadline
        return late or self.workers.stop.is_set()

    def run(self, show: Callable[[Progress], None]) -> bool:
        """Search until there is time no more, trials are enough, or somebody interrupts.

        Args:
            show: called now and then with the progress.

        Returns:
            Whether it was interrupted; the results of all trials are recorded then too.
        """
        with self._asking():
            journal.begin_again(self.study)
        return self.workers.run(self._work, lambda: show(self.progress()))

    def progress(self) -> Progress:
        """Return how far the search is."""
        found = self.trials()
        return Progress(sum(map(journal.counted, found)), best_of(found))

    def trials(self) -> list[Trial]:
        """Return the trials that are over, of all processes, in their order."""
        with self._optuna:
            return self._trials()

    def finals(self) -> list[Final]:
        """Return how good winners are over further seeds, the best first."""
        with self._optuna:
            return finals(journal.retrained(self.study))

    def importances(self) -> dict[str, float]:
        """Return the share of each parameter in the accuracy; see `journal.importances`."""
        with self._optuna:
            return journal.importances(self.study)

    def about(self) -> str:
        """Return in a line how is searched."""
        plan, (_, device, number, _, processes) = self.plan, self.workers
        shared = f" by each of {processes} processes" * (processes > 1)
        return (
            f"{counted(len(self.space.varied), 'parameter')} varied by {plan.sampler}, "
            f"pruner {plan.pruner}, "
            f"seed {plan.seed}; {number} at a time on {device.type}{shared}"
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process trains winners or writes results, and have none begin."""
        with FileLock(self.folder / ".results.lock"):
            yield

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Have no other thread or process ask for a trial meanwhile."""
        with self._optuna, FileLock(self.folder / ".asking.lock"):
            yield

    def _work(self) -> None:
        study = copy(self.study)  # whose sampler is that of this thread
        while not self.over():
            began = time.perf_counter()
            with self._asking():
                if not self._wanted():
                    return
                trial = journal.ask(study, self.plan.sampler, self.plan.seed)
            # with many trials this takes long: other threads do not wait for it
            self._try(trial, suggest(self.space, trial), began)

    def _trials(self) -> list[Trial]:
        """Return the trials that are over; to be called with the lock."""
        found = journal.trials(self.study, self._known)
        self._known = {trial.number: trial for trial in found}
        return found

    def _wanted(self) -> bool:
        """Return whether there shall be another trial."""
        if self.plan.trials is None:
            return True
        trained = sum(map(journal.counted, self._trials()))
        return trained + journal.running(self.study) < self.plan.trials

    def _try(self, trial: optuna.Trial, values: dict[str, Any], began: float) -> None:
        """Train with some values, and record what became of it."""
        record = Record("failed", values, "the process was ended")
        pruned = False

        def go_on(epoch: int, accuracy: float) -> bool:
            nonlocal pruned
            trial.report(accuracy, epoch)
            pruned = epoch < params.train.epochs and trial.should_prune()
            return not pruned

        try:
            params = self.space.params(values, f"trial {trial.number}")
            trained = self.workers.train(params, self.over, go_on)
            record = record_of("pruned" if pruned else "complete", values, trained, began)
        except StoppedError:
            record = Record("stopped", values)
        except DivergedError as error:
            record = Record("diverged", values, str(error))
        except torch.OutOfMemoryError as error:
            record = Record("failed", values, str(error).partition("\n")[0])
        except InputError as error:
            record = Record("refused", values, str(error))
        finally:
            journal.tell(trial, record)
        self._count_refused(record)

    def _count_refused(self, record: Record) -> None:
        """Give up where no values can be trained with.

        Raises:
            InputError: says why the last ones could not.
        """
        with self._optuna:
            self._refused = self._refused + 1 if record.ending in ("refused", "failed") else 0
        if self._refused >= MOST_REFUSED:
            raise InputError(
                f"{MOST_REFUSED} trials in a row were refused, the last one since: {record.reason}"
            )
