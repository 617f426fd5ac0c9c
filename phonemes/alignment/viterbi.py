"""The likeliest path through a graph of phonemes, one node a frame (Viterbi, 1967).

"Error bounds for convolutional codes and an asymptotically optimum decoding algorithm". A
node's state is its age: in its first frame, its second, or any later one, each with a
probability of leaving, as in `phonemes.decoding.phone_model`. All states of a frame are
computed at once. The path is the best of all: nothing is pruned.

T frames, P phonemes; Q nodes, F heads and D predecessors of a graph; A ages.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.alignment.graph import Graph

ROOM = 2**26  # bytes for the choices of the frames of a block
_STEPS = 32  # frames after which log weights are brought back to about 0
_FROM_SECOND = 4  # bit of a choice: the third state was entered from the second


class Durations(NamedTuple):
    """Log weights of a phoneme's frames, by age; A is 3."""

    staying: NDArray[np.float32]  # (A, P) of having a further frame
    leaving: NDArray[np.float32]  # (A, P) of being over


class _Choices(NamedTuple):
    """What was best at each frame of a block, for the way back."""

    states: NDArray[np.int8]  # (T, Q) the age at which a node is left best, and _FROM_SECOND
    heads: NDArray[np.int16]  # (T, F) which of its predecessors a head follows best


def best_path(scores: NDArray[np.float32], graph: Graph, durations: Durations) -> NDArray[np.int64]:
    """Return the node of each frame, (T,).

    Memory stays bounded: where the choices of all frames exceed ROOM, those of a block of frames
    are computed anew on the way back, from the states kept at its beginning.

    Args:
        scores: (T, P) log weight of each phoneme in each frame, finite; T at least `graph.least`.
        graph: of the text.
        durations: log weights of staying and leaving.
    """
    search = _Search(scores, graph, durations)
    last = len(scores) - 1
    size = max(1, ROOM // (len(graph.label) + 2 * len(graph.heads)))
    blocks = [
        range(begin + 1, min(begin + size, last) + 1) for begin in range(0, max(last, 1), size)
    ]
    states = [search.begin()]  # before each block
    for frames in blocks[:-1]:
        states.append(search.forward(states[-1], frames, None))
    path = np.empty(len(scores), np.int64)
    state = None
    for frames, before in zip(reversed(blocks), reversed(states), strict=True):
        choices = search.choices(len(frames))
        after = search.forward(before, frames, choices)
        state = search.back(state or search.best_end(after), frames, choices, path)
    assert state is not None
    path[0] = state.node
    return path


class _State(NamedTuple):
    age: int
    node: int


class _Search:
    """States are (A, Q): the log weight of the best path that ends in a node at an age."""

    def __init__(self, scores: NDArray[np.float32], graph: Graph, durations: Durations) -> None:
        self._scores, self._graph = scores, graph
        self._staying = durations.staying[:, graph.label]  # (A, Q)
        self._leaving = durations.leaving[:, graph.label]
        self._rows = np.arange(len(graph.heads))

    def begin(self) -> NDArray[np.float32]:
        """Return the states of the first frame."""
        graph = self._graph
        states = np.full(self._staying.shape, -np.inf, np.float32)
        states[0, graph.first] = self._scores[0, graph.label[graph.first]]
        return states

    def choices(self, frames: int) -> _Choices:
        """Return room for the choices of some frames."""
        return _Choices(
            np.empty((frames, len(self._graph.label)), np.int8),
            np.empty((frames, len(self._graph.heads)), np.int16),
        )

    def forward(
        self, states: NDArray[np.float32], frames: range, choices: _Choices | None
    ) -> NDArray[np.float32]:
        """Return the states after some frames, given those before; note the choices, if asked."""
        heads, before = self._graph.heads, self._graph.before
        left = np.full(len(self._graph.label) + 1, -np.inf, np.float32)  # one more that is none
        states, leaving, staying = states.copy(), np.empty_like(states), np.empty_like(states)
        for row, time in enumerate(frames):
            np.add(states, self._leaving, out=leaving)
            np.add(states, self._staying, out=staying)
            younger = np.maximum(leaving[0], leaving[1])
            np.maximum(younger, leaving[2], out=left[:-1])
            followed = left[before]  # (F, D)
            chosen = followed.argmax(1)
            if choices is not None:
                age = np.where(leaving[2] >= younger, 2, leaving[1] > leaving[0])
                choices.states[row] = age + _FROM_SECOND * (staying[1] > staying[2])
                choices.heads[row] = chosen
            states[0, 1:] = left[:-2]
            states[0, heads] = followed[self._rows, chosen]
            states[1] = staying[0]
            np.maximum(staying[1], staying[2], out=states[2])
            states += self._scores[time].take(self._graph.label)
            if time % _STEPS == 0:
                states -= states.max()  # small numbers have the most digits
        return states

    def best_end(self, states: NDArray[np.float32]) -> _State:
        """Return the best state that a path may end in."""
        ends = states[:, self._graph.last]  # (A, ends)
        age, place = divmod(int(ends.argmax()), ends.shape[1])
        return _State(age, int(self._graph.last[place]))

    def back(
        self, state: _State, frames: range, choices: _Choices, path: NDArray[np.int64]
    ) -> _State:
        """Write the nodes of some frames into `path`; return the state before, given the last."""
        head = {int(node): place for place, node in enumerate(self._graph.heads)}
        age, node = state
        for row in reversed(range(len(frames))):
            path[frames[row]] = node
            if age == 0:
                place = head.get(node)
                if place is None:
                    node -= 1
                else:
                    node = int(self._graph.before[place, choices.heads[row, place]])
                age = int(choices.states[row, node]) & ~_FROM_SECOND
            elif age == 1 or choices.states[row, node] & _FROM_SECOND:
                age -= 1
        return _State(age, node)
