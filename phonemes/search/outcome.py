"""What becomes of the training of one network."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from phonemes.model.store import TrainedNetwork
from phonemes.params import Params
from phonemes.search.journal import Ending, Record


class StoppedError(Exception):
    """The search is over before the training is."""


class Trained(NamedTuple):
    """What became of a training that was not stopped."""

    choosing: float  # accuracy on the half that the epoch was chosen on
    reporting: float | None  # accuracy on the other half, of the same epoch; None: ended early
    epoch: int  # that was kept
    epochs: int  # that were trained
    parameters: int
    seconds: float  # of all epochs, and of scoring both halves
    network: TrainedNetwork


Train = Callable[[Params, Callable[[], bool], Callable[[int, float], bool]], Trained]
"""Trains a network with some parameters.

The second argument says whether the search is over, and is asked before every step; the third is
called with every epoch and its accuracy on the choosing half, and says whether to go on.
"""


def record_of(ending: Ending, values: dict[str, Any], trained: Trained, began: float) -> Record:
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
