"""Log-mel frames and their normalization, as nodes of a graph.

They do what `features.log_mel` and `normalize` do. The spectrum is a product with the matrix
of the discrete Fourier transform, in float64: in float32 it would round coarser than a fast
transform does, where bands are much weaker than others.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from phonemes.export.graph import Graph, require_room
from phonemes.export.utterances import (
    ZERO,
    Utterances,
    clipped,
    extended,
    masked,
    numbered,
    size,
    utterances,
)
from phonemes.features.log_mel import FeatureParams, mel_filters, samples_of
from phonemes.normalize import SMALLEST_DEVIATION, Normalization

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def log_mel(graph: Graph, samples: str, lengths: str, features: FeatureParams) -> Utterances:
    """Return the frames of recordings, not normalized; T is at least 1.

    Args:
        graph: to write to.
        samples: (B, S) float32 in [-1, 1].
        lengths: (B,) int64, samples of each recording.
        features: of the frames.

    Raises:
        InputError: no file could hold the transform, or a band has no frequency.
    """
    width, stride = (samples_of(each, features) for each in (features.frame_width, features.stride))
    filters = mel_filters(features).astype(np.float64)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)).astype(np.float32)
    lengths = clipped(graph, lengths, size(graph, samples))
    samples = extended(graph, samples, width, rank=2)
    counts, most = (
        _frames_of(graph, each, width, stride) for each in (lengths, size(graph, samples))
    )
    starts = graph("Mul", numbered(graph, most), np.int64(stride))
    rows = graph("Add", graph("Unsqueeze", starts, np.array([1])), np.arange(width))
    windows = graph("Mul", graph("Gather", samples, rows, axis=1), hann)  # (B, T, width)
    windows = graph("Cast", windows, to=DOUBLE)
    spectrum = graph("MatMul", windows, fourier(graph, width, features.fft))  # (B, T, 2F)
    power = graph("Mul", spectrum, spectrum)
    bands = graph("MatMul", power, np.repeat(filters, 2, axis=0))
    bands = graph("Add", graph("Cast", bands, to=FLOAT), np.float32(features.floor))
    return utterances(graph, graph("Log", bands), counts)


def _frames_of(graph: Graph, counts: str, width: int, stride: int) -> str:
    """Return how many frames fit into numbers of samples."""
    reaching = graph("Max", graph("Add", counts, np.int64(stride - width)), ZERO)
    return graph("Div", reaching, np.int64(stride))


def fourier(graph: Graph, width: int, points: int) -> str:
    """Return the transform of `width` samples and zeros up to `points`, (width, 2F) float64.

    Columns are the real and the imaginary part of each of F = points / 2 + 1 frequencies. They
    are gathered from a circle of `points` numbers, so that the file stays small; onnxruntime
    does it once, when it loads the model.

    Raises:
        InputError: the matrix is as large as no file could be.
    """
    require_room(width * 2 * (points // 2 + 1) * 8)
    turns = np.arange(points) / points
    circle = np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)
    products = graph("Mul", np.arange(width)[:, None], np.arange(points // 2 + 1))
    parts = graph("Gather", circle, graph("Mod", products, np.int64(points)))  # (width, F, 2)
    return graph("Reshape", parts, np.array([width, -1]))


def normalized(
    graph: Graph, given: Utterances, params: Normalization, train: NDArray[np.float64]
) -> Utterances:
    """Return normalized frames; the statistics of an utterance are also those of its speaker.

    Args:
        graph: to write to.
        given: (B, T, C) float32.
        params: the section `normalize`.
        train: (2, C) mean and deviation of the training set.
    """
    if params.over == "none":
        return given
    frames = graph("Cast", given.frames, to=DOUBLE)
    mean: str | NDArray = train[0]
    variance: str | NDArray = train[1] ** 2
    if params.over != "corpus":
        mean, variance = _adapted(graph, frames, given, params.relevance, train)
    centred = graph("Sub", frames, mean)
    if params.variance:
        centred = graph("Div", centred, graph("Sqrt", variance))
    return masked(graph, graph("Cast", centred, to=FLOAT), given)


def _adapted(
    graph: Graph, frames: str, given: Utterances, relevance: float, train: NDArray[np.float64]
) -> tuple[str, str]:
    """Return mean and variance of each utterance, (B, 1, C), moved towards `train`, (2, C).

    As `normalize.map_adapted`; `frames` are those of `given` in float64.
    """
    axis = np.array([1])
    count = graph("Cast", graph("Max", given.counts, np.int64(1)), to=DOUBLE)
    count = graph("Unsqueeze", count, np.array([1, 2]))  # (B, 1, 1)
    mean = graph("Div", graph("ReduceSum", frames, axis), count)
    centred = graph("Where", given.valid, graph("Sub", frames, mean), np.float64(0))
    squares = graph("ReduceSum", graph("Mul", centred, centred), axis)
    variance = graph("Max", graph("Div", squares, count), np.float64(SMALLEST_DEVIATION**2))
    total = graph("Add", count, np.float64(relevance))
    own, prior = graph("Div", count, total), graph("Div", np.float64(relevance), total)
    off = graph("Sub", mean, train[0])
    between = graph("Mul", graph("Mul", own, prior), graph("Mul", off, off))

    def both(ours: str, theirs: NDArray[np.float64]) -> str:
        return graph("Add", graph("Mul", own, ours), graph("Mul", prior, theirs))

    return both(mean, train[0]), graph("Add", both(variance, train[1] ** 2), between)
