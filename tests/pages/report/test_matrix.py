"""The matrix shows every share, names groups along the axes, and holds every count."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.inventory import ARPABET_STRESS, TIMIT, phonetic_order
from phonemes.pages.report.matrix import (
    SHADES,
    Group,
    confusion_matrix,
    counts_of,
    difference_matrix,
    groups_of,
)
from phonemes.scoring.tables import confusion_table

NAMES = ("SIL", "T", "D", "AH0")
IN_ORDER = ("AH0", "T", "D", "SIL")


def cells(matrix, look):
    """Return the strength of each cell that is drawn, by row and column."""
    found = {}
    for shade in matrix.shades:
        if shade.look == look:
            for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", shade.path):
                found[int(y), int(x)] = shade.opacity
    return found


def counted(matrix, key="counts"):
    """Return the counts that the script reads, (P, P)."""
    size = len(matrix.names)
    full = np.zeros((size, size), int)
    for row, column, frames in zip(*matrix.data[key], strict=True):
        full[row, column] = frames
    return full


@pytest.fixture
def counts():
    return np.array([[90, 0, 0, 10], [0, 0, 0, 0], [5, 15, 60, 0], [20, 0, 1, 79]])


def test_counts_come_back_from_their_table(counts):
    assert np.array_equal(counts_of(confusion_table(counts, NAMES), NAMES), counts)


def test_axes_are_in_phonetic_order_with_their_groups(counts):
    matrix = confusion_matrix(counts, NAMES)
    assert matrix.names == IN_ORDER
    assert matrix.groups == (
        Group("central vowels", 0, 1), Group("stops", 1, 3), Group("silence and noise", 3, 4)
    )  # fmt: skip


@given(st.integers(2, 12), st.integers(0, 10**6))
def test_the_shade_of_a_cell_is_the_square_root_of_its_share(classes, seed):
    counts = np.random.default_rng(seed).integers(0, 50, (classes, classes)) ** 2
    names = tuple(map(str, range(classes)))
    shown = cells(confusion_matrix(counts, names), "accent")
    for row in range(classes):
        for column in range(classes):
            share = counts[row, column] / max(counts[row].sum(), 1)
            if share == 0:
                assert (row, column) not in shown
            else:
                assert -1e-3 < shown[row, column] - share**0.5 < 1 / SHADES + 1e-3


def test_the_script_has_every_count(counts):
    order = phonetic_order(NAMES)
    assert np.array_equal(counted(confusion_matrix(counts, NAMES)), counts[np.ix_(order, order)])


def test_more_on_the_diagonal_and_fewer_elsewhere_is_better(counts):
    after = counts.copy()
    after[3] = [30, 0, 1, 69]  # AH0: more as SIL, fewer right
    after[2] = [0, 15, 65, 0]  # D: none as SIL any more, more right
    matrix = difference_matrix(counts, after, NAMES)
    ah, d, sil = (IN_ORDER.index(name) for name in ("AH0", "D", "SIL"))
    assert set(cells(matrix, "good")) == {(d, sil), (d, d)}
    assert set(cells(matrix, "bad")) == {(ah, sil), (ah, ah)}
    order = phonetic_order(NAMES)
    assert np.array_equal(counted(matrix, "before"), counts[np.ix_(order, order)])
    assert np.array_equal(counted(matrix), after[np.ix_(order, order)])


def test_runs_that_are_alike_have_no_differences(counts):
    assert difference_matrix(counts, 2 * counts, NAMES).shades == ()


def test_names_of_no_known_inventory_have_no_groups_and_many_no_names():
    names = tuple(map(str, range(346)))
    matrix = confusion_matrix(np.eye(346, dtype=int), names)
    assert matrix.groups == () and not matrix.named
    assert confusion_matrix(np.eye(71, dtype=int), ARPABET_STRESS).named


@pytest.mark.parametrize("phonemes", [ARPABET_STRESS, TIMIT])
def test_groups_cover_all_phonemes_without_gaps(phonemes):
    names = tuple(phonemes[label] for label in phonetic_order(phonemes))
    groups = groups_of(names)
    assert [group.start for group in groups] == [0, *(group.end for group in groups[:-1])]
    assert groups[-1].end == len(phonemes)
    assert len({group.name for group in groups}) == len(groups)
