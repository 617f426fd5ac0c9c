"""A model's posteriors: the mean of its base networks', or of those stacked on them."""

import numpy as np
import pytest
import torch
from inference.toys import random_classifier, random_split

from phonemes.context import DataParams
from phonemes.inference.classify import mean_posteriors
from phonemes.inference.stacked import log_posteriors, posterior_frames
from phonemes.model.store import Model

CLASSES, PADDED = 5, 8  # of frames of posteriors, a multiple of 8 numbers


@pytest.mark.parametrize(("count", "classes", "width"), [(0, 3, 8), (5, 8, 8), (9, 71, 72)])
def test_frames_of_posteriors_are_their_square_roots(count, classes, width):
    torch.manual_seed(1)
    shares = torch.randn(count, classes).softmax(1)
    frames = posterior_frames(shares.log())
    assert frames.shape == (count, width)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames[:, :classes], shares.sqrt().numpy(), rtol=1e-5)
    assert not frames[:, classes:].any()


@pytest.fixture
def base():
    return [random_classifier(5, classes=CLASSES, seed=seed) for seed in (1, 2, 3)]


@pytest.fixture
def stacked():
    return [random_classifier(3, PADDED, CLASSES, seed=seed, activation="gelu") for seed in (4, 5)]


def test_without_stacked_networks_the_posteriors_are_the_mean_of_the_base_networks(base):
    lengths = np.array([5, 6])
    _, _, split = random_split(lengths, DataParams(2, "edge"))
    found = log_posteriors(Model(base, []), split, lengths, torch.float32)
    assert torch.equal(found, mean_posteriors(base, split, torch.float32))


def test_stacked_networks_see_windows_of_the_base_networks_posteriors(base, stacked):
    lengths = np.array([5, 1, 6])
    _, _, split = random_split(lengths, DataParams(2, "edge"))
    found = log_posteriors(Model(base, stacked), split, lengths, torch.float32)
    frames = posterior_frames(mean_posteriors(base, split, torch.float32))
    windows = [  # beyond an utterance there are zeros
        np.pad(utterance, [(1, 1), (0, 0)])[first : first + 3].flatten()
        for utterance in np.split(frames, lengths.cumsum()[:-1])
        for first in range(len(utterance))
    ]
    windows = torch.tensor(np.array(windows))
    every = [network.eval()(windows).log_softmax(1) for network, _ in stacked]
    torch.testing.assert_close(found, torch.stack(every).mean(0).log_softmax(1))
    assert found.std(0).min() > 1e-3  # frames differ
