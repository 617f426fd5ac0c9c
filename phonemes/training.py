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
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from phonemes.augmentation import distort, draw
from phonemes.errors import InputError
from phonemes.inference import Split, classify, gather
from phonemes.loss import training_loss
from phonemes.optimizer import Optimizer
from phonemes.params import Train
from phonemes.schedule import rate_factor
from phonemes.streaming import Blocks

if TYPE_CHECKING:
    from phonemes.fused import FusedStep

REHEARSAL_STEPS = 3
# steps of a run from which on compiling the fused step, a few seconds once, is won back
FUSED_FROM = 5_000
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


class DivergedError(InputError):
    """The loss is no longer a finite number."""


class Rehearsal(NamedTuple):
    """What training will cost, measured before the first epoch."""

    parameters: int
    step_bytes: int  # weights, gradients, optimizer state and what backward needs
    resident_bytes: int  # frames, starts and labels of train and dev
    epoch_seconds: float  # of training, without dev


class Training:
    """One run: the network, its optimizer and all that a step reads, on one device."""

    def __init__(
        self,
        network: nn.Sequential,
        train: Split | Blocks,
        dev: Split,
        params: Train,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        """Prepare to update `network` in place; dropout draws from torch's random state.

        Raises:
            InputError: batch normalization would see a single frame.
        """
        self.blocks = train if isinstance(train, Blocks) else None
        self.train = train.split if isinstance(train, Blocks) else train
        self.network, self.dev, self.params = network, dev, params
        device = dev.windows.device
        count = train.count if isinstance(train, Blocks) else len(train.starts)
        self._count = count
        self.device, self.dtype = device, dtype
        self.weights = None if weights is None else weights.to(device)
        self.optimizer = Optimizer(network, params)
        self.batch = min(params.batch_size, count)
        self.steps = math.ceil(count / self.batch)
        if params.normalization == "batch" and self.batch < 2:
            raise InputError(
                "train has one frame and batch normalization needs two; "
                "set train.normalization to layer or none"
            )
        self._generator = torch.Generator(device).manual_seed(params.seed)
        self._order = torch.arange(self.steps * self.batch, device=device) % len(self.train.starts)
        self._lane = torch.arange(self.batch, device=device)
        self._cursor = torch.zeros(1, dtype=torch.int64, device=device)  # step of the epoch
        self._rates = torch.zeros(self.steps, device=device)
        exact = torch.float32 if device.type == "mps" else torch.float64
        # loss, correct frames and steps with a finite loss, in this epoch
        self._totals = torch.zeros(3, dtype=exact, device=device)
        self.fused = self._fuse()
        self._step: Callable[[], None] = self._update
        self._dev_batch = 65536 if device.type == "cuda" else 4096
        self.history: list[Epoch] = []
        self.best: Epoch | None = None  # the first with the highest dev accuracy
        self.best_state: dict[str, Tensor] = {}  # of what was scored after it, on the host

    def _fuse(self) -> "FusedStep | None":
        """Return a hand-written step where the network has one and it pays back."""
        params = self.params
        pays = params.fused == "always" or params.epochs * self.steps >= FUSED_FROM
        widest = max(self.train.windows.shape[1], *params.hidden)
        if (
            params.fused == "never"
            or not pays
            or self.weights is not None
            or self.dtype != torch.bfloat16
            or self.device.type != "cuda"
            or params.normalization != "batch"
            or params.normalize != "before"
            or self.batch * widest >= 2**31  # the kernels count in 32 bits
        ):
            return None
        try:
            from phonemes.fused import FusedStep  # needs Triton, which comes with torch for CUDA
        except ImportError:
            return None
        return FusedStep(self.network, self.optimizer, self.train, self.batch, params)

    def state(self) -> dict[str, Any]:
        """Return all that the epochs to come depend on."""
        cuda = self.device.type == "cuda"
        return {
            "network": self.network.state_dict(),
            "optimizer": [self.optimizer.state[weight] for weight in self.network.parameters()],
            "order": self._generator.get_state(),
            "random": torch.get_rng_state(),
            "device_random": torch.cuda.get_rng_state(self.device) if cuda else None,
            "history": [[*epoch] for epoch in self.history],
            "best_state": self.best_state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; torch's random state becomes what it was then."""
        self.network.load_state_dict(state["network"])
        for weight, values in zip(self.network.parameters(), state["optimizer"], strict=True):
            for name, value in values.items():
                self.optimizer.state[weight][name].copy_(value)  # which a recorded graph reads
        self._generator.set_state(state["order"])
        torch.set_rng_state(state["random"])
        if state["device_random"] is not None:
            torch.cuda.set_rng_state(state["device_random"], self.device)
        self.history = [Epoch(*values) for values in state["history"]]
        self.best = max(self.history, key=lambda epoch: epoch.dev_accuracy)
        self.best_state = state["best_state"]

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
        for value in state:
            value.zero_()
        self.network.load_state_dict(before)
        own = 2 * _bytes(*weights) + _bytes(*state) + sum(needed.values())
        return Rehearsal(
            sum(weight.numel() for weight in weights),
            self.fused.bytes() if self.fused else own,
            sum(
                _bytes(split.windows, split.starts, split.labels)
                for split in (self.train, self.dev)
            ),
            seconds * self.steps,
        )

    def epochs(self, progress: bool) -> Iterator[Epoch]:
        """Train on from the last epoch of the history; yield each new one when it is over.

        Raises:
            DivergedError: the loss is no longer a finite number; names the epoch and step.
        """
        params = self.params
        with tqdm(
            total=params.epochs * self.steps * self.batch,
            initial=len(self.history) * self.steps * self.batch,
            unit=" frames",
            unit_scale=True,
            mininterval=BAR_SECONDS,
            disable=not progress,
        ) as bar:
            while len(self.history) < params.epochs and not self._stopped_early():
                number = len(self.history) + 1
                bar.set_description(f"epoch {number}/{params.epochs}")
                started = time.perf_counter()
                rates = self._shuffle()
                train_loss, train_accuracy = self._epoch(bar)
                trained = time.perf_counter()
                outcomes = classify(
                    self.network, self.dev, max(self.batch, self._dev_batch), self.dtype
                )
                dev_loss = outcomes.loss.mean().item()
                if not math.isfinite(dev_loss):  # the last step's update shows here alone
                    raise self._diverged(self.steps, dev_loss)
                assert self.dev.labels is not None
                right = (outcomes.predicted == self.dev.labels).sum().item()
                epoch = Epoch(
                    number,
                    train_loss,
                    dev_loss,
                    train_accuracy,
                    right / len(self.dev.starts),
                    rates[-1],
                    round(len(self._order) / (trained - started), 1),
                    round(time.perf_counter() - started, 3),
                )
                self.history.append(epoch)
                if self.best is None or epoch.dev_accuracy > self.best.dev_accuracy:
                    self.best = epoch
                    self.best_state = _on_host(self.network)
                bar.write(
                    f"epoch {number}: loss {train_loss:.4f} train, {dev_loss:.4f} dev; "
                    f"accuracy {train_accuracy:.4f} train, {epoch.dev_accuracy:.4f} dev; "
                    f"{epoch.frames_per_second:,.0f} frames/s"
                )
                yield epoch

    def losses(self, rates: Sequence[float]) -> Iterator[float]:
        """Take one step at each learning rate, without a schedule; yield each step's loss.

        The loss is that before the step, in nats a frame, finite or not. Where there are
        more rates than an epoch has steps, another order of the frames is drawn. The network
        is left where the steps took it; the history stays as it is.
        """
        for number, rate in enumerate(rates):
            epoch, step = divmod(number, self.steps)
            if step == 0:
                self._begin(epoch)
            if self.blocks:
                self.blocks.before(step)
            self._rates.fill_(rate)
            self._totals.zero_()
            self._step()
            yield self._totals[0].item() / self.batch

    def _diverged(self, step: int, loss: float) -> DivergedError:
        return DivergedError(
            f"training diverged in epoch {len(self.history) + 1}, step {step} of {self.steps}: "
            f"the loss is {loss}; lower train.lr, raise train.warmup_epochs, or set "
            "train.clip_norm to 1"
        )

    def _stopped_early(self) -> bool:
        """Tell whether the dev accuracy has not risen for as long as early_stopping allows."""
        if not self.params.early_stopping or self.best is None:
            return False
        return len(self.history) - self.best.epoch >= self.params.early_stopping

    def _shuffle(self) -> list[float]:
        """Begin the next epoch and set the learning rate of each step, which is returned."""
        done = len(self.history)
        self._begin(done)
        losses = [epoch.dev_loss for epoch in self.history]
        times = [done + (step + 0.5) / self.steps for step in range(self.steps)]
        rates = [self.params.lr * rate_factor(self.params, now, losses) for now in times]
        self._rates.copy_(torch.tensor(rates))
        return rates

    def _begin(self, epoch: int) -> None:
        """Draw the order of an epoch's frames, from 0, and stand before its first step."""
        if self.blocks:
            self.blocks.begin(epoch, self._order, self._generator)
        else:
            count = self._count
            order = torch.randperm(count, generator=self._generator, device=self.device)
            self._order[:count] = order
            self._order[count:] = order[: len(self._order) - count]
        self._cursor.zero_()
        self._totals.zero_()
        self.network.train()
        if self.fused:
            self.fused.begin(epoch)

    def _epoch(self, bar: tqdm) -> tuple[float, float]:
        """Take every step of an epoch; return its mean loss and accuracy."""
        looked, done = time.perf_counter(), 0
        for step in range(1, self.steps + 1):
            if self.blocks:
                self.blocks.before(step - 1)
            self._step()
            if step == self.steps or time.perf_counter() - looked > BAR_SECONDS:
                loss, accuracy, _ = (self._totals / (step * self.batch)).tolist()
                if not math.isfinite(loss):
                    raise self._diverged(int(self._totals[2]) + 1, loss)
                bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
                bar.update((step - done) * self.batch)
                looked, done = time.perf_counter(), step
        return loss, accuracy

    def _update(self) -> None:
        """Update the network with the batch under the cursor, without asking the host anything."""
        if self.fused:
            self.fused.update(self._order, self._cursor, self._rates, self._totals)
            return
        assert self.train.labels is not None
        frames = self._order[self._cursor * self.batch + self._lane]  # (B,)
        labels = self.train.labels[frames].view(self.batch, -1).long()  # (B, L)
        windows = gather(self.train, frames)  # (B, W C)
        if self.params.augment.any():
            apart = windows.view(self.batch, -1, self.train.windows.stride(0))  # (B, W, C)
            drawn = draw(self.params.augment, apart)
            windows = distort(apart, self.params.augment, drawn).flatten(1)
        self.optimizer.clear()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.network(windows).float()
        logits = logits.view(self.batch, -1, logits.shape[-1])  # (B, D, P)
        loss = training_loss(logits, labels, self.params, self.weights)
        loss.backward()
        if self.params.clip_norm > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.clip_norm)
        self.optimizer.rate.copy_(self._rates[self._cursor][0])
        self.optimizer.step()
        n = self.params.neighbours
        correct = (logits[:, n].detach().argmax(1) == labels[:, n]).sum()
        loss = loss.detach()
        self._totals += torch.stack([loss * self.batch, correct, torch.isfinite(loss)])
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


def _on_host(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's state, on the host."""
    return {name: value.cpu().clone() for name, value in network.state_dict().items()}


def _bytes(*tensors: Tensor | None) -> int:
    """Return the memory behind the tensors; a view counts as what it looks at."""
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors if tensor is not None)
