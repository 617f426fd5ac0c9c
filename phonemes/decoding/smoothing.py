"""How a model's posteriors are smoothed over time, as far as the section `smooth` asks for it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phonemes.decoding.forward_backward import divided_by_prior, smoothed
from phonemes.decoding.phone_model import PhoneModel, SmoothParams, phone_model
from phonemes.model.phone_counts import PhoneCounts


class Smoothing(NamedTuple):
    """How posteriors are smoothed, and divided by the phonemes' prior."""

    phones: PhoneModel
    smooth: SmoothParams

    def applied(self, log_posteriors: Tensor, lengths: NDArray[np.integer]) -> Tensor:
        """Return log posteriors, (N, P), divided and smoothed as far as is asked for."""
        scale = self.smooth.prior_scale
        if scale:
            log_posteriors = divided_by_prior(log_posteriors, self.phones.frames, scale)
        if self.smooth.lm_scale:
            return smoothed(log_posteriors, lengths, self.phones, self.smooth)
        return log_posteriors


def smoothing_of(counts: PhoneCounts, smooth: SmoothParams) -> Smoothing | None:
    """Return how a model's posteriors are smoothed; None where nothing is."""
    if smooth.lm_scale == 0 and smooth.prior_scale == 0:
        return None
    return Smoothing(phone_model(counts), smooth)
