"""Parallel coordinates of a search: each trial a line through the values of its parameters."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes as ChartAxes

from phonemes.pages.report.charts import COLOURS, drawing

MOST_AXES = 12  # parameters that are drawn side by side, the most important
AXIS = 66  # points from one to the next
SIDES = (46, 46, 22, 46)  # margins of parallel coordinates, in points
BEST_SHARE = 0.1  # of the trials, drawn in another colour


class Axis(NamedTuple):
    """One parameter of the parallel coordinates."""

    name: str
    ticks: list[tuple[float, str]]  # place in [0, 1], and what is there
    places: list[float]  # of each trial, NaN where it has no value


def parallel_coordinates(
    trials: Sequence[Mapping[str, Any]],
    accuracies: Sequence[float],
    importances: Sequence[str],
    logarithmic: Collection[str],
) -> Markup | None:
    """Return a line for each trial through its values and its accuracy, the best ones in colour.

    None where all have the same values.

    Args:
        trials: their values, by names in full; the best are last, and drawn over the others.
        accuracies: of each trial.
        importances: names of parameters, the most important first.
        logarithmic: names of those that were drawn on a scale of logarithms.
    """
    axes = _axes(trials, importances, logarithmic)
    if not axes:
        return None
    axes.append(axis_of("accuracy", accuracies))
    best = max(1, round(BEST_SHARE * len(trials)))
    width = SIDES[0] + SIDES[1] + AXIS * (len(axes) - 1)
    summary = (
        f"Parallel coordinates of {len(trials)} complete trials over {len(axes) - 1} parameters "
        f"and the accuracy; the best {best} in colour"
    )

    def draw(area: ChartAxes) -> list[tuple[str, str]]:
        _draw_lines(area, axes, best)
        _draw_axes(area, axes)
        return []

    return drawing("Parallel coordinates", summary, draw, (width, 260), SIDES)


def _axes(
    trials: Sequence[Mapping[str, Any]], importances: Sequence[str], logarithmic: Collection[str]
) -> list[Axis]:
    """Return an axis for each parameter in which trials differ, the most important first."""
    rows = [_numbers(values) for values in trials]
    # the parts of a list of widths, as model.hidden.blocks, are important on their own
    first = [name.rsplit(".", 1)[0] if name.count(".") > 1 else name for name in importances]
    names = dict.fromkeys(name for row in rows for name in row)
    wanted = sorted(names, key=lambda name: (*first, name.split(" ")[0]).index(name.split(" ")[0]))
    columns = {name: [row.get(name) for row in rows] for name in wanted}
    return [
        axis_of(name, column, name in logarithmic)
        for name, column in columns.items()
        if len({str(value) for value in column if value is not None}) > 1
    ][: MOST_AXES - 1]


def _draw_lines(area: ChartAxes, axes: Sequence[Axis], best: int) -> None:
    """Draw a line for each trial; the last ones are the best."""
    for colour, alpha, chosen in (
        ("muted", 0.35, slice(None, -best)),
        ("accent", 0.9, slice(-best, None)),
    ):
        y = np.array([axis.places[chosen] for axis in axes]).T  # (trials, axes)
        y = np.column_stack([y, np.full(len(y), np.nan)])  # a line ends where one is missing
        x = np.tile([*range(len(axes)), np.nan], (len(y), 1))
        area.plot(
            x.ravel(), y.ravel(), color=COLOURS[colour], alpha=alpha, linewidth=0.7, clip_on=False
        )


def _draw_axes(area: ChartAxes, axes: Sequence[Axis]) -> None:
    """Draw the axes, with their ticks and names."""
    for number, axis in enumerate(axes):
        area.axvline(number, color=COLOURS["line"], linewidth=1)
        for place, label in axis.ticks:
            area.text(number + 0.04, place, label, color=COLOURS["text"], fontsize=8)
    area.set(xlim=(0, len(axes) - 1), ylim=(0, 1), yticks=[])
    names = [axis.name.replace(".", ".\n").replace(" ", "\n") for axis in axes]
    area.set_xticks([*range(len(axes))], names, fontsize=8)
    area.tick_params(bottom=False, labelcolor=COLOURS["muted"])
    area.spines[:].set_visible(False)


def axis_of(name: str, column: Sequence[Any], logarithmic: bool = False) -> Axis:
    """Return a parameter's axis: numbers by size, perhaps on a scale of logarithms."""
    there = [value for value in column if value is not None]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
    if not numbers:
        words = sorted({shown(value) for value in there}, key=lambda word: (len(word), word))
        place = {word: (n + 0.5) / len(words) for n, word in enumerate(words)}
        ticks = [(at, word) for word, at in place.items()] if len(words) <= 8 else []
        return Axis(name, ticks, [math.nan if v is None else place[shown(v)] for v in column])
    low, high = min(there), max(there)
    log = logarithmic and low > 0
    scale = math.log if log else float
    span = scale(high) - scale(low) or 1.0
    places = [math.nan if v is None else (scale(v) - scale(low)) / span for v in column]
    middle = math.sqrt(low * high) if log else (low + high) / 2
    ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    if log or isinstance(low, float) or middle.is_integer():
        ticks.insert(1, (0.5, f"{middle:.3g}"))
    return Axis(name, ticks, places)


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of parameters with lists of widths as their number, first and last one."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, list):
            found |= {f"{name} blocks": len(value), f"{name} first": value[0]}
            found |= {f"{name} last": value[-1]}
        else:
            found[name] = value
    return found


def shown(value: Any) -> str:
    """Return a value as params.yaml has it, a list of equal widths in short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        equal = len(value) > 1 and len({*value}) == 1
        return f"{len(value)} x {value[0]}" if equal else "-".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
