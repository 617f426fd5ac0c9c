"""The learning-rate range test: a few hundred steps, each at a higher rate than the one before.

Too low a rate learns nothing, too high a one diverges, and the loss over the rate shows
what lies between: Smith (2017), arXiv 1506.01186. Here the rate rises exponentially, and
the loss is smoothed by an exponential mean, corrected for its beginning at 0 as in Adam
(Kingma and Ba 2015, arXiv 1412.6980).

For some optimizers and schedules the rate of the fastest fall trains best, for others
that of the end of the fall: the suggestion is their middle on the log scale.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from phonemes.errors import InputError
from phonemes.training.run import Run, begin

MEMORY = 10  # steps that the smoothed loss looks back, about
SPAN = 10  # steps on each side between which a slope is taken
FALLEN = 0.9  # share of the fall of the smoothed loss
DIVERGED = 4  # times the lowest smoothed loss


class Point(NamedTuple):
    """One step of the test."""

    lr: float
    loss: float  # nats a frame, of the batch, before the step
    smoothed: float  # nats a frame


def rising(lowest: float, highest: float, steps: int) -> list[float]:
    """Return the learning rate of each step, by the same factor higher than the one before."""
    return np.geomspace(lowest, highest, steps).tolist()


def losses(run: Run, rates: Sequence[float]) -> Iterator[float]:
    """Take one step at each learning rate, without a schedule; yield each step's loss.

    The loss is that before the step, in nats a frame, finite or not. Where there are more
    rates than an epoch has steps, another order of the frames is drawn. The network is left
    where the steps took it; the history stays as it is.
    """
    for number, rate in enumerate(rates):
        epoch, step = divmod(number, run.steps)
        if step == 0:
            begin(run, epoch)
        run.batches.before(step)
        run.buffers.rates.fill_(rate)
        run.buffers.totals.zero_()
        run.step.update(*run.buffers)
        yield run.buffers.totals[0].item() / run.batch


def sweep(rates: Sequence[float], losses: Iterable[float]) -> list[Point]:
    """Return the points up to where the training diverges; later losses are not asked for.

    Diverged is a loss that is not finite, which is left out, or a smoothed one of more than
    `DIVERGED` times the lowest.
    """
    points: list[Point] = []
    mean, lowest = 0.0, math.inf
    for rate, loss in zip(rates, losses, strict=False):
        if not math.isfinite(loss):
            break
        mean += (loss - mean) / MEMORY
        smoothed = mean / (1 - (1 - 1 / MEMORY) ** (len(points) + 1))
        points.append(Point(rate, loss, smoothed))
        lowest = min(lowest, smoothed)
        if smoothed > DIVERGED * lowest:
            break
    return points


class Suggestion(NamedTuple):
    """A learning rate to try, and the rates that it is the geometric mean of."""

    lr: float
    fastest: float  # where the smoothed loss falls fastest over log rate
    fallen: float  # where `FALLEN` of its fall is done


def suggest(points: Sequence[Point]) -> Suggestion:
    """Return a learning rate to try, between the start and the lowest smoothed loss.

    The fall is not looked at in the first `MEMORY` points, each a mean of few losses.

    Raises:
        InputError: the loss does not fall.
    """
    smoothed = np.array([point.smoothed for point in points])
    decades = np.log10([point.lr for point in points])
    lowest = smoothed.argmin() if points else 0
    if lowest == 0:
        raise InputError(
            "the loss falls at no learning rate, so none can be suggested; look for labels that "
            "do not belong to the frames, or try another model.initialization or "
            "model.norm"
        )
    middle = np.arange(min(MEMORY, lowest), lowest + 1)
    before, after = middle - min(SPAN, middle[0]), np.minimum(middle + SPAN, lowest)
    slopes = (smoothed[after] - smoothed[before]) / (decades[after] - decades[before])
    enough = smoothed[0] - FALLEN * (smoothed[0] - smoothed[lowest])
    fastest = points[middle[slopes.argmin()]].lr
    fallen = points[(smoothed <= enough).argmax()].lr
    return Suggestion(math.sqrt(fastest * fallen), fastest, fallen)


def marks(points: Sequence[Point]) -> list[str]:
    """Return what the plot says at each point: the suggestion and its two ends, "" elsewhere.

    The suggested rate is marked at the point next to it. Nothing is marked where none can be
    suggested.
    """
    said = [""] * len(points)
    with suppress(InputError):
        suggested = suggest(points)
        rates = np.log([point.lr for point in points])
        for name, rate in zip(
            (f"{100 * FALLEN:.0f} % of the fall", "fastest fall", "suggested"),
            suggested[::-1],
            strict=True,
        ):
            said[int(np.abs(rates - math.log(rate)).argmin())] = f"{name}: {rate:.2g}"
    return said
