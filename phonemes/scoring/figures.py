"""The confusion matrix as a picture.

Axes run in phonetic order, which puts phonemes that are easily confused next to each
other: mistakes gather near the diagonal. The picture is the project's: a user's
matplotlibrc, styles and fonts do not reach it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

os.environ["MPLBACKEND"] = "agg"  # matplotlib refuses a notebook's when it is imported elsewhere
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from phonemes.inventory import phonetic_order, phonetic_place
from phonemes.scoring.tables import shares_of_actual

COLOURS = "magma_r"
FEW = 100  # classes that still get the larger cells and type
FONT = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")  # comes with matplotlib
STYLE = dict(matplotlib.rcParamsDefault) | {"text.parse_math": False}  # a phoneme may hold $


@matplotlib.rc_context(STYLE)
def confusion_figure(counts: NDArray[np.int64], phonemes: Sequence[str], title: str) -> Figure:
    """Draw the shares of each actual phoneme's frames, with every phoneme named.

    The colour follows the square root of the share, so that a mistake made once in a
    hundred frames still shows. Rows of phonemes without frames are empty and their
    names grey; lines separate the phonetic groups.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.
        title: what was scored, above the matrix.
    """
    order = phonetic_order(phonemes)
    names = [phonemes[label] for label in order]
    counts = counts[np.ix_(order, order)]
    cell, type_size = (0.145, 7.5) if len(names) <= FEW else (0.1, 5)  # inches, points

    side = max(len(names) * cell, 3.0)  # inches
    left, right, bottom, top = 0.9, 1.4, 0.8, 0.9  # inches of names, titles and colour scale
    width, height = left + side + right, bottom + side + top
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    image = axes.imshow(
        shares_of_actual(counts), cmap=COLOURS, norm=PowerNorm(0.5, 0, 1), interpolation="nearest"
    )

    places = np.arange(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=type_size)
    axes.set_yticks(places, names, fontsize=type_size)
    axes.tick_params(length=2, pad=2, labeltop=True, top=True, labelright=True, right=True)
    for tick, frames in zip(axes.yaxis.get_major_ticks(), counts.sum(axis=1), strict=True):
        if frames == 0:
            tick.label1.set_color("0.6")
            tick.label2.set_color("0.6")

    groups = np.array([phonetic_place(name)[0] for name in names])
    for edge in np.flatnonzero(np.diff(groups)) + 0.5:
        axes.axhline(edge, color="0.55", linewidth=0.5)
        axes.axvline(edge, color="0.55", linewidth=0.5)

    axes.set_title(title, fontsize=13, pad=8)
    axes.set_xlabel("predicted", fontsize=11)
    axes.set_ylabel("actual", fontsize=11)

    scale_side = min(side, 4.0)
    scale = figure.add_axes(
        (1 - 0.85 / width, (bottom + side - scale_side) / height, 0.15 / width, scale_side / height)
    )
    bar = figure.colorbar(image, cax=scale, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.ax.tick_params(labelsize=8)
    bar.set_label("share of actual", fontsize=9)
    for text in figure.findobj(Text):
        text.set_fontproperties(FontProperties(fname=FONT, size=text.get_fontsize()))
    return figure


@matplotlib.rc_context(STYLE)
def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure at any time."""
    figure.savefig(path, format="png", metadata={"Software": None})
