"""Utterances are gone through part by part, in order, with little in memory."""

import os
import threading
from itertools import pairwise

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.storage.parts import in_threads, parts, release, rows_of


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 12))
def test_parts_are_runs_of_whole_utterances_no_longer_than_asked(lengths, most):
    found = parts(np.array(lengths), most)
    for part in found:
        own = lengths[part.utterances]
        assert sum(own) == part.frames.stop - part.frames.start
        assert sum(own) <= most or len(own) == 1
    for before, after in pairwise(found):
        assert before.utterances.stop == after.utterances.start
        assert sum(lengths[before.utterances]) + lengths[after.utterances.start] > most
    ends = (found[0].utterances.start, found[0].frames.start, found[-1].utterances.stop)
    assert ends == (0, 0, len(lengths))


def test_frames_beyond_32_bits_are_counted():
    lengths = np.full(5, 2**30, np.int32)
    assert [part.frames.stop for part in parts(lengths, 2**31)] == [2**31, 2**32, 5 * 2**30]


@pytest.mark.parametrize("jobs", [0, 1, 2, 5])
def test_results_come_in_order_whatever_the_number_of_threads(jobs):
    assert [*in_threads(lambda item: item * 2, range(100), jobs)] == [*range(0, 200, 2)]


def test_few_results_wait():
    taken = []

    def items():
        for item in range(50):
            taken.append(item)
            yield item

    for done, _ in enumerate(in_threads(str, items(), 2)):
        assert len(taken) <= done + 6


def test_an_error_ends_it_at_once():
    called = []

    def fail_at_3(item):
        called.append(item)
        if item == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        [*in_threads(fail_at_3, range(1000), 2)]
    assert len(called) < 20
    assert threading.active_count() < 20


def test_rows_of_a_file_have_a_mapping_of_their_own(tmp_path):
    array = np.arange(60, dtype=np.int16).reshape(20, 3)
    np.save(tmp_path / "a.npy", array)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for one in (array, mapped, mapped[4:]):
        for rows in (slice(3, 9), slice(0, 20), slice(7, 7 + 1)):
            np.testing.assert_array_equal(rows_of(one, rows), one[rows])
    assert rows_of(mapped, slice(3, 9)).base is not mapped.base
    assert not rows_of(mapped, slice(3, 9)).flags.writeable


def resident():
    return psutil.Process(os.getpid()).memory_info().rss


@pytest.mark.skipif(not hasattr(os, "fork"), reason="memory is not given back there")
def test_what_was_read_of_a_file_is_given_back(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2**16, 128), np.float32))  # 32 MiB
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    before = resident()
    total = float(mapped.sum())
    assert resident() - before > 2**24
    release(mapped)
    assert resident() - before < 2**22
    assert float(mapped.sum()) == total


def test_what_may_be_written_to_is_not_given_back(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((9, 3)))
    mine = np.load(tmp_path / "a.npy", mmap_mode="c")
    mine += 5
    release(mine)
    assert (mine == 5).all()
    release(np.zeros(3))
