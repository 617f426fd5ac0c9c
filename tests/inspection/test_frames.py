"""What is found out about frames does not depend on how they are cut into blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from phonemes.inspection import frames as module
from phonemes.inspection.frames import frame_facts, longest_stretch, separation


def noise(length=50, bands=4, seed=0):
    return np.random.default_rng(seed).normal(size=(length, bands)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_blocks_change_nothing(block, monkeypatch):
    frames = noise()
    frames[5:9] = frames[5]
    silent = np.arange(50) < 20
    whole, sums = frame_facts(frames, silent)
    monkeypatch.setattr(module, "BLOCK", block)
    found, parts = frame_facts(frames, silent)
    assert found.spread == pytest.approx(whole.spread)
    assert found._replace(spread=0.0) == whole._replace(spread=0.0)
    assert parts.mean == pytest.approx(sums.mean)


def test_the_level_is_that_of_loud_frames():
    frames = np.zeros((100, 2), np.float32)
    frames[50:] = 5
    assert frame_facts(frames)[0].level == 5


def test_the_spread_is_the_sum_of_squares_about_the_means_of_bands():
    frames = noise()
    assert frame_facts(frames)[0].spread == pytest.approx(frames.var(0).sum() * 50, rel=1e-5)


def test_a_stretch_of_equal_frames_is_found_with_its_place():
    frames = noise()
    frames[10:14], frames[30:37] = frames[10], frames[30]
    facts = frame_facts(frames)[0]
    assert (facts.equal_start, facts.equal_frames) == (30, 7)


def test_frames_that_all_differ_have_a_stretch_of_one():
    assert frame_facts(noise())[0].equal_frames == 1


def test_identical_frames_alone_have_the_same_digest():
    frames = noise()
    digest = frame_facts(frames)[0].digest
    assert frame_facts(frames.copy())[0].digest == digest
    assert frame_facts(frames + np.float32(1e-3))[0].digest != digest
    assert frame_facts(frames.reshape(25, 8))[0].digest != digest


@given(st.lists(st.booleans(), max_size=30))
def test_the_longest_stretch_is_that_of_a_search(flags):
    expected = max(
        (count for start in range(len(flags)) for count in range(len(flags) + 1 - start)
         if all(flags[start : start + count])),
        default=0,
    )  # fmt: skip
    start, count = longest_stretch(np.array(flags, bool))
    assert count == expected
    assert all(flags[start : start + count])


@given(st.integers(10, 30), st.integers(10, 30), st.integers(0, 99))
def test_separation_is_the_area_under_the_curve_of_scikit_learn(silences, speech, seed):
    random = np.random.default_rng(seed)
    levels = random.integers(0, 9, silences + speech).astype(np.float32)  # with ties
    silent = random.permutation(np.arange(len(levels)) < silences)
    assert separation(levels, silent) == pytest.approx(roc_auc_score(~silent, levels))


def test_separation_is_unknown_with_few_frames_of_either():
    assert np.isnan(separation(np.arange(30.0), np.arange(30) < 9))
    assert np.isnan(separation(np.arange(30.0), np.arange(30) < 21))
