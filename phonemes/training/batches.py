"""Where the batches of an epoch come from: all frames on the device, or blocks that pass by."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams, utterance_lengths
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.storage.layout import HostSplit
from phonemes.training.params import TrainParams
from phonemes.training.run import Batches
from phonemes.training.seeds import derived
from phonemes.training.streaming import StreamedBatches, fits


class ResidentBatches:
    """Batches of a split that stays on the device, in a full shuffle.

    Every batch is full: the last ones of an epoch are filled up with the frames that came first
    in it, so that one graph serves all steps and no batch is too small for batch normalization.
    """

    blocks = 1

    def __init__(self, split: DeviceSplit, seed: int) -> None:
        self.split, self.count = split, len(split.starts)
        self.generator = torch.Generator(split.windows.device).manual_seed(seed)

    def begin(self, epoch: int, order: Tensor) -> None:
        """Start an epoch; draw its order, (S B,) frames of `split`."""
        count = self.count
        drawn = torch.randperm(count, generator=self.generator, device=order.device)
        for first in range(0, len(order), count):
            order[first : first + count] = drawn[: len(order) - first]

    def before(self, step: int) -> None:
        """Do nothing: all frames are there."""


def make_batches(
    split: HostSplit,
    data: DataParams,
    train: TrainParams,
    device: torch.device,
    dtype: torch.dtype,
    utterances: NDArray[np.bool_] | None = None,
) -> Batches:
    """Put a split on the device, or get it ready to pass through, as `train.batches` says.

    Args:
        split: in host memory.
        data: the k and padding that its starts were made with.
        train: how it is trained on.
        device: where to.
        dtype: of the frames there.
        utterances: (U,) which of them; None: all.
    """
    auto, seed = train.batches == "auto", derived(train.seed, "order of frames")
    share = 1.0
    if utterances is not None:
        share = float(np.average(utterances, weights=utterance_lengths(split.starts)))
    if train.batches == "resident" or (auto and fits(split, device, dtype, share)):
        return ResidentBatches(to_device(split, data, device, dtype, utterances), seed)
    batch = train.batch_size
    return StreamedBatches(split, data, device, dtype, batch, seed, utterances=utterances)
