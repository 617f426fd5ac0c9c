"""A text's graph has every way to say it and no other."""

from itertools import pairwise, product

from phonemes.alignment.graph import Graph, loop_graph, text_graph

LABELS = {name: place for place, name in enumerate(["SIL", "SPN", "A", "B", "C", "D"])}


def followers(graph: Graph) -> dict[int, set[int]]:
    """Return the nodes that may follow each node."""
    found: dict[int, set[int]] = {node: set() for node in range(len(graph.name))}
    heads = {int(head): row for row, head in enumerate(graph.heads)}
    for node in found:
        before = graph.before[heads[node]].tolist() if node in heads else [node - 1]
        for each in before:
            if each < len(graph.name):
                found[each].add(node)
    return found


def sayings(graph: Graph, most: int) -> set[str]:
    """Return the phonemes of every path of up to some nodes."""
    after, found = followers(graph), set()
    waiting = [(int(node),) for node in graph.first]
    while waiting:
        path = waiting.pop()
        if path[-1] in graph.last:
            found.add(" ".join(graph.name[node] for node in path))
        if len(path) < most:
            waiting += [(*path, node) for node in after[path[-1]]]
    return found


def test_a_word_is_said_with_or_without_silence_around_it():
    graph = text_graph([[["A", "B"]]], ["SIL"], LABELS)
    assert sayings(graph, 9) == {"A B", "SIL A B", "A B SIL", "SIL A B SIL"}
    assert graph.name == ["SIL", "A", "B", "SIL"]
    assert graph.label.tolist() == [0, 2, 3, 0]
    assert graph.word.tolist() == [1, 0, 0, 1]
    assert graph.heads.tolist() == [0, 1, 3]


def test_each_pronunciation_of_a_word_follows_each_of_the_word_before():
    words = [[["A"], ["B", "B"]], [["C"], ["D"], ["A", "D"]]]
    graph = text_graph(words, ["SIL"], LABELS)
    expected = {
        " ".join([*(["SIL"] * first), *one, *(["SIL"] * middle), *two, *(["SIL"] * last)])
        for one, two in product(*words)
        for first, middle, last in product((0, 1), repeat=3)
    }
    assert sayings(graph, 9) == expected
    assert graph.least == 2


def test_a_pause_may_be_silence_and_noise_in_any_order():
    graph = text_graph([[["A"]]], ["SIL", "SPN"], LABELS)
    found = sayings(graph, 4)
    assert {"A", "SIL A", "SPN A", "SIL SPN A", "SPN SIL A SPN", "SIL SPN SIL A"} <= found
    assert not any("SIL SIL" in each or "SPN SPN" in each for each in found)


def test_the_same_word_twice_is_said_twice():
    assert sayings(text_graph([[["A"]], [["A"]]], ["SIL"], LABELS), 2) == {"A A"}


def test_the_loop_has_every_sequence_without_repetition():
    found = sayings(loop_graph(["A", "B", "C"]), 3)
    assert found == {
        " ".join(path)
        for length in (1, 2, 3)
        for path in product("ABC", repeat=length)
        if all(one != two for one, two in pairwise(path))
    }
