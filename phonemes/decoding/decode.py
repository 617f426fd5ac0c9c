"""Label every frame of a split with all that a model has: networks, stacked ones, smoothing."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.decoding.forward_backward import divided_by_prior, smoothed
from phonemes.decoding.phone_model import PhoneModel, SmoothParams, phone_model
from phonemes.errors import InputError
from phonemes.inference.classify import classify
from phonemes.inference.outcomes import FrameScores, score_frames
from phonemes.inference.stacked import log_posteriors
from phonemes.inference.windows import DeviceSplit
from phonemes.model.phone_counts import PhoneCounts
from phonemes.model.store import Model
from phonemes.storage.layout import MODEL


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


@torch.inference_mode()
def decode(
    model: Model,
    split: DeviceSplit,
    lengths: NDArray[np.integer],
    dtype: torch.dtype,
    smoothing: Smoothing | None,
) -> FrameScores:
    """Return the label of every frame of a split, and its scores; see `FrameScores`.

    Args:
        model: what labels frames.
        split: of frames.
        lengths: (U,) frames of each utterance.
        dtype: of the products.
        smoothing: over time, or None.

    Raises:
        InputError: the posteriors of a frame are not finite; says of how many.
    """
    if len(model.base) == 1 and not model.stacked and not smoothing:
        scores = classify(model.base[0], split, dtype)
    else:
        posteriors = log_posteriors(model, split, lengths, dtype)
        if smoothing:
            posteriors = smoothing.applied(posteriors, lengths)
        labels = posteriors.argmax(1) if split.labels is None else split.labels
        scores = score_frames(posteriors, labels)
    if broken := int((~scores.loss.isfinite()).sum()):
        raise InputError(
            f"{MODEL} gives {broken:,} of {len(scores.loss):,} frames posteriors that are NaN or "
            "infinite: its weights or the frames are too large; delete it and run `dvc repro`, "
            "with a lower train.lr if it comes back"
        )
    return scores
