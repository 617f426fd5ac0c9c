"""A window's labels are those of its own utterance, and what is averaged belongs together."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phonemes.context import window_starts
from phonemes.neighbours import averaged, labels_around

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(np.array)
contexts = st.tuples(st.integers(0, 3), st.sampled_from(["zero", "edge"]))


def utterances(values, lengths):
    return np.split(values, np.cumsum(lengths)[:-1])


@given(several_lengths, contexts, st.integers(0, 9))
def test_labels_around_a_frame_are_those_of_its_utterance(lengths, context, n):
    labels = np.random.default_rng(0).integers(0, 71, lengths.sum()).astype(np.uint8)
    around = labels_around(labels, window_starts(lengths, *context), n)
    assert around.dtype == labels.dtype
    by_hand = [
        np.pad(utterance, n, "edge")[first : first + 2 * n + 1]
        for utterance in utterances(labels, lengths)
        for first in range(len(utterance))
    ]
    assert np.array_equal(around, by_hand)


@given(several_lengths, contexts, st.integers(0, 9))
def test_a_frame_has_the_mean_of_all_predictions_by_its_utterance(lengths, context, n):
    torch.manual_seed(0)
    shares = torch.randn(int(lengths.sum()), 2 * n + 1, 5).log_softmax(2)
    starts = torch.from_numpy(window_starts(lengths, *context))
    found = averaged(shares, starts)
    expected, first = [], 0
    for length in lengths:
        for frame in range(length):
            told = [
                shares[first + window, n + frame - window]
                for window in range(length)
                if abs(frame - window) <= n
            ]
            expected.append(torch.stack(told).mean(0).log_softmax(0))
        first += length
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_predictions_that_agree_are_averaged_to_themselves(count):
    """Every window tells the same of a frame: a code of the frame's own."""
    codes = torch.randn(count + 4, 3).log_softmax(1)
    shares = torch.stack([codes[frame : frame + 5] for frame in range(count)])
    found = averaged(shares, torch.arange(count))
    torch.testing.assert_close(found, codes[2 : count + 2])
