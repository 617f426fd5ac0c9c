"""How pictures are drawn and written: a user's matplotlibrc, styles and fonts do not reach them."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

FONT = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")  # comes with matplotlib
STYLE = dict(matplotlib.rcParamsDefault) | {"text.parse_math": False}  # a phoneme may hold $


@matplotlib.rc_context(STYLE)
def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure at any time."""
    figure.savefig(path, format="png", metadata={"Software": None})
