"""Training: batches, a step, and the loop over them.

`Batches` puts the frames of a step on the device, `Step` updates the network with them, and
`epochs` is the loop: order, steps, score on dev, keep the best. The range test
(`range_test.py`) and the cost before training (`profile.py`) are functions over the same.

Frames, their order, the learning rate of every step and the running totals lie on the
device, so an epoch asks the host for nothing but the next step.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import mean
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from phonemes.distributed.world import SINGLE, Group
from phonemes.errors import InputError
from phonemes.inference.classify import classify
from phonemes.inference.windows import DeviceSplit
from phonemes.model.architecture import Classifier
from phonemes.model.store import TrainedNetwork
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import TrainParams
from phonemes.training.schedule import rate_factor

BAR = "{l_bar}{bar}| {elapsed}<{remaining}, {rate_fmt}{postfix}"  # fits 80 columns
# seconds between two looks at the running totals, each of which waits for the device
BAR_SECONDS = 0.5 if sys.stderr is not None and sys.stderr.isatty() else 10.0


class DivergedError(InputError):
    """The loss is no longer a finite number."""


class Batches(Protocol):
    """The batches of a split, in another order in every epoch."""

    split: DeviceSplit  # of which an order names rows
    count: int  # N, frames of an epoch
    blocks: int  # of an epoch, that pass through the device; 1 where all frames stay there
    generator: torch.Generator  # of the orders to come

    def begin(self, epoch: int, order: Tensor) -> None:
        """Start an epoch, from 0; draw its order, (S B,) frames of `split` for S steps."""

    def before(self, step: int) -> None:
        """Have the frames of a step ready, from 0."""


class Step(Protocol):
    """What updates a network with the batch under a cursor."""

    kernels: str  # whose: torch or triton

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch, from 0."""

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step.

        Args:
            order: (S B,) int64, the frames of an epoch's S steps.
            cursor: (1,) int64, the step of the epoch; raised by one.
            rates: (S,) the learning rate of each step.
            totals: (3,) float64; the batch's loss, correct frames and 1 if finite are added.
        """

    def memory(self) -> int | None:
        """Return the bytes that a step needs, or None where they have to be measured."""


class PartedStep(Step, Protocol):
    """A step that pauses where a part of the gradients is complete and not yet used."""

    def parts(
        self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor
    ) -> Iterator[list[Tensor]]:
        """Take one step; see `Step.update`.

        Yields:
            Every gradient once, in a few parts. Whoever trains with several processes averages
            a part before asking for the next, on the stream that is current then.
        """


class Epoch(NamedTuple):
    """One row of the history."""

    epoch: int  # from 1
    train_loss: float  # nats a frame, while training: with dropout, over changing weights
    dev_loss: float  # nats a frame, after the epoch
    train_accuracy: float  # while training
    dev_accuracy: float
    lr: float  # mean over its steps
    frames_per_second: float  # of training, without dev
    seconds: float  # of training and dev


class Buffers(NamedTuple):
    """What a step reads and writes on the device; a recorded one where it is."""

    order: Tensor  # (S B,) int64, the frames of an epoch's S steps
    cursor: Tensor  # (1,) int64, step of the epoch
    rates: Tensor  # (S,) learning rate of each step
    totals: Tensor  # (3,) loss, correct frames and steps with a finite loss, in this epoch

    @classmethod
    def of(cls, batches: Batches, batch: int, frames: int = 0) -> "Buffers":
        """Return room for the epochs of some batches of B = `batch` frames.

        Args:
            batches: of this process.
            batch: B.
            frames: that an epoch has steps for, as many as the process with the most has; 0:
                those of `batches`.
        """
        device = batches.split.windows.device
        steps = math.ceil((frames or batches.count) / batch)
        order = torch.arange(steps * batch, device=device) % len(batches.split.starts)
        exact = torch.float32 if device.type == "mps" else torch.float64
        return cls(
            order,
            torch.zeros(1, dtype=torch.int64, device=device),
            torch.zeros(steps, device=device),
            torch.zeros(3, dtype=exact, device=device),
        )


@dataclass
class Run:
    """One network in training, and all that its next epochs depend on.

    Each of several processes has its share of the frames and of dev, and a batch of its own; the
    network and the history are the same in all.
    """

    classifier: Classifier
    optimizer: Optimizer
    batches: Batches
    step: Step
    dev: DeviceSplit
    train: TrainParams
    dtype: torch.dtype
    buffers: Buffers
    group: Group = SINGLE
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None  # the first with the highest dev accuracy
    best_state: dict[str, Tensor] = field(default_factory=dict)  # of the network then, on the host

    @property
    def device(self) -> torch.device:
        """Return where the network is."""
        return self.dev.windows.device

    @property
    def steps(self) -> int:
        """Return the steps of an epoch, S."""
        return len(self.buffers.rates)

    @property
    def batch(self) -> int:
        """Return the frames of a step of this process, B."""
        return len(self.buffers.order) // self.steps

    @property
    def frames(self) -> int:
        """Return the frames of a step of all processes."""
        return self.batch * self.group.world.size

    @property
    def trained(self) -> TrainedNetwork:
        """Return the network as it was after its best epoch."""
        return TrainedNetwork(self.classifier.architecture, self.best_state)


def epochs(run: Run, progress: bool, lines: bool = True) -> Iterator[Epoch]:
    """Train on from the last epoch of the history; yield each new one when it is over.

    Args:
        run: to train.
        progress: a bar, on a terminal, of the first process.
        lines: print one after each epoch, by the first process.

    Raises:
        DivergedError: the loss is no longer a finite number; names the epoch and step.
    """
    first, frames = run.group.world.first, run.steps * run.frames  # of an epoch
    with tqdm(
        total=run.train.epochs * frames,
        initial=len(run.history) * frames,
        unit=" frames",
        unit_scale=True,
        bar_format=BAR,
        mininterval=BAR_SECONDS,
        disable=None if progress and first else True,  # None: where there is no terminal
    ) as bar:
        while len(run.history) < run.train.epochs and not _stopped_early(run):
            number = len(run.history) + 1
            bar.set_description(f"epoch {number}/{run.train.epochs}")
            started = time.perf_counter()
            rates = _set_rates(run)
            begin(run, number - 1)
            train_loss, train_accuracy = _take_steps(run, bar)
            trained = time.perf_counter()
            dev_loss, dev_accuracy = _score(run)
            epoch = Epoch(
                number,
                train_loss,
                dev_loss,
                train_accuracy,
                dev_accuracy,
                mean(rates),
                round(frames / (trained - started), 1),
                round(time.perf_counter() - started, 3),
            )
            _keep(run, epoch)
            if lines and first:
                bar.write(
                    f"epoch {number}: loss {train_loss:.4f} train, {dev_loss:.4f} dev; "
                    f"accuracy {train_accuracy:.4f} train, {epoch.dev_accuracy:.4f} dev; "
                    f"{epoch.frames_per_second:,.0f} frames/s"
                )
            yield epoch


def begin(run: Run, epoch: int) -> None:
    """Draw the order of an epoch's frames, from 0, and stand before its first step."""
    run.batches.begin(epoch, run.buffers.order)
    run.buffers.cursor.zero_()
    run.buffers.totals.zero_()
    run.classifier.network.train()
    run.step.begin(epoch)


def _set_rates(run: Run) -> list[float]:
    """Set the learning rate of each step of the next epoch, and return them."""
    done = len(run.history)
    losses = [epoch.dev_loss for epoch in run.history]
    times = [done + (step + 0.5) / run.steps for step in range(run.steps)]
    rates = [run.train.lr * rate_factor(run.train, now, losses) for now in times]
    run.buffers.rates.copy_(torch.tensor(rates))
    return rates


def _take_steps(run: Run, bar: tqdm) -> tuple[float, float]:
    """Take every step of an epoch; return its mean loss and accuracy over all processes.

    Until the last step a process looks at its own: they do not look at the same time. A loss of
    one that is not finite is one of all with the next step, and ends them together at the last.
    """
    looked, done = time.perf_counter(), 0
    for step in range(1, run.steps + 1):
        run.batches.before(step - 1)
        run.step.update(*run.buffers)
        last = step == run.steps
        if last or time.perf_counter() - looked > BAR_SECONDS:
            totals = run.buffers.totals.cpu()[None]
            every = run.group.gather(totals[0]) if last else totals  # (processes, 3)
            loss, accuracy, _ = (every.mean(0) / (step * run.batch)).tolist()
            if not math.isfinite(loss) and (last or run.group.world.size == 1):
                raise _diverged(run, int(every[:, 2].min()) + 1, loss)
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
            bar.update((step - done) * run.frames)
            looked, done = time.perf_counter(), step
    return loss, accuracy


def _score(run: Run) -> tuple[float, float]:
    """Return loss and accuracy on dev, by the mean of all processes' running statistics."""
    state = run.classifier.network.state_dict()
    run.group.average([value for name, value in state.items() if "running_" in name])
    scores = classify(run.classifier, run.dev, run.dtype)
    assert run.dev.labels is not None
    right, count = (scores.predicted == run.dev.labels).sum().item(), len(run.dev.starts)
    own = [scores.loss.mean().item() * count, right, count]
    loss, right, count = run.group.gather(torch.tensor(own, dtype=torch.float64)).sum(0).tolist()
    if not math.isfinite(loss):  # the last step's update shows here alone
        raise _diverged(run, run.steps, loss)
    return loss / count, right / count


def _keep(run: Run, epoch: Epoch) -> None:
    """Add an epoch to the history, and keep its weights if it is the best."""
    run.history.append(epoch)
    if run.best is None or epoch.dev_accuracy > run.best.dev_accuracy:
        run.best = epoch
        state = run.classifier.network.state_dict()
        run.best_state = {name: value.cpu().clone() for name, value in state.items()}


def _diverged(run: Run, step: int, loss: float) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(run.history) + 1}, step {step} of {run.steps}: "
        f"the loss is {loss}; lower train.lr, raise train.warmup_epochs, or set "
        "train.clip_norm to 1"
    )


def _stopped_early(run: Run) -> bool:
    """Return whether dev accuracy has not risen for as many epochs as are waited for."""
    patience = run.train.early_stopping_patience
    return bool(patience and run.best and len(run.history) - run.best.epoch >= patience)
