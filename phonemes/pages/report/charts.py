"""Line charts as SVG by matplotlib, in the colours of the page: they follow light and dark."""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phonemes.pictures import STYLE

WIDTH, HEIGHT = 340, 210  # points of a drawing; about pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 36  # between its edges and the axes
MOST_MARKS = 40  # of a line; more would touch
# colours that stand for those of theme.css until the drawing is written
COLOURS = {"accent": "#a00001", "text": "#a00002", "muted": "#a00003", "line": "#a00004"}
LOOKS: dict[str, dict[str, Any]] = {
    "accent": {"color": COLOURS["accent"], "linewidth": 1.75},
    "second": {"color": COLOURS["text"], "linewidth": 1.75, "linestyle": (0, (3, 2))},
    "even": {"color": COLOURS["muted"], "linewidth": 1.0},
}
_SVG = STYLE | {"svg.fonttype": "none", "font.size": 10}
_NOT_NEEDED = re.compile(  # ids of parts would be there twice, and a style is for the whole page
    r'<metadata>.*?</metadata>|<style.*?</style>| xmlns(:\w+)?="[^"]*"| id="[\w.]+_\d+"', re.DOTALL
)


class Line(NamedTuple):
    """Some points and what they are."""

    name: str
    look: str  # of LOOKS
    x: Sequence[float]
    y: Sequence[float]
    sizes: Sequence[float] | None = None  # share of the largest mark's area; None: all small
    tips: Sequence[str] = ()  # what marks say; none without marks


class Chart(NamedTuple):
    """A line chart, ready to be shown."""

    title: str
    legend: tuple[tuple[str, str], ...]  # name and look of each line
    svg: Markup
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
    """Draw a line chart.

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

    def draw(axes: Axes) -> list[tuple[str, str]]:
        tips = [tip for number, line in enumerate(lines) for tip in _draw(axes, number, line)]
        _lay_out(axes, limits, whole)
        axes.set_xlabel(x_label, color=COLOURS["muted"])
        axes.set_ylabel(y_label, color=COLOURS["muted"])
        return tips

    svg = drawing(title, summary, draw, (WIDTH, HEIGHT), (LEFT, RIGHT, TOP, BOTTOM))
    return Chart(title, tuple((line.name, line.look) for line in lines), svg, note)


def drawing(
    title: str,
    summary: str,
    draw: Callable[[Axes], Sequence[tuple[str, str]]],
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
) -> Markup:
    """Return a drawing for the page.

    Args:
        title: of the drawing; two on a page need different ones.
        summary: what it shows, for screen readers.
        draw: draws, in COLOURS; returns the id of each mark that says something, and what.
        size: width and height in points.
        margins: left, right, top and bottom of the axes, in points.
    """
    (width, height), (left, right, top, bottom) = size, margins
    with matplotlib.rc_context(_SVG | {"svg.hashsalt": title + summary}):  # of ids in the page
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        inner = 1 - (left + right) / width, 1 - (top + bottom) / height
        tips = draw(figure.add_axes((left / width, bottom / height, *inner)))
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_the_page(file.getvalue(), summary, tips)


def _draw(axes: Axes, number: int, line: Line) -> list[tuple[str, str]]:
    """Draw a line and its marks; return the id of each mark and what it says."""
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    axes.plot(x[kept], y[kept], clip_on=False, solid_joinstyle="round", **LOOKS[line.look])
    if not line.tips or len(kept) > MOST_MARKS:
        return []
    sizes = np.full(len(x), 0.2) if line.sizes is None else np.asarray(line.sizes)
    areas = (14 * np.sqrt(sizes)).clip(3) ** 2
    found = []
    for point in kept.tolist():
        name = f"tip-{number}-{point}"
        colour = LOOKS[line.look]["color"]
        axes.scatter(
            x[point], y[point], areas[point], colour, gid=name, clip_on=False, linewidths=0
        )
        found.append((name, str(line.tips[point])))
    return found


def _lay_out(axes: Axes, limits: tuple[float, float] | None, whole: bool) -> None:
    """Set limits and ticks; an axis of values that are not limited ends with a tick."""
    for axis, integer in ((axes.xaxis, whole), (axes.yaxis, False)):
        locator = MaxNLocator(5, integer=integer, steps=[1, 2, 5, 10])
        low, high = limits or tuple(axis.get_data_interval())
        ticks = locator.tick_values(low, high)
        ends = (low, high) if limits or integer else (ticks[0], ticks[-1])
        if ends[0] == ends[1]:
            ends = ends[0] - 0.5, ends[1] + 0.5
        shown = [tick for tick in ticks if ends[0] - 1e-9 <= tick <= ends[1] + 1e-9]
        axis.set_ticks(shown, _alike(shown))
        axis.set_view_interval(*ends, ignore=True)
    axes.tick_params(left=False, bottom=False, labelcolor=COLOURS["muted"])
    axes.grid(axis="y", color=COLOURS["line"], linewidth=1, clip_on=False)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _alike(ticks: Sequence[float]) -> list[str]:
    """Return ticks as texts, all with as many decimals as the one that needs most."""
    texts = [f"{tick:.6g}" for tick in ticks]
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{tick:.{decimals}f}" for tick in ticks]


def _for_the_page(svg: str, summary: str, tips: Sequence[tuple[str, str]]) -> Markup:
    """Return a drawing that stands in a page, in its colours, with a title for each mark."""
    text = _NOT_NEEDED.sub("", svg[svg.index("<svg") :])
    for name, tip in tips:
        text = text.replace(f'<g id="{name}">', f"<g><title>{escape(tip)}</title>", 1)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(summary)}"', 1))
