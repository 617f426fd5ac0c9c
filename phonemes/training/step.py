"""The steps of training: torch's on any device, and the choice between it and the fused one."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from phonemes.inference.device import runs_triton
from phonemes.inference.windows import DeviceSplit, gather
from phonemes.model.architecture import Classifier
from phonemes.training.augmentation import distort, draw, warped_targets
from phonemes.training.loss import cross_entropy
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import FitParams, TrainParams
from phonemes.training.run import PartedStep

# steps of a run from which on compiling the fused step, a few seconds once, is won back
FUSED_FROM = 5_000
FUSED_BELOW = 2**24  # and below which it can be counted: in float32, after which masks would stay


class TorchStep:
    """A step of torch's own kernels, on any device."""

    kernels = "torch"

    def __init__(
        self,
        classifier: Classifier,
        optimizer: Optimizer,
        split: DeviceSplit,
        batch: int,
        params: FitParams,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        """Prepare to update the network in place; dropout draws from torch's random state."""
        assert split.labels is not None
        self.network, architecture = classifier
        self.middle = architecture.target_context  # number of the target that is the frame's own
        self.optimizer, self.split, self.labels = optimizer, split, split.labels
        self.train, self.augment = params.train, params.augment
        self.weights, self.dtype = weights, dtype
        self.lane = torch.arange(batch, device=split.windows.device)

    def begin(self, epoch: int) -> None:
        """Do nothing: every epoch is like the one before."""

    def memory(self) -> None:
        """Return None: what backward needs is known once it has run."""

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step; see `phonemes.training.run.Step`."""
        for _ in self.parts(order, cursor, rates, totals):
            pass

    def parts(
        self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor
    ) -> Iterator[list[Tensor]]:
        """Take one step in parts, here all gradients at once; see `PartedStep.parts`."""
        batch, device = len(self.lane), order.device.type
        frames = order[cursor * batch + self.lane]  # (B,)
        labels = self.labels[frames].view(batch, -1).long()  # (B, D), more with a time warp
        windows = gather(self.split, frames)  # (B, W C)
        if self.augment.any():
            frames_of = windows.view(batch, -1, self.split.bands)  # (B, W, C)
            drawn = draw(self.augment, frames_of)
            windows = distort(frames_of, self.augment, drawn).flatten(1)
            if self.augment.time_warp > 0:
                labels = warped_targets(labels, self.middle, self.augment, drawn)  # (B, D)
        self.optimizer.clear()
        with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.network(windows).float()
        logits = logits.view(batch, -1, logits.shape[-1])  # (B, D, P)
        loss = cross_entropy(logits, labels, self.weights, self.train.label_smoothing)
        self.optimizer.backward(loss)
        yield self.optimizer.gradients
        if self.train.clip_norm > 0:
            self.optimizer.unscale()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.train.clip_norm)
        self.optimizer.rate.copy_(rates[cursor][0])
        self.optimizer.step_scaled()
        correct = (logits[:, self.middle].detach().argmax(1) == labels[:, self.middle]).sum()
        loss = loss.detach()
        totals += torch.stack([loss * batch, correct, torch.isfinite(loss)])
        cursor += 1


def fuses(classifier: Classifier, train: TrainParams, weighted: bool, dtype: torch.dtype) -> bool:
    """Return whether there is a fused step for a network on an NVIDIA GPU, and it may be used."""
    architecture = classifier.architecture
    normalized = architecture.norm == "batch" and architecture.norm_position == "before"
    # a residual connection would add the product without its bias
    plain = architecture.norm == "none" and not architecture.residual
    return (
        train.kernels != "torch"
        and not weighted
        and dtype == torch.bfloat16
        and (normalized or plain)
    )


def make_step(
    classifier: Classifier,
    optimizer: Optimizer,
    split: DeviceSplit,
    batch: int,
    steps: int,
    params: FitParams,
    weights: Tensor | None,
    dtype: torch.dtype,
) -> PartedStep:
    """Return the fused step where there is one and compiling it is won back, else torch's.

    Args:
        classifier: whose network is updated in place.
        optimizer: of its weights.
        split: on the device, with labels.
        batch: B.
        steps: of the whole run.
        params: how the network is trained.
        weights: (P,) of the classes, or None.
        dtype: of the products.
    """
    train, device = params.train, split.windows.device
    widest = max(split.windows.shape[1], *classifier.architecture.hidden)
    if (
        runs_triton(device)
        and fuses(classifier, train, weights is not None, dtype)
        and (train.kernels == "triton" or steps >= FUSED_FROM)
        and steps < FUSED_BELOW
        and batch * widest < 2**31  # the kernels count in 32 bits
    ):
        try:
            from phonemes.training.fused.step import FusedStep  # needs Triton: CUDA's torch has it
        except ImportError:
            pass
        else:
            return FusedStep(classifier, optimizer, split, batch, params.augment, train)
    return TorchStep(classifier, optimizer, split, batch, params, weights, dtype)
