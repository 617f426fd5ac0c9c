"""The loop over a training's epochs: order, steps, score on dev, keep the best.

An epoch asks the host for nothing but the next step: all else lies on the device (`run.py`).
"""

import math
import sys
import time
from collections.abc import Iterator
from statistics import mean

import torch
from tqdm import tqdm

from phonemes.errors import InputError
from phonemes.inference.classify import classify
from phonemes.training.run import Epoch, Run, begin
from phonemes.training.schedule import rate_factor

BAR = "{l_bar}{bar}| {elapsed}<{remaining}, {rate_fmt}{postfix}"  # fits 80 columns
# seconds between two looks at the running totals, each of which waits for the device
BAR_SECONDS = 0.5 if sys.stderr is not None and sys.stderr.isatty() else 10.0


class DivergedError(InputError):
    """The loss is no longer a finite number."""


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
        while not finished(run):
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
    _average_statistics(run)
    scores = classify(run.classifier, run.dev, run.dtype)
    assert run.dev.labels is not None
    right, count = (scores.predicted == run.dev.labels).sum().item(), len(run.dev.starts)
    own = [scores.loss.mean().item() * count, right, count]
    loss, right, count = run.group.gather(torch.tensor(own, dtype=torch.float64)).sum(0).tolist()
    if not math.isfinite(loss):  # the last step's update shows here alone
        raise _diverged(run, run.steps, loss)
    return loss / count, right / count


def _average_statistics(run: Run) -> None:
    """Give the running statistics their mean over all processes.

    In host memory: they are few, and NCCL, which two GPUs then do not need, takes half a second to
    start.
    """
    state = run.classifier.network.state_dict()
    values = [value for name, value in state.items() if "running_" in name]  # (H,) each
    if run.group.world.size > 1 and values:
        flat = torch.cat(values).cpu()
        run.group.average([flat])
        for value, mean_of_all in zip(values, flat.split([*map(len, values)]), strict=True):
            value.copy_(mean_of_all)


def _keep(run: Run, epoch: Epoch) -> None:
    """Add an epoch to the history, and keep its weights if it is the best."""
    run.history.append(epoch)
    if run.best is None or epoch.dev_accuracy > run.best.dev_accuracy:
        run.best = epoch
        state = run.classifier.network.state_dict()
        run.best_state = {name: value.clone() for name, value in state.items()}


def _diverged(run: Run, step: int, loss: float) -> DivergedError:
    return DivergedError(
        f"training diverged in epoch {len(run.history) + 1}, step {step} of {run.steps}: "
        f"the loss is {loss}; lower train.lr, raise train.warmup_epochs, or set "
        "train.clip_norm to 1"
    )


def finished(run: Run) -> bool:
    """Return whether all epochs are trained, or dev accuracy has not risen for too many."""
    patience, done = run.train.early_stopping_patience, len(run.history)
    return done >= run.train.epochs or bool(
        patience and run.best and done - run.best.epoch >= patience
    )
