"""Line charts: places of lines, marks and ticks, which `report_parts.html` draws.

They are drawn by the page itself and not by matplotlib, so that their text and colours are the
page's, in light and dark, and every mark tells its values.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 340, 210  # units of a drawing; about pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 36  # between its edges and the axes
MOST_MARKS = 40  # of a line; more would touch


class Line(NamedTuple):
    """Some points and what they are."""

    name: str
    look: str  # class in report.css: accent, second or even
    x: Sequence[float]
    y: Sequence[float]
    sizes: Sequence[float] | None = None  # share of the largest mark's area; None: all small
    tips: Sequence[str] = ()  # what marks say; none without marks


class Mark(NamedTuple):
    """A point of a line, in units of the drawing."""

    x: float
    y: float
    radius: float
    tip: str


class DrawnLine(NamedTuple):
    """A line in units of the drawing."""

    name: str
    look: str
    points: str  # as SVG has them
    marks: tuple[Mark, ...]


class Tick(NamedTuple):
    """A tick of an axis."""

    place: float  # units of the drawing
    text: str


class Chart(NamedTuple):
    """A line chart, ready to be drawn."""

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[DrawnLine, ...]
    summary: str  # for those who do not see it
    note: str  # below it; "" for none


def chart(
    title: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    summary: str,
    note: str = "",
    limits: tuple[float, float] | None = None,
    whole: bool = True,
) -> Chart:
    """Lay out a line chart.

    Args:
        title: above it.
        lines: at least one, each of one point or more; points that are not finite are left out.
        x_label: of the axis, with its unit.
        y_label: of the axis, with its unit.
        summary: what it shows, for screen readers.
        note: below it.
        limits: of both axes; None: those of the points.
        whole: ticks of x are whole numbers.
    """
    points = [_finite(line) for line in lines]
    x_place, x_ticks = _axis(
        np.concatenate([x for x, _, _ in points]), limits, LEFT, WIDTH - RIGHT, whole
    )
    y_place, y_ticks = _axis(
        np.concatenate([y for _, y, _ in points]), limits, HEIGHT - BOTTOM, TOP, False
    )
    drawn = []
    for line, (x, y, kept) in zip(lines, points, strict=True):
        places = [*zip(x_place(x).round(1).tolist(), y_place(y).round(1).tolist(), strict=True)]
        sizes = np.full(len(x), 0.2) if line.sizes is None else np.asarray(line.sizes)[kept]
        marks: tuple[Mark, ...] = ()
        if line.tips and len(x) <= MOST_MARKS:
            tips = np.asarray(line.tips)[kept]
            radii = (7 * np.sqrt(sizes)).clip(1.5).round(1)
            marks = tuple(
                Mark(*place, float(radius), str(tip))
                for place, radius, tip in zip(places, radii, tips, strict=True)
            )
        points_text = " ".join(f"{x:g},{y:g}" for x, y in places)
        drawn.append(DrawnLine(line.name, line.look, points_text, marks))
    return Chart(title, x_label, y_label, x_ticks, y_ticks, tuple(drawn), summary, note)


def _finite(line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the finite points of a line, x and y, and which of all they are."""
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    kept = np.isfinite(x) & np.isfinite(y)
    return x[kept], y[kept], kept


def _axis(
    values: np.ndarray, limits: tuple[float, float] | None, start: float, end: float, whole: bool
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[Tick, ...]]:
    """Return where values lie between `start` and `end`, and ticks."""
    low, high = limits or (float(values.min()), float(values.max()))
    ticks = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)
    if limits is None and not whole:  # an axis ends with a tick
        low, high = float(ticks[0]), float(ticks[-1])
    span = high - low or 1.0

    def place(points: np.ndarray) -> np.ndarray:
        return start + (points - low) / span * (end - start)

    shown = [float(tick) for tick in ticks if low - span * 1e-6 <= tick <= high + span * 1e-6]
    return place, tuple(Tick(round(float(place(np.array(t))), 1), f"{t:.6g}") for t in shown)
