"""One network in training, and what it is trained with: batches, a step, buffers on the device.

`Batches` puts the frames of a step on the device, `Step` updates the network with them. Frames,
their order, the learning rate of every step and the running totals lie on the device. The loop
over epochs (`loop.py`), the range test (`range_test.py`) and the cost before training
(`profile.py`) are functions over a `Run`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from phonemes.distributed.world import SINGLE, Group
from phonemes.inference.windows import DeviceSplit
from phonemes.model.architecture import Classifier
from phonemes.model.store import TrainedNetwork
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import TrainParams
from phonemes.training.seeds import derived


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
    best_state: dict[str, Tensor] = field(default_factory=dict)  # of the network then

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
        """Return the network as it was after its best epoch, on the host."""
        state = {name: value.cpu() for name, value in self.best_state.items()}
        return TrainedNetwork(self.classifier.architecture, state)


def seed_steps(run: Run) -> None:
    """Seed torch's global random state, which steps draw dropout and distortions from."""
    torch.manual_seed(derived(run.train.seed, "dropout and distortions"))


def begin(run: Run, epoch: int) -> None:
    """Draw the order of an epoch's frames, from 0, and stand before its first step."""
    run.batches.begin(epoch, run.buffers.order)
    run.buffers.cursor.zero_()
    run.buffers.totals.zero_()
    run.classifier.network.train()
    run.step.begin(epoch)
