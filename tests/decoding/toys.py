"""A random phone model and random posteriors, for tests of decoding."""

import numpy as np
import torch
from torch import Tensor

from phonemes.decoding.phone_model import PhoneModel, SmoothParams
from phonemes.model.phone_counts import DURATION_STATES

CLASSES = 3
ON = SmoothParams(lm_scale=1.0, duration_scale=1.0, acoustic_scale=1.0, prior_scale=0.0)


def random_phones(classes=CLASSES) -> PhoneModel:
    """Return random probabilities that could have been counted."""
    rng = np.random.default_rng(0)
    following = rng.random((classes + 1, classes, classes))
    now = np.arange(classes)
    following[:, now, now] = 0
    following /= following.sum(-1, keepdims=True)
    first = rng.random(classes)
    leaving, frames = rng.uniform(0.1, 0.7, (DURATION_STATES, classes)), rng.random(classes)
    return PhoneModel(first / first.sum(), following, leaving, frames / frames.sum())


def random_posteriors(frames, classes=CLASSES) -> Tensor:
    """Return random log posteriors, (N, P)."""
    generator = torch.Generator().manual_seed(0)
    return torch.log_softmax(2 * torch.randn(frames, classes, generator=generator), 1)
