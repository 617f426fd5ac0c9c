"""Where the batches of an epoch come from: all frames on the device, or blocks that pass by."""

import torch
from torch import Tensor

from phonemes.context import DataParams
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.storage.layout import HostSplit
from phonemes.training.loop import Batches
from phonemes.training.params import TrainParams
from phonemes.training.seeds import derived
from phonemes.training.streaming import StreamedBatches, fits


class ResidentBatches:
    """Batches of a split that stays on the device, in a full shuffle.

    Every batch is full: the last one of an epoch is filled up with the frames that came first
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
        order[:count] = drawn
        order[count:] = drawn[: len(order) - count]

    def before(self, step: int) -> None:
        """Do nothing: all frames are there."""


def make_batches(
    split: HostSplit,
    data: DataParams,
    train: TrainParams,
    device: torch.device,
    dtype: torch.dtype,
) -> Batches:
    """Put a split on the device, or get it ready to pass through, as `train.batches` says."""
    auto, seed = train.batches == "auto", derived(train.seed, "order of frames")
    if train.batches == "resident" or (auto and fits(split, device, dtype)):
        return ResidentBatches(to_device(split, data, device, dtype), seed)
    return StreamedBatches(split, data, device, dtype, train.batch_size, seed)
