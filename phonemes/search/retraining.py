"""Train the winners of a search, and what it started from, with further seeds."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import optuna

from phonemes.distributed.world import ALONE, World
from phonemes.params import checked
from phonemes.recipes import merged
from phonemes.search.journal import Record, Trial, keep_retrained, retrained
from phonemes.search.outcome import StoppedError, record_of
from phonemes.search.space import Space
from phonemes.search.winners import contenders, further_seeds
from phonemes.search.workers import Workers
from phonemes.training.loop import DivergedError


def retrain(
    study: optuna.Study,
    space: Space,
    workers: Workers,
    winners: Sequence[Trial],
    seeds: int,
    show: Callable[[int], None],
    world: World = ALONE,
) -> bool:
    """Train winners, and the space's start, with further seeds; what is in the journal stays.

    Args:
        study: the journal.
        space: that was searched.
        workers: train.
        winners: trials.
        seeds: of each.
        show: called now and then with the number of trainings that are left, in all processes.
        world: which of the processes this is, that each train a share.

    Returns:
        Whether it was interrupted.
    """
    wanted = {
        f"{name}, seed {seed}": merged(values, {"train": {"seed": seed}})
        for name, values in contenders(space, winners).items()
        for seed in further_seeds(space, seeds)
    }
    done, names = retrained(study), [*wanted]
    mine = [names[number] for number in world.share(len(names))]
    waiting = iter([(name, wanted[name]) for name in mine if name not in done])
    taken = threading.Lock()

    def work() -> None:
        while not workers.stop.is_set():
            with taken:
                name, values = next(waiting, (None, None))
            if name is None or values is None:
                return
            if record := _retrained(workers, name, values):
                keep_retrained(study, name, record)

    return workers.run(work, lambda: show(len(wanted.keys() - retrained(study).keys())))


def _retrained(workers: Workers, name: str, values: dict[str, Any]) -> Record | None:
    """Train a network; return its record, None where it was stopped."""
    began = time.perf_counter()
    try:
        trained = workers.train(
            checked(values, name), workers.stop.is_set, lambda epoch, accuracy: True
        )
    except StoppedError:
        return None
    except DivergedError as error:
        return Record("diverged", {}, str(error))
    return record_of("complete", {}, trained, began)
