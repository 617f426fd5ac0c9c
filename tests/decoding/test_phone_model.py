"""Phonemes are counted within utterances, and what was never counted stays possible."""

import numpy as np
import pytest

from phonemes.decoding.phone_model import PRIOR_FRAMES, phone_model
from phonemes.model.phone_counts import DURATION_STATES, count_phones


def test_phonemes_are_counted_within_utterances_from_one_to_the_next():
    labels = np.repeat([0, 1, 2, 0, 1, 2], 4)  # 0 1 2, twice
    model = phone_model(count_phones(labels, np.array([12, 12]), 4))
    np.testing.assert_allclose(model.first, np.array([3, 3, 3, 1]) / 10)
    # after 1 came 2, twice, of one kind: (2 + 1 x 0.3) / 3, where 1 itself is left out
    pair = (2 + 0.3) / 3 / 0.9
    assert model.following[3, 1, 2] == pytest.approx(pair)  # 3 1 never came
    assert model.following[0, 1, 2] == pytest.approx((2 + pair) / 3)
    # before an utterance's second phoneme there is none before the first: the bigram
    assert model.following.shape == (5, 4, 4)
    assert model.following[4, 1, 2] == pytest.approx(pair)
    # 2 and 0 are neighbours in the array but not in an utterance: after 2 anything may come
    np.testing.assert_allclose(model.following[1, 2], np.array([3, 3, 0, 1]) / 7)
    # each lasts four frames; of the last duration state only 0 and 1 are left
    assert model.leaving.shape == (DURATION_STATES, 4)
    ended, lived = np.array([2, 2, 0, 0]), np.array([4, 4, 4, 0])
    common = (4 + 0.1) / (12 + 1)
    expected = (ended + PRIOR_FRAMES * common) / (lived + PRIOR_FRAMES)
    np.testing.assert_allclose(model.leaving[2], expected)
    assert (model.leaving[:2] < 0.1).all()
    np.testing.assert_allclose(model.frames, np.array([9, 9, 9, 1]) / 28)


def test_a_phoneme_at_the_end_of_an_utterance_and_the_start_of_the_next_counts_twice():
    labels = np.repeat([1, 0, 0, 1], 4)
    model = phone_model(count_phones(labels, np.array([8, 8]), 2))
    np.testing.assert_allclose(model.first, [1 / 2, 1 / 2])
    reordered = phone_model(count_phones(np.repeat([0, 1, 1, 0], 4), np.array([8, 8]), 2))
    np.testing.assert_allclose(model.following[2], [[0, 1], [1, 0]])
    for found, expected in zip(model, reordered, strict=True):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("seed", range(3))
def test_all_are_probabilities_and_no_phoneme_follows_itself(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, 10)
    model = phone_model(count_phones(rng.integers(0, 5, lengths.sum()), lengths, 6))
    np.testing.assert_allclose(model.following.sum(-1), 1)
    now = np.arange(6)
    assert (model.following[:, now, now] == 0).all()
    others = ~np.eye(6, dtype=bool)
    assert (model.following[:, others] > 0).all()  # what was never seen stays possible
    assert model.first.sum() == pytest.approx(1)
    assert model.frames.sum() == pytest.approx(1)
    assert (model.frames > 0).all()  # of a phoneme that the training set lacks too
    assert ((model.leaving > 0) & (model.leaving < 1)).all()
