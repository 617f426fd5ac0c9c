"""The predictions that are averaged are of one frame, and all from its own utterance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phonemes.context import window_starts
from phonemes.inference.overlap import average_overlapping

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(np.array)
contexts = st.tuples(st.integers(0, 3), st.sampled_from(["zero", "edge"]))


@given(several_lengths, contexts, st.integers(0, 9))
def test_a_frame_gets_the_mean_of_all_predictions_by_its_utterance(lengths, context, n):
    torch.manual_seed(0)
    log_posteriors = torch.randn(int(lengths.sum()), 2 * n + 1, 5).log_softmax(2)
    starts = torch.from_numpy(window_starts(lengths, *context))
    averages = average_overlapping(log_posteriors, starts)
    expected, first = [], 0
    for length in lengths:
        for frame in range(length):
            predictions = [
                log_posteriors[first + window, n + frame - window]
                for window in range(length)
                if abs(frame - window) <= n
            ]
            expected.append(torch.stack(predictions).mean(0).log_softmax(0))
        first += length
    torch.testing.assert_close(averages, torch.stack(expected))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_predictions_that_agree_are_averaged_to_themselves(count):
    """All windows predict the same of a frame: a code of the frame's own."""
    codes = torch.randn(count + 4, 3).log_softmax(1)
    log_posteriors = torch.stack([codes[frame : frame + 5] for frame in range(count)])
    averages = average_overlapping(log_posteriors, torch.arange(count))
    torch.testing.assert_close(averages, codes[2 : count + 2])
