"""What becomes of the training of one network."""

from collections.abc import Callable
from typing import NamedTuple

from phonemes.model.store import TrainedNetwork
from phonemes.params import Params


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
told of every epoch and its accuracy on the choosing half, and says whether to go on.
"""
