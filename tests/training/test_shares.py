"""Utterances are dealt to processes at random, in shares of about as many frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.context import window_starts
from phonemes.distributed.world import World
from phonemes.errors import InputError
from phonemes.training.shares import deal, process_batch, process_seed, share_of

lengths_of_some = st.lists(st.integers(1, 90), min_size=8, max_size=60).map(np.array)


@given(lengths_of_some, st.integers(1, 8), st.integers(0, 9))
def test_shares_differ_by_no_more_than_the_longest_utterance(lengths, size, seed):
    frames = np.bincount(deal(lengths, size, seed), lengths, size)
    assert frames.sum() == lengths.sum()
    assert frames.min() > 0
    assert frames.max() - frames.min() <= lengths.max()


def test_neighbours_are_dealt_at_random_and_alike_by_the_same_seed():
    lengths = np.full(4000, 3)
    owners = deal(lengths, 2, 1)
    together = (owners[1:] == owners[:-1]).mean()
    assert 0.45 < together < 0.55
    assert np.array_equal(owners, deal(lengths, 2, 1))
    assert not np.array_equal(owners, deal(lengths, 2, 2))


def test_all_processes_know_the_smallest_and_the_largest_share():
    lengths = np.array([5, 9, 2, 30, 4])
    starts = window_starts(lengths, 2, "zero")
    shares = [share_of("dev", starts, World(rank, 3, rank), 1) for rank in range(3)]
    assert sum(share.utterances.astype(int) for share in shares).tolist() == [1] * 5
    frames = [int(lengths[share.utterances].sum()) for share in shares]
    assert {(share.fewest, share.most) for share in shares} == {(min(frames), max(frames))}


def test_too_few_utterances_are_refused():
    starts = window_starts(np.array([500]), 2, "zero")
    message = "dev has 1 utterance, too few for 2 processes to share; lower runtime.gpus, or the "
    with pytest.raises(InputError, match=message):
        share_of("dev", starts, World(0, 2, 0), 1)


@pytest.mark.parametrize(
    ("batch", "size", "choice"),
    [(1000, 3, "999 or 1,002"), (2, 4, "4"), (2048, 5, "2,045 or 2,050")],
)
def test_a_batch_that_cannot_be_shared_evenly_is_refused(batch, size, choice):
    with pytest.raises(
        InputError, match=f"cannot share evenly; set it to {choice}, or run another"
    ):
        process_batch(batch, World(0, size, 0))


def test_a_batch_is_shared_evenly():
    assert process_batch(2048, World(1, 8, 1)) == 256


def test_the_first_process_has_the_seed_and_the_others_one_each():
    seeds = [process_seed(7, World(rank, 4, 0)) for rank in range(4)]
    assert seeds[0] == process_seed(7, World.alone()) == 7
    assert len({*seeds}) == 4
