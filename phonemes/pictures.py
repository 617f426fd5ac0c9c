"""How pictures are drawn and written: a user's matplotlibrc, styles and fonts do not reach them."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

FONT = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")  # comes with matplotlib
STYLE = dict(matplotlib.rcParamsDefault) | {"text.parse_math": False}  # a phoneme may hold $
MOST_NAMES = 11  # that an axis has room for
HERTZ = np.array([125, 250, 500, 1000, 2000, 4000, 8000, 16000])  # that an axis names


def hertz_ticks(centres: Sequence[float]) -> tuple[NDArray[np.float64], list[str]]:
    """Return where an axis of bands names a frequency, in bands from the middle of the first.

    Of names that would touch the higher one stands.

    Args:
        centres: (C,) of the bands, Hz, rising.
    """
    known = HERTZ[(centres[0] <= HERTZ) & (centres[-1] >= HERTZ)]
    places = np.interp(known, centres, np.arange(len(centres)))
    shown: list[int] = []
    for number in range(len(known))[::-1]:
        if not shown or places[shown[0]] - places[number] >= len(centres) / MOST_NAMES:
            shown.insert(0, number)
    return places[shown], [f"{each:,}" for each in known[shown]]


@matplotlib.rc_context(STYLE)
def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure at any time."""
    figure.savefig(path, format="png", metadata={"Software": None})
