"""A share of the names is drawn for each split; the seed alone says which."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.corpus.shares import draw_splits, share_sizes

NAMES = [str(number) for number in range(100)]


@pytest.mark.parametrize(
    ("count", "share", "size"), [(10, 0.2, 2), (10, 0.26, 3), (3, 0.1, 1), (5, 0, 1)]
)
def test_a_split_has_its_share_of_the_names_and_at_least_one(count, share, size):
    assert share_sizes(count, {"dev": share}) == {"dev": size}


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**31 - 1))
def test_every_name_is_in_one_split_and_each_split_as_large_as_asked_for(dev, test, seed):
    splits = draw_splits(NAMES, {"dev": dev, "test": test}, seed)
    assert {*splits} == {*NAMES}
    sizes = {"dev": dev, "test": test, "train": 100 - dev - test}
    assert Counter(splits.values()) == Counter({key: size for key, size in sizes.items() if size})


def test_another_seed_draws_other_names():
    assert draw_splits(NAMES, {"dev": 10}, 1) == draw_splits(NAMES, {"dev": 10}, 1)
    assert draw_splits(NAMES, {"dev": 10}, 1) != draw_splits(NAMES, {"dev": 10}, 2)
