"""Label every frame of a split with all that a model has: networks, stacked ones, smoothing."""

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.decoding.smoothing import Smoothing
from phonemes.errors import InputError
from phonemes.inference.classify import classify
from phonemes.inference.outcomes import FrameScores, score_frames
from phonemes.inference.stacked import log_posteriors
from phonemes.inference.windows import DeviceSplit
from phonemes.model.store import Model
from phonemes.storage.layout import MODEL


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
