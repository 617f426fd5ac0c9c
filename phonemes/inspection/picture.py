"""Draw an utterance: its frames, and below them its phonemes, aligned, in rows of a few seconds.

The picture is the project's: a user's matplotlibrc, styles and fonts do not reach it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.ticker import MultipleLocator

from phonemes.features.log_mel import FeatureParams, band_corners
from phonemes.inspection.labels import Runs, runs
from phonemes.inventory import phonetic_place
from phonemes.pictures import FONT, STYLE, hertz_ticks
from phonemes.storage.layout import Frames, Labels

ROW = 5.0  # seconds
MOST_ROWS = 12  # a minute; longer utterances are cut
SECOND = 2.6  # inches; 30 ms are as wide as a line of small type
NARROWEST_ROW = 3.0  # inches
TICK = 0.5  # seconds
HEIGHT, STRIP = 1.7, 0.32  # inches of frames and of phonemes
LEFT, RIGHT, TOP, BOTTOM, GAP = 0.75, 0.9, 0.45, 0.5, 0.45  # inches around and between rows
SMALL, LETTER = 6.5, 5.0  # points of the type of phonemes, and of one of their letters
NARROWEST = 4.5  # points of a run that is named
LIMITS = (1, 99.5)  # percentiles of the levels at the ends of the colour scale
COLOURS = "magma"
COLOURS_OF_GROUPS = (  # vowels, diphthongs; stops, affricates; fricatives; voiced; silence; unknown
    *("#fdd9b5", "#fde8a8", "#f9c9a0", "#fbd0c9"),
    *("#c5d8f0", "#b7c6ea", "#cfe6d3", "#dccbe8", "#e6d8f0", "#efe3f5"),
    *("#e9e9e9", "#ffffff"),
)


class Row(NamedTuple):
    """A part of an utterance and where it is drawn."""

    start: int  # frames
    stop: int
    image: Axes  # of the frames
    strip: Axes  # of the phonemes, below it


@matplotlib.rc_context(STYLE)
def utterance_figure(
    frames: Frames,
    labels: Labels | None,
    phonemes: Sequence[str],
    stride: float,
    features: FeatureParams | None,
    title: str,
) -> Figure:
    """Draw the frames of an utterance with its phonemes; of a long one the first minute.

    Args:
        frames: (T, C) log-mel, or others.
        labels: (T,); None draws frames alone.
        phonemes: P names.
        stride: ms from one frame to the next.
        features: of the frames, for frequencies; None numbers the coefficients.
        title: which utterance it is.
    """
    seconds = stride / 1000
    shown = frames[: round(MOST_ROWS * ROW / seconds)]
    figure, rows = _figure(len(shown), seconds)
    low, high = np.percentile(shown, LIMITS)
    limits = low, max(high, low + 1e-6)  # of constant frames
    for row in rows:
        drawn = _draw_frames(row, shown, seconds, limits)
        _name_bands(row.image, features)
        if labels is not None:
            _draw_phonemes(row, runs(labels[: len(shown)]), phonemes, seconds)
    _draw_scale(figure, drawn, rows[0].image, "value" if features is None else "log power")
    rows[-1].strip.set_xlabel("s", fontsize=9)
    cut = f", the first {len(shown) * seconds:.0f} s" if len(shown) < len(frames) else ""
    width, height = figure.get_size_inches()
    figure.text(LEFT / width, 1 - 0.28 / height, title + cut, fontsize=11)
    for text in figure.findobj(Text):
        text.set_fontproperties(FontProperties(fname=FONT, size=text.get_fontsize()))
    return figure


def _figure(count: int, seconds: float) -> tuple[Figure, list[Row]]:
    """Return an empty figure with rows of equal length for `count` frames, each of some seconds."""
    each = math.ceil(count / math.ceil(count * seconds / ROW))
    starts = range(0, count, each)
    width = LEFT + max(each * seconds * SECOND, NARROWEST_ROW) + RIGHT
    height = TOP + len(starts) * (HEIGHT + STRIP + GAP) - GAP + BOTTOM
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    rows = []
    for number, start in enumerate(starts):
        stop = min(start + each, count)
        bottom = height - TOP - number * (HEIGHT + STRIP + GAP) - HEIGHT - STRIP
        left, side = LEFT / width, (stop - start) * seconds * SECOND / width
        image = figure.add_axes((left, (bottom + STRIP) / height, side, HEIGHT / height))
        strip = figure.add_axes((left, bottom / height, side, STRIP / height))
        for axes in (image, strip):
            axes.set_xlim(start * seconds, stop * seconds)
        image.tick_params(labelsize=8, bottom=False, labelbottom=False)
        strip.tick_params(labelsize=8)
        strip.set_yticks([])
        strip.xaxis.set_major_locator(MultipleLocator(TICK))
        rows.append(Row(start, stop, image, strip))
    return figure, rows


def _draw_frames(
    row: Row, frames: Frames, seconds: float, limits: tuple[float, float]
) -> AxesImage:
    """Draw the frames of a row as colours between two levels, the first band at the bottom."""
    return row.image.imshow(
        frames[row.start : row.stop].T,
        cmap=COLOURS,
        vmin=limits[0],
        vmax=limits[1],
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(row.start * seconds, row.stop * seconds, -0.5, frames.shape[1] - 0.5),
    )


def _name_bands(axes: Axes, features: FeatureParams | None) -> None:
    """Name the axis of bands, with frequencies where they are known."""
    axes.set_ylabel("coefficient" if features is None else "Hz", fontsize=9)
    if features is not None:
        axes.set_yticks(*hertz_ticks(band_corners(features)[1:-1].tolist()))


def _draw_phonemes(row: Row, found: Runs, phonemes: Sequence[str], seconds: float) -> None:
    """Draw the runs of labels that reach into a row, and lines where they begin."""
    inside = (found.starts < row.stop) & (found.starts + found.lengths > row.start)
    for label, start, length in zip(*(values[inside] for values in found), strict=True):
        begin, end = max(start, row.start) * seconds, min(start + length, row.stop) * seconds
        name, points = phonemes[label], (end - begin) * SECOND * 72
        row.strip.axvspan(begin, end, facecolor=_colour(name), edgecolor="0.35", linewidth=0.4)
        if begin > row.start * seconds:
            row.image.axvline(begin, color="white", linewidth=0.5, alpha=0.5)
        if points >= NARROWEST:
            turned = points < len(name) * LETTER
            row.strip.text(
                (begin + end) / 2,
                0.5,
                name,
                fontsize=SMALL,
                rotation=90 if turned else 0,
                ha="center",
                va="center",
                clip_on=True,
            )


def _colour(phoneme: str) -> str:
    """Return the colour of a phoneme's phonetic group."""
    return COLOURS_OF_GROUPS[phonetic_place(phoneme)[0]]


def _draw_scale(figure: Figure, drawn: AxesImage, image: Axes, unit: str) -> None:
    """Draw the scale of colours to the right of the first row."""
    width, _ = figure.get_size_inches()
    box = image.get_position()
    place = (1 - (RIGHT - 0.15) / width, box.y0, 0.12 / width, box.height)
    bar = figure.colorbar(drawn, cax=figure.add_axes(place))
    bar.ax.tick_params(labelsize=8)
    bar.set_label(unit, fontsize=8)
