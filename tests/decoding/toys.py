"""A random phone model and random posteriors, for tests of decoding."""

import numpy as np
import torch
from torch import Tensor

from phonemes.decoding.phone_model import PhoneModel, SmoothParams, phone_model
from phonemes.model.phone_counts import DURATION_STATES, PhoneCounts, count_phones

CLASSES = 3
ON = SmoothParams(lm_scale=1.0, duration_scale=1.0, acoustic_scale=1.0, prior_scale=0.0)


def random_counts(classes=CLASSES) -> PhoneCounts:
    """Return counts of random phones, of which some histories of each length are frequent."""
    steps = np.random.default_rng(0).integers(1, max(classes, 2), 60)
    labels = np.cumsum(steps) % classes
    return count_phones(labels, np.array([30, 30]), classes)


def random_phones(classes=CLASSES) -> PhoneModel:
    """Return random probabilities, and histories of up to four phonemes."""
    rng = np.random.default_rng(0)
    first = rng.random(classes)
    leaving, frames = rng.uniform(0.1, 0.7, (DURATION_STATES, classes)), rng.random(classes)
    histories = phone_model(random_counts(classes)).histories
    return PhoneModel(first / first.sum(), histories, leaving, frames / frames.sum())


def random_posteriors(frames, classes=CLASSES) -> Tensor:
    """Return random log posteriors, (N, P)."""
    generator = torch.Generator().manual_seed(0)
    return torch.log_softmax(2 * torch.randn(frames, classes, generator=generator), 1)
