"""Label every frame of a split with all that a model has: networks, second ones, smoothing."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import window_starts
from phonemes.inference import (
    SILENT,
    Outcomes,
    Split,
    as_frames,
    classify,
    judge,
    mean_posteriors,
    place,
)
from phonemes.model import Model, window_values
from phonemes.params import Data
from phonemes.smoothing import Smoothing


def log_posteriors(
    model: Model, split: Split, lengths: NDArray[np.integer], batch: int, dtype: torch.dtype
) -> Tensor:
    """Return the log posteriors of every frame of a split, (N, P) float32.

    Where there are second networks, it is the mean of theirs.

    Args:
        model: what labels frames.
        split: of frames.
        lengths: (U,) frames of each utterance.
        batch: frames of a forward pass.
        dtype: of its products.
    """
    shares = mean_posteriors(model.first, split, batch, dtype)
    if not model.second:
        return shares
    frames = as_frames(shares)
    width = window_values(model.second[0]) // frames.shape[1]
    data = Data(width // 2, SILENT)
    starts = window_starts(lengths, data.k, data.padding)
    windows = place(frames, starts, None, data, split.windows.device, dtype)
    return mean_posteriors(model.second, windows, batch, dtype)


@torch.inference_mode()
def recognize(
    model: Model,
    split: Split,
    lengths: NDArray[np.integer],
    batch: int,
    dtype: torch.dtype,
    smoothing: Smoothing | None,
) -> Outcomes:
    """Return the outcome of every frame of a split; see `log_posteriors`.

    Posteriors are first divided by how frequent phonemes are, where that is asked for.
    Smoothed, they are those given the whole utterance.
    """
    if len(model.first) == 1 and not model.second and not smoothing:
        return classify(model.first[0], split, batch, dtype)
    shares = log_posteriors(model, split, lengths, batch, dtype)
    if smoothing:
        shares = smoothing.applied(shares, lengths)
    if split.labels is None:
        nothing = torch.zeros(len(shares), device=shares.device)
        return Outcomes(shares.argmax(1), nothing, nothing.bool())
    return judge(shares, split.labels)
