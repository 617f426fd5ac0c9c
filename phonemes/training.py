"""Train a network on frames that stay on the device, limited by arithmetic alone.

Frames, their order, the learning rate of every step and the running totals lie on the
device, so an epoch asks the host for nothing but the next step; on a GPU that step is
one CUDA graph. Every batch is full: the last one of an epoch is filled up with the
frames that came first in it, so that one graph serves all steps and no batch is too
small for batch normalization.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from phonemes.errors import InputError
from phonemes.inference import Split, classify
from phonemes.params import Train
from phonemes.schedule import rate_factor

REHEARSAL_STEPS = 3
# seconds between two looks at the running totals, each of which waits for the device
BAR_SECONDS = 0.5 if sys.stderr.isatty() else 10.0


class Epoch(NamedTuple):
    """One row of the history."""

    epoch: int  # from 1
    train_loss: float  # nats a frame, while training: with dropout, over changing weights
    dev_loss: float  # nats a frame, after the epoch
    train_accuracy: float  # while training
    dev_accuracy: float
    lr: float  # of the last step
    frames_per_second: float  # of training, without dev
    seconds: float  # of training and dev


class Rehearsal(NamedTuple):
    """What training will cost, measured before the first epoch."""

    parameters: int
    step_bytes: int  # weights, gradients, optimizer state and what backward needs
    resident_bytes: int  # frames, starts and labels of train and dev
    epoch_seconds: float  # of training, without dev


def class_weights(labels: Tensor, classes: int, scheme: str) -> Tensor | None:
    """Return a weight for each class, (P,), whose mean over the frames is 1; None for "none".

    Args:
        labels: (N,) int64 of train.
        classes: P.
        scheme: none, balanced or sqrt.

    balanced: inverse to the class's share of the frames; sqrt: the square root of that.
    A class without frames gets 0: it never occurs.
    """
    if scheme == "none":
        return None
    counts = torch.bincount(labels, minlength=classes)
    power = -1.0 if scheme == "balanced" else -0.5
    weights = torch.where(counts > 0, counts.clamp(min=1).double() ** power, 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).float()


def make_optimizer(network: nn.Module, train: Train) -> torch.optim.Optimizer:
    """Return the optimizer that `train` names; its rate is a tensor, so that a graph reads it."""
    weights = list(network.parameters())
    rate = torch.tensor(train.lr, device=weights[0].device)
    decay = train.weight_decay
    if train.optimizer == "sgd":
        return torch.optim.SGD(weights, rate, train.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.AdamW
    return kind(weights, rate, weight_decay=decay, fused=True, capturable=weights[0].is_cuda)


class Training:
    """One run: the network, its optimizer and all that a step reads, on one device."""

    def __init__(
        self,
        network: nn.Module,
        train: Split,
        dev: Split,
        params: Train,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        """Prepare to update `network` in place; dropout draws from torch's random state.

        Raises:
            InputError: batch normalization would see a single frame.
        """
        device = train.windows.device
        count = len(train.starts)
        self.network, self.train, self.dev, self.params = network, train, dev, params
        self.device, self.dtype = device, dtype
        self.weights = None if weights is None else weights.to(device)
        self.optimizer = make_optimizer(network, params)
        self.batch = min(params.batch_size, count)
        self.steps = math.ceil(count / self.batch)
        if params.normalization == "batch" and self.batch < 2:
            raise InputError(
                "train has one frame and batch normalization needs two; "
                "set train.normalization to layer or none"
            )
        self._generator = torch.Generator(device).manual_seed(params.seed)
        self._order = torch.arange(self.steps * self.batch, device=device) % count
        self._lane = torch.arange(self.batch, device=device)
        self._cursor = torch.zeros(1, dtype=torch.int64, device=device)  # step of the epoch
        self._rates = torch.zeros(self.steps, device=device)
        exact = torch.float32 if device.type == "mps" else torch.float64
        self._totals = torch.zeros(2, dtype=exact, device=device)  # loss, correct frames
        self._step: Callable[[], None] = self._update

    def rehearse(self) -> Rehearsal:
        """Measure a few steps, record the graph on a GPU, and put everything back as it was."""
        before = {name: value.clone() for name, value in self.network.state_dict().items()}
        needed: dict[int, int] = {}  # bytes of each storage that backward needs

        def remember(tensor: Tensor) -> Tensor:
            needed[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        self.network.train()
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
                self._try(1)
            if self.device.type == "cuda":
                self._record()
            started = time.perf_counter()
            self._try(REHEARSAL_STEPS)
            seconds = (time.perf_counter() - started) / REHEARSAL_STEPS
        weights = list(self.network.parameters())
        for weight in weights:
            needed.pop(weight.untyped_storage().data_ptr(), None)
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        for value in state:  # a new optimizer's step count, moments and velocity are all zero
            value.zero_()
        self.network.load_state_dict(before)
        return Rehearsal(
            sum(weight.numel() for weight in weights),
            2 * _bytes(*weights) + _bytes(*state) + sum(needed.values()),
            sum(
                _bytes(split.windows, split.starts, split.labels)
                for split in (self.train, self.dev)
            ),
            seconds * self.steps,
        )

    def epochs(self, progress: bool) -> Iterator[Epoch]:
        """Train; yield after each epoch, while the network holds that epoch's weights.

        Raises:
            InputError: the loss is no longer a finite number.
        """
        params, count = self.params, len(self.train.starts)
        dev_losses: list[float] = []
        dev_accuracies: list[float] = []
        with tqdm(
            total=params.epochs * self.steps * self.batch,
            unit=" frames",
            unit_scale=True,
            mininterval=BAR_SECONDS,
            disable=not progress,
        ) as bar:
            for epoch in range(params.epochs):
                started = time.perf_counter()
                order = torch.randperm(count, generator=self._generator, device=self.device)
                self._order[:count] = order
                self._order[count:] = order[: len(self._order) - count]
                times = [epoch + (step + 0.5) / self.steps for step in range(self.steps)]
                rates = [params.lr * rate_factor(params, now, dev_losses) for now in times]
                self._rates.copy_(torch.tensor(rates))
                bar.set_description(f"epoch {epoch + 1}/{params.epochs}")
                train_loss, train_accuracy = self._epoch(bar)
                trained = time.perf_counter()
                if not math.isfinite(train_loss):
                    raise InputError(
                        f"training diverged in epoch {epoch + 1}: the loss is {train_loss}; "
                        "lower train.lr, warm up longer, or set train.clip_norm to 1"
                    )
                outcomes = classify(self.network, self.dev, max(self.batch, 4096), self.dtype)
                dev_losses.append(outcomes.loss.mean().item())
                assert self.dev.labels is not None
                right = (outcomes.predicted == self.dev.labels).sum().item()
                dev_accuracies.append(right / len(self.dev.starts))
                row = Epoch(
                    epoch + 1,
                    train_loss,
                    dev_losses[-1],
                    train_accuracy,
                    dev_accuracies[-1],
                    rates[-1],
                    round(len(self._order) / (trained - started), 1),
                    round(time.perf_counter() - started, 3),
                )
                bar.write(
                    f"epoch {row.epoch}: loss {row.train_loss:.4f} train, {row.dev_loss:.4f} dev; "
                    f"accuracy {row.train_accuracy:.4f} train, {row.dev_accuracy:.4f} dev; "
                    f"{row.frames_per_second:,.0f} frames/s"
                )
                yield row
                best = dev_accuracies.index(max(dev_accuracies))
                if 0 < params.early_stopping <= epoch - best:
                    return

    def _epoch(self, bar: tqdm) -> tuple[float, float]:
        """Take every step of an epoch; return its mean loss and accuracy."""
        self._cursor.zero_()
        self._totals.zero_()
        self.network.train()
        looked, done = time.perf_counter(), 0
        for step in range(1, self.steps + 1):
            self._step()
            if step == self.steps or time.perf_counter() - looked > BAR_SECONDS:
                loss, accuracy = (self._totals / (step * self.batch)).tolist()
                bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
                bar.update((step - done) * self.batch)
                looked, done = time.perf_counter(), step
        return loss, accuracy

    def _update(self) -> None:
        """Update the network with the batch under the cursor, without asking the host anything."""
        assert self.train.labels is not None
        frames = self._order[self._cursor * self.batch + self._lane]  # (B,)
        labels = self.train.labels[frames]
        windows = self.train.windows[self.train.starts[frames]]  # (B, W C)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.network(windows).float()  # (B, P)
        loss = F.cross_entropy(
            logits, labels, self.weights, label_smoothing=self.params.label_smoothing
        )
        loss.backward()
        if self.params.clip_norm > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"].copy_(self._rates[self._cursor][0])
        self.optimizer.step()
        correct = (logits.detach().argmax(1) == labels).sum()
        self._totals += torch.stack([loss.detach() * self.batch, correct])
        self._cursor += 1

    def _try(self, steps: int) -> None:
        """Take the first step of an epoch a few times, and wait for it."""
        for _ in range(steps):
            self._cursor.zero_()
            self._step()
        self._totals.tolist()

    def _record(self) -> None:
        """Make the step one CUDA graph."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # as torch asks: a few steps beside the default stream
            self._try(2)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._update()
        self._step = graph.replay


def _bytes(*tensors: Tensor | None) -> int:
    """Return the memory behind the tensors; a view counts as what it looks at."""
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors if tensor is not None)
