"""Label every frame of a split with all that a model has: networks, stacked ones, smoothing."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    found = outcomes(model, split, lengths, dtype, smoothing)
    return scored(found, split.labels, lengths, smoothing)


def outcomes(
    model: Model,
    split: DeviceSplit,
    lengths: NDArray[np.integer],
    dtype: torch.dtype,
    smoothing: Smoothing | None,
) -> FrameScores | Tensor:
    """Return what the networks make of each frame, before smoothing; see `decode`.

    These are scores where a single network gives them at once, else log posteriors, (N, P).
    """
    if len(model.base) == 1 and not model.stacked and not smoothing:
        return classify(model.base[0], split, dtype)
    return log_posteriors(model, split, lengths, dtype)


def scored(
    found: FrameScores | Tensor,
    labels: Tensor | None,
    lengths: NDArray[np.integer],
    smoothing: Smoothing | None,
) -> FrameScores:
    """Return the scores of frames with `outcomes`, of whole utterances.

    Args:
        found: from `outcomes`.
        labels: (N,) where the split has some.
        lengths: (U,) frames of each utterance.
        smoothing: over time, or None.

    Raises:
        InputError: the posteriors of a frame are not finite; says of how many.
    """
    if isinstance(found, Tensor):
        posteriors = smoothing.applied(found, lengths) if smoothing else found
        chosen = posteriors.argmax(1) if labels is None else labels
        scores = score_frames(posteriors, chosen)
    else:
        scores = found
    if broken := int((~scores.loss.isfinite()).sum()):
        raise InputError(
            f"{MODEL} gives {broken:,} of {len(scores.loss):,} frames posteriors that are NaN or "
            "infinite: its weights or the frames are too large; delete it and run `dvc repro`, "
            "with a lower train.lr if it comes back"
        )
    return scores
