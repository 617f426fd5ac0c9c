"""The path found is the best of all, on whatever graph."""

from itertools import groupby, pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.alignment import viterbi
from phonemes.alignment.graph import Graph, loop_graph, text_graph
from phonemes.alignment.viterbi import Durations, best_path

NAMES = ["SIL", "SPN", "A", "B"]
LABELS = {name: place for place, name in enumerate(NAMES)}
GRAPHS = [
    text_graph([[["A"]]], ["SIL"], LABELS),
    text_graph([[["A", "B"], ["B"]]], ["SIL"], LABELS),
    text_graph([[["A"], ["B"]], [["A"]]], ["SIL"], LABELS),
    text_graph([[["B"]]], ["SIL", "SPN"], LABELS),
    loop_graph(NAMES),
]


def random_case(seed: int, frames: int) -> tuple[np.ndarray, Durations]:
    random = np.random.default_rng(seed)
    scores = random.normal(scale=2, size=(frames, len(NAMES))).astype(np.float32)
    leaving = random.uniform(0.01, 0.99, (3, len(NAMES)))
    return scores, Durations(
        np.log(1 - leaving).astype(np.float32), np.log(leaving).astype(np.float32)
    )


def allowed(graph: Graph, path: tuple[int, ...]) -> bool:
    heads = {int(head): graph.before[row] for row, head in enumerate(graph.heads)}
    steps = pairwise(path)
    return (
        path[0] in graph.first
        and path[-1] in graph.last
        and all(one == two or one in heads.get(two, [two - 1]) for one, two in steps)
    )


def weight(path: tuple[int, ...], scores: np.ndarray, graph: Graph, durations: Durations) -> float:
    """Return the log weight of a path, by its runs."""
    total = sum(scores[time, graph.label[node]] for time, node in enumerate(path))
    lengths = [(graph.label[node], len([*run])) for node, run in groupby(path)]
    for place, (label, length) in enumerate(lengths):
        total += sum(durations.staying[min(age, 2), label] for age in range(length - 1))
        if place < len(lengths) - 1:
            total += durations.leaving[min(length, 3) - 1, label]
    return float(total)


@given(st.sampled_from(range(len(GRAPHS))), st.integers(0, 10_000), st.integers(2, 6))
def test_no_path_weighs_more(which, seed, frames):
    graph = GRAPHS[which]
    scores, durations = random_case(seed, frames)
    every = {
        path: weight(path, scores, graph, durations)
        for path in product(range(len(graph.name)), repeat=frames)
        if allowed(graph, path)
    }
    found = tuple(best_path(scores, graph, durations).tolist())
    assert every[found] == pytest.approx(max(every.values()), abs=1e-4)


@pytest.mark.parametrize("room", [1, 60, 1000])
def test_a_path_does_not_depend_on_the_room_for_choices(monkeypatch, room):
    graph = text_graph([[["A", "B"], ["B", "A"]], [["A"], ["B"]]] * 4, ["SIL", "SPN"], LABELS)
    scores, durations = random_case(1, 150)
    whole = best_path(scores, graph, durations)
    monkeypatch.setattr(viterbi, "ROOM", room)
    np.testing.assert_array_equal(best_path(scores, graph, durations), whole)


def test_a_single_frame_is_a_node_in_which_a_path_may_begin_and_end():
    graph = text_graph([[["A"], ["B"]]], ["SIL"], LABELS)
    scores = np.array([[9, 9, 1, 2]], np.float32)  # silence: of no word
    assert [graph.name[node] for node in best_path(scores, graph, random_case(0, 1)[1])] == ["B"]
