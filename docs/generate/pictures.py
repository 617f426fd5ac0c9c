"""The pictures of the documentation, each drawn from what the code computes or dvc.yaml says."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from docs.generate import speech, stages, training, windows
from phonemes.pictures import STYLE

FOLDER = Path(__file__).parents[1] / "pictures"
PICTURES: dict[str, Callable[[], Figure]] = {
    "frames": windows.frames,
    "windows": windows.context,
    "pooling": windows.pooling,
    "targets": windows.multi_frame_targets,
    "normalization": speech.normalization,
    "folds": training.stacked_folds,
    "smoothing": speech.smoothing,
    "step": training.fused_step,
    "streaming": training.streamed_blocks,
    "stages": stages.flow,
}
SVG = STYLE | {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "phonemes",  # the same names in each run
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(name: str, path: Path) -> None:
    """Write a picture as SVG, the same bytes for the same versions of what it is made with."""
    with matplotlib.rc_context(SVG):
        figure = PICTURES[name]()
        FigureCanvasSVG(figure)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def write(folder: Path = FOLDER) -> None:
    """Write all pictures."""
    folder.mkdir(exist_ok=True)
    for name in PICTURES:
        draw(name, folder / f"{name}.svg")
