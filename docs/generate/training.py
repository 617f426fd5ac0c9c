"""Pictures of the folds of stacking, of a training step and of frames that pass by the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from matplotlib.figure import Figure

from docs.generate.colours import BLUE, CYCLE, DARK, GREEN, GREY, LIGHT, ORANGE, PINK
from docs.generate.parameters import ROOT
from docs.generate.windows import bare, box
from phonemes.context import DataParams, window_starts
from phonemes.inference.windows import to_device
from phonemes.model.architecture import Architecture, build, initialize
from phonemes.params import load
from phonemes.storage.layout import HostSplit
from phonemes.training.optimizer import Optimizer
from phonemes.training.stacking import folds
from phonemes.training.streaming import StreamedBatches

CPU = torch.device("cpu")


def stacked_folds() -> Figure:
    """Draw which utterances each base network is trained on, and whose posteriors it gives."""
    speakers = [who for who, count in zip("ABCDEF", (4, 3, 2, 3, 4, 2), strict=True)
                for _ in range(count)]  # fmt: skip
    parts = folds(speakers, 3)
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    for utterance, who in enumerate(speakers):
        box(axes, (utterance, 0), (1, 0.8), GREY if "ABCDEF".index(who) % 2 else DARK, who)
    for network, left_out in enumerate(parts, 1):
        for utterance in range(len(speakers)):
            out = utterance in left_out
            box(axes, (utterance, -network), (1, 0.8), CYCLE[network - 1] if out else LIGHT,
                "P" if out else "")  # fmt: skip
    for utterance in range(len(speakers)):
        (fold,) = [number for number, part in enumerate(parts) if utterance in part]
        box(axes, (utterance, -len(parts) - 1.4), (1, 0.8), CYCLE[fold], "P")
    names = {
        0.4: "utterances, by speaker",
        **{0.4 - network: f"base network {network}" for network in range(1, len(parts) + 1)},
        -len(parts) - 1: "stacked networks",
    }
    for height, name in names.items():
        axes.text(-0.3, height, name, ha="right", va="center")
    bare(axes, (-5.5, len(speakers)), (-len(parts) - 1.6, 1))
    axes.set_title(
        f"stacking.folds: {len(parts)}; light: trained on; P: left out, and labelled: "
        "its posteriors train the stacked networks"
    )
    return figure


class Work(NamedTuple):
    """One thing that a training step launches."""

    what: str
    kind: str  # gather, product, kernel or optimizer
    aside: bool  # in parallel to what follows, on a stream of its own


def traced_step(blocks: int) -> list[Work]:
    """Return what a fused training step launches, in order, as its own code does it.

    Its kernels and products are replaced by notes of their names; nothing is computed.
    """
    from phonemes.training.fused import step  # needs Triton
    from phonemes.training.fused.norm import NormalizedBlock
    from phonemes.training.fused.optimizer import FlatParameters

    found: list[Work] = []
    aside = [False]

    def note(what: str, kind: str) -> Any:
        return lambda *_, **__: found.append(Work(what, kind, aside[-1]))

    def product(*_: torch.Tensor, out: torch.Tensor) -> None:
        back = any(work.what.startswith("loss") for work in found)
        weights = any(out is each for each in fused.flat.product_gradients)
        what = "gradient of its weights" if weights else "gradient of its inputs"
        note(f"layer: {what if back else 'product'}", "product")()

    def optimizer_of(_: object, begin: int, end: int) -> None:
        note(f"optimizer: {'other layers' if begin else 'first layer'}", "optimizer")()

    @contextmanager
    def in_parallel(_: object) -> Iterator[None]:
        aside.append(True)
        yield
        aside.pop()

    params = load(ROOT / "tests/params.yaml")
    model = replace(params.model, hidden=(8,) * blocks, norm="batch")
    classifier = build(Architecture.of(model, 3, 4, 5))
    initialize(classifier.network, model.initialization, torch.Generator())
    weights = Optimizer(classifier.network, params.train, torch.bfloat16)
    frames, starts = np.ones((8, 4), np.float32), window_starts(np.array([8]), 1, "zero")
    split = to_device(HostSplit(frames, starts, np.zeros(8, np.int64)), DataParams(1, "zero"), CPU,
                      torch.bfloat16)  # fmt: skip
    fused = step.FusedStep(classifier, weights, split, 4, params.augment, params.train)
    with (
        patch.object(step, "gather", note("cut and distort windows", "gather")),
        patch.object(NormalizedBlock, "forward", note("normalize, activate, drop", "kernel")),
        patch.object(step, "loss", note("loss and its gradient", "kernel")),
        patch.object(NormalizedBlock, "backward", note("back through the block", "kernel")),
        patch.object(FlatParameters, "update", optimizer_of),
        patch.object(torch, "mm", product),
        patch.object(step.FusedStep, "_in_parallel", in_parallel),
    ):
        fused.update(*torch.zeros(4, 1))
    return found


def fused_step() -> Figure:
    """Draw the two streams of a training step of a network of two blocks."""
    colours = {"gather": PINK, "product": BLUE, "kernel": ORANGE, "optimizer": GREEN}
    steps = traced_step(blocks=2)
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    row = 0
    for number, work in enumerate(steps):
        parallel = work.aside and number + 1 < len(steps) and not steps[number + 1].aside
        place = (5.3 if work.aside else 0, -row)
        box(axes, place, (5, 0.8), colours[work.kind], work.what)
        if work.aside:
            axes.annotate("", (5.3, 0.4 - row), (5.0, 0.9 - row),
                          arrowprops={"arrowstyle": "->", "color": DARK})  # fmt: skip
        row += not parallel
    axes.annotate("wait", (5.0, -row + 0.9), (6.2, -row + 0.3), va="center",
                  arrowprops={"arrowstyle": "->", "color": DARK})  # fmt: skip
    axes.text(0, 1.1, "stream of the step", weight="bold")
    axes.text(5.3, 1.1, "second stream, in parallel", weight="bold")
    bare(axes, (-0.2, 10.5), (-row - 0.2, 1.8))
    axes.set_title("a step with train.kernels: triton, from top to bottom")
    return figure


class Block(NamedTuple):
    """A block of frames that passes through the device."""

    copied: int  # step before which its copy begins
    begin: float  # step that first needs it
    end: float


def traced_blocks(frames: int, batch: int) -> list[Block]:
    """Return when each block of an epoch is copied and trained on, by the batches' own code."""
    lengths = np.full(frames // 64, 64)
    starts = window_starts(lengths, 1, "zero")
    host = HostSplit(np.zeros((frames, 2), np.float32), starts, np.zeros(frames, np.int64))
    batches = StreamedBatches(host, DataParams(1, "zero"), CPU, torch.float32, batch, 1,
                              block=frames // 4, piece=32, turns=1)  # fmt: skip
    steps = -(-frames // batch)
    copied: list[int] = []
    upload, now = batches._upload, [0]

    def noted() -> None:
        copied.append(now[0])
        upload()

    with patch.object(batches, "_upload", noted):
        batches.begin(0, torch.zeros(steps * batch, dtype=torch.int32))
        for now[0] in range(steps):
            batches.before(now[0])
    bounds = (batches.begins / batch).tolist()
    return [Block(*times) for times in zip(copied, bounds[:-1], bounds[1:], strict=True)]


def streamed_blocks() -> Figure:
    """Draw when blocks are copied to the device and trained on."""
    blocks = traced_blocks(4096, 64)
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    for number, block in enumerate(blocks):
        colour = CYCLE[number % 2]
        box(axes, (block.begin, 0), (block.end - block.begin, 0.8), colour, f"block {number}")
        axes.annotate(
            f"copy of {number} begins",
            (block.copied, 0.85),
            (block.copied, 1.3 if number else 1.8),
            ha="center" if number else "left",
            fontsize=8,
            arrowprops={"arrowstyle": "->", "color": DARK},
        )
    axes.set(xlim=(-0.5, blocks[-1].end + 0.5), ylim=(-0.1, 2.2), yticks=[], xlabel="training step")
    axes.spines["left"].set_visible(False)
    axes.set_title("train.batches: streamed; two places on the device, used in turn")
    return figure
