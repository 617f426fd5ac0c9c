"""Train one network of a search, by the train stage's own functions.

Several may be trained at once on a GPU, each by a thread and on a stream of its own. Recording
the step, for which torch's random state is seeded, is done by one thread at a time. What a
recorded step draws, such as dropout, comes from a random state of its own, and its matrix
products have the workspace of its stream: results are those of trainings one after the other.
"""

import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor

from phonemes.inference.classify import classify
from phonemes.inference.windows import DeviceSplit
from phonemes.model.size import parameter_count
from phonemes.params import Params
from phonemes.search.outcome import StoppedError, Trained
from phonemes.search.workers import random_state_of_its_own
from phonemes.training.loop import epochs
from phonemes.training.profile import record
from phonemes.training.run import Batches, Run, seed_steps

AHEAD = 32  # steps: between once and twice as many are launched and not over

_RECORDING = threading.Lock()

Ready = Callable[[Params], tuple[Run, DeviceSplit]]


def train(
    ready: Ready,
    device: torch.device,
    params: Params,
    stopped: Callable[[], bool],
    go_on: Callable[[int, float], bool],
) -> Trained:
    """Train a network until its last epoch, or the first one after which it shall not go on.

    Args:
        ready: returns a run with some parameters, and the half of dev to report on.
        device: where it is.
        params: all parameters.
        stopped: whether the search is over; asked before every step.
        go_on: called with every epoch and its accuracy, says whether there shall be another one.

    Raises:
        StoppedError: the search was over before the training.
        InputError: the parameters cannot be trained with.
        DivergedError: the loss is no longer a finite number.
    """
    run, reporting = ready(params)
    with _RECORDING, random_state_of_its_own(device):
        seed_steps(run)
        record(run)
    run.batches = Stoppable(run.batches, device, stopped)
    try:
        started = time.perf_counter()
        whole = all(
            go_on(each.epoch, each.dev_accuracy)
            for each in epochs(run, progress=False, lines=False)
        )
        accuracy = _accuracy(run, reporting) if whole else None
        seconds = time.perf_counter() - started
    finally:  # a GPU may still read and write what is freed next
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
    assert run.best is not None
    return Trained(
        run.best.dev_accuracy,
        accuracy,
        run.best.epoch,
        len(run.history),
        parameter_count([run.classifier.architecture]),
        seconds,
        run.trained,
    )


class Stoppable:
    """Batches that end a training where the search is over.

    On a GPU the thread stays close to the steps that it has launched: a stop would have to wait
    for them, and so would another thread that needs memory which the GPU has to free first.
    """

    def __init__(self, batches: Batches, device: torch.device, stopped: Callable[[], bool]) -> None:
        self.split, self.count, self.blocks = batches.split, batches.count, batches.blocks
        self.generator = batches.generator
        self._batches, self._stopped = batches, stopped
        self._reached = torch.cuda.Event(blocking=True) if device.type == "cuda" else None

    def begin(self, epoch: int, order: Tensor) -> None:
        """Start an epoch; see `Batches`."""
        self._batches.begin(epoch, order)

    def before(self, step: int) -> None:
        """Have the frames of a step ready.

        Raises:
            StoppedError: the search is over.
        """
        if self._stopped():
            raise StoppedError
        if self._reached is not None and step % AHEAD == 0:
            self._reached.synchronize()
            self._reached.record()
        self._batches.before(step)


def _accuracy(run: Run, split: DeviceSplit) -> float:
    """Return the accuracy of the kept epoch's network on a split."""
    run.classifier.network.load_state_dict(run.best_state)
    scores = classify(run.classifier, split, run.dtype)
    assert split.labels is not None
    return (scores.predicted == split.labels).sum().item() / len(split.starts)
