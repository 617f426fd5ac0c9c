"""The picture of the stages and of what passes between them, as dvc.yaml has it."""

from itertools import pairwise
from pathlib import PurePosixPath

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.generate.colours import BLUE, DARK, LIGHT
from docs.generate.parameters import ROOT
from docs.generate.windows import bare, box
from phonemes.schema import read_yaml_file

SHAPES = {  # of what stages write, by path
    "data/corpus/frames": "frames (N, C) float32",
    "data/corpus/lengths": "lengths (U,) int64",
    "data/corpus/utterances": "names, speakers: U rows",
    "data/corpus/labels": "labels (N,) int16",
    "data/normalized/train.npy": "frames (N, C) float32, or fewer bits",
    "data/normalized/statistics.npy": "statistics (2, C) float64",
    "data/context/train.npy": "starts (N,) int32 or int64",
    "models/model.safetensors": "the model",
}
SIZE = 1.7, 0.6  # of a box
STAGES = {  # lower left corner of each box
    "corpus": (2.3, 1.2),
    "normalize": (6.7, 2.4),
    "context": (6.7, 1.2),
    "train": (11.7, 1.2),
    "evaluate": (15.3, 2.1),
    "predict": (15.3, 0.3),
}
FILES = {
    "data/raw,\nor generated": (0, 1.2),
    "metrics/": (17.9, 2.1),
    "predictions.csv": (17.9, 0.3),
}
BETWEEN_STAGES = {  # corners of the arrow
    ("corpus", "normalize"): [(3.15, 1.8), (3.15, 2.7), (6.7, 2.7)],
    ("corpus", "context"): [(4, 1.5), (6.7, 1.5)],
    ("corpus", "train"): [(3.15, 1.2), (3.15, 0.3), (12.55, 0.3), (12.55, 1.2)],
    ("normalize", "train"): [(8.4, 2.7), (12.55, 2.7), (12.55, 1.8)],
    ("context", "train"): [(8.4, 1.5), (11.7, 1.5)],
    ("train", "evaluate"): [(13.4, 1.5), (13.9, 1.5), (13.9, 2.4), (15.3, 2.4)],
    ("train", "predict"): [(13.4, 1.5), (13.9, 1.5), (13.9, 0.6), (15.3, 0.6)],
}
TO_FILES = ([(1.7, 1.5), (2.3, 1.5)], [(17, 2.4), (17.9, 2.4)], [(17, 0.6), (17.9, 0.6)])


def passed(source: str, target: str) -> list[str]:
    """Return what a stage takes of another: shapes of the files that are known by one.

    Raises:
        ValueError: dvc.yaml has nothing that passes between them.
    """
    stages = read_yaml_file(ROOT / "dvc.yaml")["stages"]
    outs, deps = ([PurePosixPath(path) for path in stages[stage][kind] if isinstance(path, str)]
                  for stage, kind in ((source, "outs"), (target, "deps")))  # fmt: skip
    taken = [dep for dep in deps if any(dep.is_relative_to(out) for out in outs)]
    if not taken:
        raise ValueError(f"{target} takes nothing of {source}")
    return [
        shape
        for path, shape in SHAPES.items()
        if any(PurePosixPath(path).is_relative_to(dep) or dep.is_relative_to(path) for dep in taken)
    ]


def flow() -> Figure:
    """Draw the stages, and on the arrows between them what passes."""
    figure = Figure(figsize=(11, 2.7), layout="constrained")
    axes = figure.subplots()
    for stage, place in STAGES.items():
        box(axes, place, SIZE, BLUE, stage)
    for name, place in FILES.items():
        box(axes, place, SIZE, LIGHT, name)
    for corners in TO_FILES:
        _arrow(axes, corners)
    for (source, target), corners in BETWEEN_STAGES.items():
        _arrow(axes, corners)
        place = _beside(corners)
        axes.text(*place, "\n".join(passed(source, target)), va="bottom", fontsize=7.5, color=DARK)
    bare(axes, (-0.1, 19.7), (0.1, 3.5))
    return figure


def _beside(corners: list[tuple[float, float]]) -> tuple[float, float]:
    """Return where the text of an arrow begins: above its last level part, right of a stage."""
    level = [(a, y) for (a, y), (_, end) in pairwise(corners) if y == end]
    x, y = level[-1]
    return (4.15 if x == 3.15 else x + 0.15), y


def _arrow(axes: Axes, corners: list[tuple[float, float]]) -> None:
    """Draw an arrow through points."""
    xs, ys = zip(*corners, strict=True)
    axes.plot(xs, ys, color=DARK, linewidth=0.9)
    style = {"arrowstyle": "->", "color": DARK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", corners[-1], corners[-2], arrowprops=style)
