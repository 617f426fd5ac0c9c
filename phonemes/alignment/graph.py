"""The graph of all that a text may sound like: its words in order, pauses wherever they may be.

A node is a phoneme at its place in one pronunciation of one word, or a pause. Pronunciations
of a word are alternatives. Before the first word, between two and after the last there may be
pauses of several kinds, in any order and number.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pronunciations = Sequence[Sequence[str]]  # the alternatives of a word, each of phonemes


class Graph(NamedTuple):
    """Q nodes, those of a pronunciation one after the other; F of them are heads.

    A path begins in one of `first` and ends in one of `last`. A node that is no head follows
    the node before it.
    """

    name: Sequence[str]  # (Q,) phonemes
    label: NDArray[np.int64]  # (Q,) of the phonemes
    word: NDArray[
        np.int64
    ]  # (Q,) number of the word of a node; of a pause, how many words there are
    heads: NDArray[np.int64]  # (F,) nodes that begin a pronunciation or a pause, rising
    before: NDArray[np.int64]  # (F, D) nodes that a head may follow; Q fills up rows
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    least: int  # fewest nodes of a path


def text_graph(
    words: Sequence[Pronunciations], pauses: Sequence[str], labels: Mapping[str, int]
) -> Graph:
    """Return the graph of some words, at least one.

    Args:
        words: the pronunciations of each, none empty.
        pauses: what may be between words, at least one phoneme.
        labels: of all these phonemes.
    """
    name: list[str] = []
    word: list[int] = []
    before: dict[int, list[int]] = {}  # by head
    ends: list[int] = []  # last nodes of the word before
    for number, pronunciations in enumerate([*words, ()]):
        quiet = [*range(len(name), len(name) + len(pauses))]
        name += pauses
        word += [len(words)] * len(pauses)
        before |= {node: ends + [other for other in quiet if other != node] for node in quiet}
        ready, ends = ends + quiet, []
        for pronunciation in pronunciations:
            before[len(name)] = ready
            name += pronunciation
            word += [number] * len(pronunciation)
            ends.append(len(name) - 1)
    widest = max(map(len, before.values()))
    heads = [*before]
    return Graph(
        name,
        np.array([labels[each] for each in name]),
        np.array(word),
        np.array(heads),
        np.array([nodes + [len(name)] * (widest - len(nodes)) for nodes in before.values()]),
        np.array(heads[: len(pauses) + len(words[0])]),
        np.array(ready),
        sum(min(map(len, pronunciations)) for pronunciations in words),
    )


def loop_graph(names: Sequence[str]) -> Graph:
    """Return the graph of any sequence of phonemes, each labelled by its place among `names`."""
    every = np.arange(len(names))
    others = np.array([np.delete(every, label) for label in every])
    return Graph(names, every, every, every, others, every, every, 1)
