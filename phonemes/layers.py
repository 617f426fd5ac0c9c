"""Layers of the classifier that torch does not have, or not as fast."""

import torch
from torch import Tensor, nn


def thin_out(k: int, whole: int) -> tuple[int, ...]:
    """Return the frames of each average, outwards, beyond `whole` of k frames of context.

    2, 2, 2, 3, 3, 3, 4, ...; the last one has what is left. None where `whole` is 0.
    """
    runs: list[int] = []
    left = k - whole if whole else 0
    while left > 0:
        runs.append(min(2 + len(runs) // 3, left))
        left -= runs[-1]
    return tuple(runs)


class Thinning(nn.Module):
    """Averages of neighbouring frames far from the middle of a window; those near it stay.

    Context that thins out with the distance has fewer weights to learn, and can be wider.
    The averages are fixed and linear: at rest they are folded into the first product.
    """

    averaging: Tensor

    def __init__(self, frames: int, bands: int, thin: tuple[int, ...]) -> None:
        """Average runs of frames, as long as `thin` says, at both ends of a window of W = `frames`.

        The first run is the one nearest the middle.
        """
        super().__init__()
        self.frames, self.bands = frames, bands
        near = frames - 2 * sum(thin)
        self.widths = (*reversed(thin), *[1] * near, *thin)
        ends = torch.tensor(self.widths).cumsum(0)[:, None]
        starts = ends - torch.tensor(self.widths)[:, None]
        frame = torch.arange(frames)
        averaging = ((frame >= starts) & (frame < ends)) / (ends - starts)  # (S, W)
        self.register_buffer("averaging", averaging, persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        """Return averages, (B, S C), of windows (B, W C)."""
        apart = windows.view(len(windows), self.frames, self.bands)
        return (self.averaging.to(apart.dtype) @ apart).flatten(1)

    def extra_repr(self) -> str:
        """Tell how many frames become how many."""
        return f"{self.frames} frames, {len(self.widths)} of them or averages"

    def before(self, product: nn.Linear) -> nn.Linear:
        """Return the product that does the same to whole windows as this and `product`."""
        whole = nn.Linear(self.frames * self.bands, product.out_features, product.bias is not None)
        apart = product.weight.view(product.out_features, -1, self.bands)  # (H, S, C)
        whole.weight = nn.Parameter(torch.einsum("hsc,sw->hwc", apart, self.averaging).flatten(1))
        whole.bias = product.bias
        return whole.train(product.training)


class Dropout(nn.Dropout):
    """Dropout that takes 16 random bits a value on a CPU, where torch draws a number for each.

    Those numbers, drawn on one core, take longer than the products between them. A share
    that is dropped is a multiple of 1 / 65,536.
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
        """Return values, (B, H), and what the layers make of them, added."""
        return values + self.layers(values)


class Apart(nn.Module):
    """Logits of each label that a window tells."""

    def __init__(self, neighbours: int, classes: int) -> None:
        """Tell D = 2n + 1 labels apart."""
        super().__init__()
        self.neighbours, self.told, self.classes = neighbours, 2 * neighbours + 1, classes

    def forward(self, logits: Tensor) -> Tensor:
        """Return logits (B, D, P) of logits (B, D P)."""
        return logits.view(len(logits), self.told, self.classes)

    def extra_repr(self) -> str:
        """Tell how many labels there are."""
        return f"{self.told} labels of {self.classes} classes"
