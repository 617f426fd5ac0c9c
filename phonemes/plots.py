"""What the plots show: tables of counts per phoneme, and the confusion matrix as a picture.

`counts` is everywhere a (P, P) int64 confusion matrix: counts[a, p] is the number of
frames of phoneme a that were labelled p. Tables hold counts, never frames, so their
size depends on P alone. Axes run in phonetic order, which puts phonemes that are easily
confused side by side: mistakes gather near the diagonal.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

PHONETIC_GROUPS = (  # ARPAbet without stress, and what TIMIT adds, in capitals
    "IY IH IX EY EH AE",  # front vowels, from close to open
    "AX AX-H AH ER AXR UX",  # central vowels
    "UW UH OW AO AA",  # back vowels, from close to open
    "AY AW OY",  # diphthongs that cross the vowel space
    "P B T D DX K G",  # stops, lips to velum
    "CH JH",  # affricates
    "F V TH DH S Z SH ZH HH HV",  # fricatives, lips to glottis
    "M EM N EN NX NG ENG",  # nasals
    "L EL R",  # liquids
    "W Y",  # glides
    "Q PCL BCL TCL DCL KCL GCL EPI PAU H# SIL SPN",  # closures, silence and noise
)
PLACES = {
    name: (group, place)
    for group, names in enumerate(PHONETIC_GROUPS)
    for place, name in enumerate(names.split())
}
UNKNOWN = (len(PHONETIC_GROUPS), 0)

COLOURS = "magma_r"
DECIMALS = 6  # of shares and scores in tables: one frame in a million
FEW = 100  # classes that still get the larger cells and type


def _place(phoneme: str) -> tuple[int, int]:
    """Return the phonetic group of a phoneme, whatever its stress, and its place in the group."""
    name = phoneme.upper()
    return PLACES.get(name, PLACES.get(name.rstrip("012"), UNKNOWN))


def phonetic_order(phonemes: Sequence[str]) -> NDArray[np.int64]:
    """Return the labels, (P,), in the order in which axes show them.

    Vowels come first, by quality and then stress, then stops, affricates, fricatives,
    nasals, liquids, glides, silence and noise. Unknown names follow in their own order.
    """

    def key(label: int) -> tuple[tuple[int, int], str]:
        place = _place(phonemes[label])
        return place, "" if place == UNKNOWN else phonemes[label]

    return np.array(sorted(range(len(phonemes)), key=key), dtype=np.int64)


def shares_of_actual(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `counts` as shares of their row, (P, P) in [0, 1]; 0 where a phoneme has no frames."""
    frames = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(frames, 1)


def confusion_table(counts: NDArray[np.int64], phonemes: Sequence[str]) -> pd.DataFrame:
    """Return every pair of phonemes that occurs, and each phoneme with itself, in phonetic order.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.

    Returns:
        Columns actual, predicted (names), actual_order, predicted_order (places on the
        axes, 0 to P - 1), count (frames) and share (of the actual phoneme's frames).
        At least P rows and at most P * P.
    """
    order = phonetic_order(phonemes)
    names = np.array(phonemes, dtype=object)[order]
    counts = counts[np.ix_(order, order)]
    rows, columns = np.nonzero((counts > 0) | np.eye(len(counts), dtype=bool))
    return pd.DataFrame(
        {
            "actual": names[rows],
            "predicted": names[columns],
            "actual_order": rows,
            "predicted_order": columns,
            "count": counts[rows, columns],
            "share": shares_of_actual(counts)[rows, columns].round(DECIMALS),
        }
    )


def phoneme_table(
    phonemes: Sequence[str],
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
    f1: NDArray[np.float64],
    support: NDArray[np.int64],
) -> pd.DataFrame:
    """Return the scores of each phoneme, each argument (P,), in the order of the labels.

    Returns:
        Columns phoneme, precision, recall, f1 (0 to 1; NaN where undefined, an empty
        field in CSV, which the plot shows as 0) and support (frames). P rows.
    """
    return pd.DataFrame(
        {
            "phoneme": list(phonemes),
            "precision": np.round(precision, DECIMALS),
            "recall": np.round(recall, DECIMALS),
            "f1": np.round(f1, DECIMALS),
            "support": support,
        }
    )


def confused_pairs_table(
    counts: NDArray[np.int64], phonemes: Sequence[str], pairs: int
) -> pd.DataFrame:
    """Return the `pairs` most frequent mistakes, the most frequent first.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.
        pairs: most rows wanted; there are fewer where fewer kinds of mistakes were made.

    Returns:
        Columns pair ("actual → predicted"), actual, predicted, count (frames) and share
        (of the actual phoneme's frames).
    """
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    most = np.argsort(-mistakes, axis=None, kind="stable")[:pairs]  # stable: ties by label
    rows, columns = np.unravel_index(most[mistakes.flat[most] > 0], counts.shape)
    names = np.array(phonemes, dtype=object)
    return pd.DataFrame(
        {
            "pair": names[rows] + " → " + names[columns],
            "actual": names[rows],
            "predicted": names[columns],
            "count": counts[rows, columns],
            "share": shares_of_actual(counts)[rows, columns].round(DECIMALS),
        }
    )


def confusion_figure(counts: NDArray[np.int64], phonemes: Sequence[str], title: str) -> Figure:
    """Draw the shares of each actual phoneme's frames, with every phoneme named.

    The colour follows the square root of the share, so that a mistake made once in a
    hundred frames still shows. Rows of phonemes without frames are empty and their
    names grey; lines part the phonetic groups.

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

    groups = np.array([_place(name)[0] for name in names])
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
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure at any time."""
    figure.savefig(path, format="png", metadata={"Software": None})
