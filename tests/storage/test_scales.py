"""A band's scale is the one with which 8 bits cost least."""

import numpy as np
import pytest

from phonemes.storage.frames import from_bfloat16, narrowed, to_bfloat16, widened
from phonemes.storage.scales import BINS, best_scales, magnitude_counts


def squared_errors(frames, scales):
    """Return the mean squared error of each band, (C,)."""
    return ((widened(narrowed(frames, "int8", scales), scales) - frames) ** 2).mean(0)


def drawn(kind, bands=3):
    random = np.random.default_rng(0)
    spread = np.array([1, 0.01, 30])[:bands]
    return (getattr(random, kind)(size=(40_000, bands)) * spread).astype(np.float32)


@pytest.mark.parametrize("kind", ["standard_normal", "laplace", "uniform", "standard_exponential"])
def test_no_other_scale_is_better_by_more_than_a_hundredth(kind):
    frames = drawn(kind)
    scales = best_scales(magnitude_counts([frames], 3))
    least = squared_errors(frames, scales)
    for factor in np.geomspace(0.2, 5, 101):
        other = (scales * factor).astype(np.float32)
        assert (least <= 1.01 * squared_errors(frames, other)).all()


def test_a_rare_outlier_is_clipped_and_costs_others_nothing():
    outlier = np.array([[40, 0, 0]], np.float32)
    counts = 10_000 * magnitude_counts([drawn("standard_normal")], 3)
    before, after = best_scales(counts), best_scales(counts + magnitude_counts([outlier], 3))
    assert before[0] <= after[0] < 6 / 127  # 40 itself would need 40 / 127
    assert after[1:].tolist() == before[1:].tolist()


def test_scales_are_numbers_of_bfloat16():
    scales = best_scales(magnitude_counts([drawn("laplace")], 3))
    np.testing.assert_array_equal(from_bfloat16(to_bfloat16(scales)), scales)


def test_parts_are_counted_together():
    frames = drawn("laplace")
    counts = magnitude_counts([frames[:1000], frames[1000:]], 3)
    np.testing.assert_array_equal(counts, magnitude_counts([frames], 3))
    assert counts.shape == (3, BINS)
    assert counts.sum(1).tolist() == [40_000] * 3


def test_a_band_of_zeros_has_scale_1():
    frames = np.zeros((9, 2), np.float32)
    frames[:, 1] = [1, -1, 1, -1, 1, -1, 1, -1, 1]
    scales = best_scales(magnitude_counts([frames], 2))
    assert scales[0] == 1
    assert squared_errors(frames, scales) == pytest.approx([0, 0], abs=1e-4)


def test_numbers_near_the_largest_have_finite_scales():
    frames = np.full((9, 1), 3.4e38, np.float32)
    frames[0] = np.inf
    (scale,) = best_scales(magnitude_counts([frames], 1))
    assert np.isfinite(127 * scale)
