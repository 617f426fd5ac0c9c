"""Utterances of several lengths in one array, as nodes of a graph.

B utterances lie side by side, each at the beginning of its row. Beyond an utterance all
frames are 0, whatever the caller had there.
"""

from typing import NamedTuple

import numpy as np

from phonemes.export.graph import Graph

ZERO = np.int64(0)


class Utterances(NamedTuple):
    """Frames of B utterances, by the names of values in a graph."""

    frames: str  # (B, T, C)
    counts: str  # (B,) int64, frames of each utterance, 0 to T
    valid: str  # (B, T, 1) bool: the utterance has this frame


def utterances(graph: Graph, frames: str, counts: str) -> Utterances:
    """Return frames, (B, T, C) float32, of which each utterance has the first `counts`, (B,)."""
    number = numbered(graph, size(graph, frames))
    valid = graph("Less", number, graph("Unsqueeze", counts, np.array([1])))
    valid = graph("Unsqueeze", valid, np.array([2]))
    return masked(graph, frames, Utterances(frames, counts, valid))


def masked(graph: Graph, frames: str, like: Utterances) -> Utterances:
    """Return other frames, (B, T, C) float32, of the same utterances, with 0 beyond them."""
    return like._replace(frames=graph("Where", like.valid, frames, np.float32(0)))


def size(graph: Graph, value: str) -> str:
    """Return T of a value (B, T, ...), a scalar."""
    return graph("Squeeze", graph("Shape", value, start=1, end=2), np.array([0]))


def numbered(graph: Graph, count: str) -> str:
    """Return the numbers from 0 to `count` - 1, (T,) for a scalar T."""
    return graph("Range", ZERO, count, np.int64(1))


def clipped(graph: Graph, counts: str, most: str) -> str:
    """Return counts, (B,), those below 0 as 0, and those above `most`, a scalar, as that."""
    return graph("Max", graph("Min", counts, most), ZERO)


def extended(graph: Graph, value: str, least: int, rank: int) -> str:
    """Return a value (B, T, ...) of `rank` axes with zeros after it where T is below `least`."""
    missing = graph("Sub", np.array([least]), graph("Shape", value, start=1, end=2))
    before, after = np.zeros(rank + 1, np.int64), np.zeros(rank - 2, np.int64)
    return graph("Pad", value, graph("Concat", before, graph("Max", missing, ZERO), after, axis=0))


def with_context(graph: Graph, given: Utterances, k: int, padding: str) -> str:
    """Return frames with k more on each side of every utterance, (B, T + 2k, C).

    Args:
        graph: to write to.
        given: (B, T, C).
        k: context frames on each side.
        padding: zero, or edge for the first and last frame of each utterance.
    """
    if padding == "zero":
        return graph("Pad", given.frames, np.array([0, k, 0, 0, k, 0]))
    count = graph("Add", size(graph, given.frames), np.int64(2 * k))
    frame = graph("Max", graph("Sub", numbered(graph, count), np.int64(k)), ZERO)
    last = graph("Max", graph("Sub", given.counts, np.int64(1)), ZERO)
    nearest = graph("Min", frame, graph("Unsqueeze", last, np.array([1])))  # (B, T + 2k)
    indices = graph("Unsqueeze", nearest, np.array([2]))
    return graph("GatherND", given.frames, indices, batch_dims=1)
