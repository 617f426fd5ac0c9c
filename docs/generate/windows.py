"""Pictures of frames, windows, pooled context and multi-frame targets."""

from itertools import pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from docs.generate.colours import BLUE, CYCLE, DARK, DEEP, GREY, LIGHT, MAP, ORANGE
from docs.generate.speech import english, frames_of
from docs.generate.voices import RATE, phones_at, sentence
from phonemes.context import pad, window_starts
from phonemes.features.log_mel import label_times, samples_of
from phonemes.model.layers import ContextPooling, pool_sizes
from phonemes.training.targets import targets

K, FULL_RATE = 35, 8  # data.k and model.full_rate_context, as they are by default


def box(
    axes: Axes,
    place: tuple[float, float],
    size: tuple[float, float],
    colour: str,
    text: str = "",
) -> None:
    """Draw a filled box with its lower left corner at `place`, and a text in it.

    The text is white or dark, whichever is easier to read.
    """
    axes.add_patch(Rectangle(place, *size, facecolor=colour, edgecolor="white", linewidth=1))
    if text:
        middle = place[0] + size[0] / 2, place[1] + size[1] / 2
        ink = "white" if colour in DEEP else DARK
        axes.text(*middle, text, color=ink, ha="center", va="center", fontsize=8)


def bare(axes: Axes, width: tuple[float, float], height: tuple[float, float]) -> None:
    """Leave out the frame and the ticks of axes that show boxes."""
    axes.set(xlim=width, ylim=height, xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def frames() -> Figure:
    """Draw a recording, the first frames cut from it, and the labels that they get."""
    first, count = 0.79, 8  # s where the part begins, frames
    spoken, features = sentence(), english().features
    width, stride = (samples_of(each, features) for each in (features.frame_width, features.stride))
    begin = round(first * RATE)
    part = spoken.samples[begin : begin + width + (count - 1) * stride]
    times = label_times(count, features)
    labels = phones_at(spoken, first + times)
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[1, 1.6], sharex=True)
    upper.plot(1000 * np.arange(len(part)) / RATE, part, color=DARK, linewidth=0.8)
    upper.set(yticks=[], title=f"sound: {RATE:,} samples/s")
    for number, (time, label) in enumerate(zip(times, labels, strict=True)):
        start = 1000 * number * stride / RATE
        colour = CYCLE[[*dict.fromkeys(labels)].index(label)]
        box(lower, (start, -number), (1000 * width / RATE, 0.8), LIGHT, f"{number}")
        lower.plot([1000 * time] * 2, [-number, -number + 0.8], color=colour, linewidth=2)
        lower.text(1000 * (number * stride + width) / RATE + 1, -number + 0.4, label,
                   color=colour, va="center", weight="bold")  # fmt: skip
    lower.set(
        yticks=[], xlabel="ms", ylim=(-count + 0.8, 1.2), xlim=(0, 1000 * len(part) / RATE + 6)
    )
    lower.set_title(
        f"frames: {features.frame_width:g} ms each, one every {features.stride:g} ms; "
        "a line where the label is taken"
    )
    return figure


def context() -> Figure:
    """Draw two utterances end to end with padding, and the window of each frame."""
    lengths, k = np.array([5, 3]), 2
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    for axes, padding in zip(figure.subplots(1, 2), ("zero", "edge"), strict=True):
        starts = window_starts(lengths, k, padding)
        numbers = np.arange(1, lengths.sum() + 1, dtype=np.float32)[:, None]
        rows = pad(numbers, starts, k, padding)[:, 0].astype(int)
        own = {*(starts + k).tolist()}
        ends = lengths.cumsum()
        for place, number in enumerate(rows):
            colour = CYCLE[int(np.searchsorted(ends, number))] if number else LIGHT
            text = str(number - 1) if number else "0"
            box(axes, (place, 1), (1, 1), colour if place in own else LIGHT, text)
        for frame, start in enumerate(starts):
            colour = CYCLE[int(np.searchsorted(ends, frame, side="right"))]
            box(axes, (start, -frame - 0.6), (2 * k + 1, 0.7), LIGHT)
            box(axes, (start + k, -frame - 0.6), (1, 0.7), colour, str(frame))
        bare(axes, (-0.2, len(rows) + 0.2), (-len(starts) - 0.4, 3))
        axes.set_title(f"data.padding: {padding}")
        axes.text(0, 2.2, "rows: frames with padding between utterances", color=DARK)
        axes.text(0, 0.62, f"window of each frame: 2 x {k} + 1 rows", color=DARK, va="center")
    return figure


def pooling() -> Figure:
    """Draw which frames of the shipped window are averaged, and a window before and after."""
    sizes = pool_sizes(K, FULL_RATE)
    spoken = frames_of(sentence())
    bands = spoken.shape[1]
    pool = ContextPooling(2 * K + 1, bands, sizes)
    middle = 150
    window = spoken[middle - K : middle + K + 1]
    pooled = pool(torch.from_numpy(window).reshape(1, -1)).view(-1, bands).numpy()
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    strip, before, after = figure.subplots(3, 1, height_ratios=[1.1, 2, 2])
    edges = np.cumsum([0, *pool.widths]) - K - 0.5
    for number, (start, end) in enumerate(pairwise(edges)):
        near = pool.widths[number] == 1
        colour = ORANGE if near else (BLUE, GREY)[number % 2]
        box(strip, (start, 0), (end - start, 1), colour, "" if near else str(pool.widths[number]))
    strip.set(xlim=(edges[0], edges[-1]), ylim=(0, 1), yticks=[], xlabel="frames from the middle")
    strip.set_title(
        f"{2 * K + 1} frames: {2 * FULL_RATE + 1} in the middle as they are, "
        f"the others as the means of {2 * len(sizes)} runs"
    )
    for axes, shown, title in (
        (before, window, f"window: {len(window)} frames x {bands} bands"),
        (after, pooled, f"what enters the network: {len(pooled)} x {bands}"),
    ):
        axes.imshow(shown.T, cmap=MAP, aspect="auto", origin="lower", interpolation="none")
        axes.set(yticks=[], xticks=[], title=title, ylabel="mel bands")
    return figure


def multi_frame_targets() -> Figure:
    """Draw the labels that each window of an utterance predicts, and those that a frame gets."""
    n, chosen = 2, 5
    spoken = sentence()
    first = 1.045
    labels = phones_at(spoken, np.linspace(first, first + 0.1, 11))
    names = [*dict.fromkeys(labels)]
    numbers = np.array([names.index(label) for label in labels])
    predicted = targets(numbers, window_starts(np.array([len(labels)]), 1, "zero"), n)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for frame, label in enumerate(labels):
        box(axes, (frame - 0.5, 1), (1, 0.9), CYCLE[names.index(label)], label)
        axes.text(frame, 2.1, str(frame), ha="center", color=DARK)
    for window, found in enumerate(predicted):
        for offset, number in zip(range(-n, n + 1), found, strict=True):
            if 0 <= window + offset < len(labels):
                size, place = (0.94, 0.8), (window + offset - 0.47, -window - 0.4)
                box(axes, place, size, CYCLE[number], names[number])
    axes.add_patch(Rectangle((chosen - 0.5, -chosen - n - 0.55), 1, 2 * n + 1.1, fill=False,
                             edgecolor=DARK, linewidth=2))  # fmt: skip
    bare(axes, (-2.6, len(labels)), (-len(labels) + 0.2, 2.8))
    axes.text(-2.5, 1.45, "labels of frames", va="center")
    for window in range(len(predicted)):
        axes.text(-2.5, -window, f"window {window} predicts", va="center", fontsize=8)
    axes.set_title(
        f"{2 * n + 1} targets a window; the posteriors of frame {chosen} are the mean of "
        f"{2 * n + 1} predictions"
    )
    return figure
