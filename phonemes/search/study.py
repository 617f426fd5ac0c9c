"""The search: draw values, train, tell, until the time is over or trials are enough.

Threads of one process train one network each; further processes and machines join by the
journal. Trials are begun by one thread at a time, so that no more are than were asked for.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import torch
from filelock import FileLock

from phonemes.errors import InputError
from phonemes.params import checked
from phonemes.recipes import merged
from phonemes.search import journal
from phonemes.search.journal import Record, Trial
from phonemes.search.outcome import StoppedError, Train, Trained
from phonemes.search.space import Space, suggest
from phonemes.search.streams import stream_of_its_own
from phonemes.search.winners import Final, best_of, contenders, finals, further_seeds
from phonemes.training.loop import DivergedError

LOOK_SECONDS = 0.2  # between two looks at what the threads have done
MOST_REFUSED = 500  # trials in a row that no network came of, before a search ends


class Plan(NamedTuple):
    """How long to search, and how."""

    sampler: str  # tpe or random
    pruner: str  # none, halving or hyperband
    seed: int  # of the values that are drawn
    parallel: int | None  # networks at a time; None: as many as suit the device
    trials: int | None  # in the journal when the search is over, of all processes
    deadline: float | None  # of time.perf_counter


class Progress(NamedTuple):
    """How far a search is."""

    trials: int  # that were trained
    best: Trial | None


class Search:
    """A search in a folder, with all that its threads share."""

    def __init__(
        self,
        folder: Path,
        space: Space,
        study: optuna.Study,
        plan: Plan,
        train: Train,
        device: torch.device,
    ) -> None:
        """Get ready; nothing is trained yet.

        Args:
            folder: of the search.
            space: what is searched.
            study: the journal.
            plan: how to search.
            train: trains a network, on `device`.
            device: on a GPU, each thread works on a stream of its own.
        """
        self.folder, self.space, self.study, self.plan = folder, space, study, plan
        self.train, self.device = train, device
        self.stop = threading.Event()
        self._optuna = threading.Lock()
        self._known: dict[int, Trial] = {}
        self._refused = 0

    def over(self) -> bool:
        """Return whether trainings are to end: the search was stopped, or its time is over."""
        late = self.plan.deadline is not None and time.perf_counter() > self.plan.deadline
        return late or self.stop.is_set()

    def run(self, show: Callable[[Progress], None]) -> bool:
        """Search until there is time no more, trials are enough, or somebody interrupts.

        Args:
            show: told of the progress now and then.

        Returns:
            Whether it was interrupted; all trials are told then too.
        """
        with self._asking():
            journal.begin_again(self.study)
        return self._in_threads(self._work, lambda: show(self.progress()))

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
        plan, device = self.plan, self.device
        return (
            f"{len(self.space.varied)} parameters varied by {plan.sampler}, pruner {plan.pruner}, "
            f"seed {plan.seed}; {plan.parallel} at a time on {device}"
        )

    def retrain(self, winners: Sequence[Trial], seeds: int, show: Callable[[int], None]) -> bool:
        """Train winners, and the space's start, with further seeds; what is there stays.

        Args:
            winners: trials.
            seeds: of each.
            show: told how many trainings are left now and then.

        Returns:
            Whether it was interrupted.
        """
        self.plan = self.plan._replace(deadline=None)
        done = journal.retrained(self.study)
        left = [
            (name, values, seed)
            for name, values in contenders(self.space, winners).items()
            for seed in further_seeds(self.space, seeds)
            if f"{name}, seed {seed}" not in done
        ]
        waiting = iter(left)
        taken = threading.Lock()

        def work() -> None:
            while not self.over():
                with taken:
                    entry = next(waiting, None)
                if entry is None:
                    return
                self._retrain(*entry)

        def look() -> None:
            with self._optuna:
                done = journal.retrained(self.study)
            show(sum(f"{name}, seed {seed}" not in done for name, _, seed in left))

        return self._in_threads(work, look)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process trains winners or writes results, and have none begin."""
        with FileLock(self.folder / ".results.lock"):
            yield

    def _in_threads(self, work: Callable[[], None], look: Callable[[], None]) -> bool:
        """Have threads work to the end; return whether somebody interrupted them."""

        def on_a_stream() -> None:
            with stream_of_its_own(self.device):
                work()

        return in_threads(on_a_stream, self.plan.parallel or 1, self.stop, look)

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
        counted = sum(map(journal.counted, self._trials()))
        return counted + journal.running(self.study) < self.plan.trials

    def _try(self, trial: optuna.Trial, values: dict[str, Any], began: float) -> None:
        """Train with some values, and tell what became of it."""
        record = Record("failed", values, "the process was ended")
        pruned = False

        def go_on(epoch: int, accuracy: float) -> bool:
            nonlocal pruned
            trial.report(accuracy, epoch)
            pruned = epoch < params.train.epochs and trial.should_prune()
            return not pruned

        try:
            params = self.space.params(values, f"trial {trial.number}")
            trained = self.train(params, self.over, go_on)
            record = _record("pruned" if pruned else "complete", values, trained, began)
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

    def _retrain(self, name: str, values: dict[str, Any], seed: int) -> None:
        """Train a winner with a further seed, and keep how good it was."""
        began = time.perf_counter()
        params = checked(merged(values, {"train": {"seed": seed}}), name)
        try:
            trained = self.train(params, self.stop.is_set, lambda epoch, accuracy: True)
        except StoppedError:
            return
        except DivergedError as error:
            record = Record("diverged", {}, str(error))
        else:
            record = _record("complete", {}, trained, began)
        with self._optuna:
            journal.keep_retrained(self.study, f"{name}, seed {seed}", record)


def in_threads(
    work: Callable[[], None], count: int, stop: threading.Event, look: Callable[[], None]
) -> bool:
    """Run a function in some threads, to its end.

    Args:
        work: ends soon once `stop` is set.
        count: of threads.
        stop: set where a thread fails, or somebody interrupts.
        look: called now and then, and in the end.

    Returns:
        Whether somebody interrupted.
    """
    interrupted = False

    def whole() -> None:
        try:
            work()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures: list[Future[None]] = [pool.submit(whole) for _ in range(count)]
        while True:
            try:
                if not wait(futures, LOOK_SECONDS).not_done:
                    break
                look()
            except KeyboardInterrupt:
                stop.set()
                interrupted = True
            except BaseException:
                stop.set()
                raise
    for future in futures:
        future.result()
    look()
    return interrupted


def _record(
    ending: journal.Ending, values: dict[str, Any], trained: Trained, began: float
) -> Record:
    """Return the record of a training, `began` when its values were asked for."""
    return Record(
        ending,
        values,
        "",
        trained.choosing,
        trained.reporting,
        trained.epoch,
        trained.parameters,
        round(trained.seconds, 3),
        round(time.perf_counter() - began - trained.seconds, 3),
    )
