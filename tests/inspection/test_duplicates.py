"""Copies are found whatever their level, and nothing else is taken for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.inspection import duplicates as module
from phonemes.inspection.duplicates import find_duplicates
from phonemes.inspection.frames import frame_facts

OFFSETS = np.linspace(-3, 3, 4, dtype=np.float32)


def noise(seed, length=30):
    return (4 * np.random.default_rng(seed).normal(size=(length, 4)) - 5).astype(np.float32)


def found(utterances):
    """Return members of each group of copies, and whether they are identical."""
    facts = [frame_facts(frames)[0] for frames in utterances]
    groups = find_duplicates(
        [each.digest for each in facts],
        np.array([len(frames) for frames in utterances]),
        np.array([each.spread for each in facts]),
        utterances.__getitem__,
    )
    return [(each.members, each.identical) for each in groups]


def test_identical_utterances_are_copies():
    assert found([noise(0), noise(1), noise(0), noise(2), noise(0)]) == [([0, 2, 4], True)]


@pytest.mark.parametrize("offset", [np.float32(0.001), np.float32(-7.3), OFFSETS], ids=str)
def test_utterances_that_differ_by_a_constant_in_each_band_are_copies(offset):
    assert found([noise(1), noise(0), noise(2), noise(0) + offset]) == [([1, 3], False)]


def test_copies_of_copies_are_one_group():
    given = [noise(0), noise(0) + OFFSETS, noise(0), noise(1), noise(0) + np.float32(2)]
    assert found(given) == [([0, 1, 2, 4], False)]


def test_rounding_of_a_copy_at_another_level_does_not_hide_it():
    low = (noise(0) - np.float32(1000)) + np.float32(1000)  # six digits are left of it
    assert (low != noise(0)).any()
    assert found([noise(0), low]) == [([0, 1], False)]


@pytest.mark.parametrize(
    "other",
    [
        noise(0)[::-1],  # of the same spread
        noise(0)[:, ::-1],
        noise(0)[:-1],
        noise(0) * np.float32(1.01),
        noise(0) + 0.05 * noise(1),
    ],
    ids=["reversed", "bands reversed", "shorter", "scaled", "noisy"],
)
def test_utterances_that_differ_otherwise_are_no_copies(other):
    assert found([noise(0), np.ascontiguousarray(other)]) == []


def test_constant_utterances_are_copies_only_where_they_are_identical():
    constant = np.ones((30, 4), np.float32)
    assert found([constant, 2 * constant, 3 * constant[:1], 4 * constant[:1]]) == []
    assert found([constant, 2 * constant, constant]) == [([0, 2], True)]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_groups_are_those_of_equal_seeds(seeds):
    utterances = [noise(seed) + np.float32(place) for place, seed in enumerate(seeds)]
    expected = [
        [place for place, seed in enumerate(seeds) if seed == one] for one in dict.fromkeys(seeds)
    ]
    assert [members for members, _ in found(utterances)] == [g for g in expected if len(g) > 1]


def test_each_utterance_is_compared_with_a_few_others_alone(monkeypatch):
    compared = []
    monkeypatch.setattr(module, "_differ_by_constants", lambda *given: compared.append(1))
    same = noise(0, 10)
    utterances = [np.roll(same, shift, 0) for shift in range(10)] * 30  # all of one spread
    for number, frames in enumerate(utterances):
        utterances[number] = np.roll(frames, number // 10, 1) + np.float32(number)
    assert found(utterances) == []
    assert len(compared) <= module.COMPARED * len(utterances)
