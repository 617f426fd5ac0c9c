"""Sums of blocks give numpy's mean and deviation of all frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.inspection import sums
from phonemes.inspection.sums import BandSums, band_sums, blocks
from phonemes.storage.frames import narrowed, widened


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_sums_of_parts_are_those_of_all_frames(lengths, offset):
    random = np.random.default_rng(len(lengths))
    parts = [(random.normal(size=(length, 3)) + offset).astype(np.float32) for length in lengths]
    total = BandSums(3)
    for number, part in enumerate(parts):
        if number % 2:
            total.add(part)
        else:
            total.merge(band_sums(part))
    every = np.concatenate(parts).astype(np.float64)
    assert total.count == len(every)
    assert total.mean == pytest.approx(every.mean(0), abs=1e-9 * abs(offset) + 1e-12)
    assert total.deviation == pytest.approx(every.std(0), rel=1e-6, abs=1e-9)


def test_long_utterances_pass_in_blocks(monkeypatch):
    monkeypatch.setattr(sums, "BLOCK", 4)
    frames = np.arange(30.0, dtype=np.float32).reshape(10, 3)
    assert [len(block) for block in blocks(frames)] == [4, 4, 2]
    assert band_sums(frames).mean.tolist() == frames.mean(0).tolist()


def test_a_large_mean_costs_no_digits():
    frames = np.array([[16_777_215], [16_777_216]], np.float32)
    assert band_sums(frames).deviation.tolist() == [0.5]


@pytest.mark.parametrize("form", ["bfloat16", "int8"])
def test_stored_frames_are_summed_as_the_numbers_that_they_stand_for(form):
    frames = np.random.default_rng(0).normal(3, 1, (500, 2)).astype(np.float32)
    scales = np.array([0.0625, 0.03125], np.float32)
    stored = narrowed(frames, form, scales)
    found = band_sums(stored, scales if form == "int8" else None)
    wide = widened(stored, scales).astype(np.float64)
    np.testing.assert_allclose(found.mean, wide.mean(0))
    np.testing.assert_allclose(found.deviation, wide.std(0))
