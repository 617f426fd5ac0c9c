"""Layers of the network that torch does not have, or not as fast."""

import numpy as np
import torch
from torch import Tensor, nn


def pool_sizes(k: int, full_rate: int) -> tuple[int, ...]:
    """Return the frames of each mean, from the middle outwards, of k frames of context.

    The first `full_rate` frames are not pooled; those beyond in runs of 2, 2, 2, 3, 3, 3, 4, ...
    frames, the last run being what is left. No run where `full_rate` is 0: all stay.
    """
    runs: list[int] = []
    left = k - full_rate if full_rate else 0
    while left > 0:
        runs.append(min(2 + len(runs) // 3, left))
        left -= runs[-1]
    return tuple(runs)


class Linear(nn.Linear):
    """A linear layer whose weights are not set yet: they are drawn or read into it.

    torch's own draws them where it is made, from the random state of all threads, also where
    those of a file replace them.
    """

    def reset_parameters(self) -> None:
        """Set nothing."""


class ContextPooling(nn.Module):
    """Means of neighbouring frames far from the middle of a window; those near it stay.

    Context that gets coarser with the distance has fewer weights to learn, and can be wider.
    The means are fixed and linear: for inference they are folded into the first product.
    """

    averaging: Tensor

    def __init__(self, frames: int, bands: int, sizes: tuple[int, ...]) -> None:
        """Pool runs of frames, as long as `sizes` says, at both ends of a window of W = `frames`.

        The first run is the one nearest the middle.
        """
        super().__init__()
        self.frames, self.bands = frames, bands
        near = frames - 2 * sum(sizes)
        self.widths = (*reversed(sizes), *[1] * near, *sizes)
        widths = np.array(self.widths)[:, None]
        ends = widths.cumsum(0)
        frame = np.arange(frames)
        averaging = ((frame >= ends - widths) & (frame < ends)) / widths.astype(np.float32)
        # computed by numpy: torch imports its compiler, for a second, where tensors are `meta`
        self.register_buffer("averaging", torch.tensor(averaging), persistent=False)  # (S, W)

    def forward(self, windows: Tensor) -> Tensor:
        """Return pooled windows, (B, S C), of windows (B, W C)."""
        frames = windows.view(len(windows), self.frames, self.bands)
        return (self.averaging.to(frames.dtype) @ frames).flatten(1)

    def folded_into(self, product: nn.Linear) -> nn.Linear:
        """Return the product that does to whole windows what this and `product` do."""
        joint = Linear(self.frames * self.bands, product.out_features, product.bias is not None)
        weights = product.weight.view(product.out_features, -1, self.bands)  # (H, S, C)
        joint.weight = nn.Parameter(torch.einsum("hsc,sw->hwc", weights, self.averaging).flatten(1))
        joint.bias = product.bias
        return joint.train(product.training)


class Dropout(nn.Dropout):
    """Dropout that takes 16 random bits a value on a CPU, where torch draws a number for each.

    Those numbers, drawn on one core, take longer than the products between them. The
    probability is rounded to a multiple of 1 / 65,536.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return values of any shape, a share `p` of them zeroed while training, others scaled."""
        if not self.training or values.device.type != "cpu":
            return super().forward(values)
        words = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.int16)[: values.numel()].view(values.shape)
        kept = drawn >= round(self.p * 2**16) - 2**15
        return values * kept.to(values.dtype).mul_(1 / (1 - self.p))


class Residual(nn.Module):
    """Layers whose output is added to their input."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """Return values, (B, H), plus what the layers make of them."""
        return values + self.layers(values)


class MultiTargetHead(nn.Module):
    """Logits of each of the D targets of a window."""

    def __init__(self, targets: int, classes: int) -> None:
        """Part D = `targets` times P = `classes` logits."""
        super().__init__()
        self.targets, self.classes = targets, classes

    def forward(self, logits: Tensor) -> Tensor:
        """Return logits (B, D, P) of logits (B, D P)."""
        return logits.view(len(logits), self.targets, self.classes)
