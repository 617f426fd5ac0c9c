"""Posteriors of a whole model: of its base networks, or of networks stacked on them."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams, window_starts
from phonemes.inference.classify import mean_posteriors
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.model.store import Model, posterior_bands
from phonemes.storage.layout import Frames, HostSplit

PADDING = "zero"  # of windows of posteriors: beyond an utterance no phoneme has any probability


def posterior_frames(log_posteriors: Tensor) -> Frames:
    """Return posteriors, from (N, P), as frames for stacked networks, (N, C) float32.

    Their square roots, so that small posteriors count too. C is `posterior_bands` of P.
    """
    roots = (log_posteriors / 2).exp()
    classes = roots.shape[1]
    return F.pad(roots, (0, posterior_bands(classes) - classes)).cpu().numpy()


def log_posteriors(
    model: Model, split: DeviceSplit, lengths: NDArray[np.integer], dtype: torch.dtype
) -> Tensor:
    """Return the log posteriors of every frame of a split, (N, P) float32.

    Where there are stacked networks, it is the mean of theirs.

    Args:
        model: what labels frames.
        split: of frames.
        lengths: (U,) frames of each utterance.
        dtype: of the products.
    """
    base = mean_posteriors(model.base, split, dtype)
    if not model.stacked:
        return base
    data = DataParams(model.stacked[0].architecture.frames // 2, PADDING)
    starts = window_starts(lengths, data.k, data.padding)
    windows = HostSplit(posterior_frames(base), starts, None)
    split = to_device(windows, data, split.windows.device, dtype)
    return mean_posteriors(model.stacked, split, dtype)
