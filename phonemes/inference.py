"""Classify every frame of a split that lies on the device.

The padded frames lie there once; a strided view makes every window a row of it, so a
batch of windows is one gather and nothing else is stored.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from phonemes.context import Starts, pad
from phonemes.corpus import Frames, Labels
from phonemes.errors import InputError
from phonemes.layers import Apart, Residual, Thinning
from phonemes.model import window_values
from phonemes.neighbours import averaged
from phonemes.params import Data

SILENT = "zero"  # padding of windows of posteriors: beyond an utterance there is no phoneme at all


class Split(NamedTuple):
    """One split on the device, ready to be batched."""

    windows: Tensor  # (R - 2k, W C) overlapping view of the padded frames: row r starts at row r
    starts: Tensor  # (N,) the row of each frame's window
    labels: Tensor | None  # (N,) int64 in [0, P); (N, L) to learn more: see `fitting.labels_told`


class Outcomes(NamedTuple):
    """What the network made of each frame of a split, on the device."""

    predicted: Tensor  # (N,) int64
    loss: Tensor  # (N,) float32, nats; zeros without labels
    top3: Tensor  # (N,) bool: the label is among the three likeliest; False without labels


def place(
    frames: Frames,
    starts: Starts,
    labels: Labels | None,
    data: Data,
    device: torch.device,
    dtype: torch.dtype,
) -> Split:
    """Put a split on the device.

    Args:
        frames: (N, C) normalized.
        starts: (N,) from `context.window_starts`.
        labels: (N,), (N, L) from `fitting.labels_told`, or None where there are none.
        data: the k and padding that the starts were made with.
        device: where to.
        dtype: of the frames; bfloat16 loses nothing where the first layer would round to it.
    """
    padded = torch.from_numpy(pad(frames, starts, data.k, data.padding)).to(device, dtype)
    require_finite(padded)
    rows, bands = padded.shape
    return Split(
        padded.as_strided((rows - 2 * data.k, (2 * data.k + 1) * bands), (bands, 1)),
        torch.tensor(starts, device=device),
        None if labels is None else _labels(labels, device),
    )


def _labels(labels: Labels, device: torch.device) -> Tensor:
    """Return labels as int64, those of neighbours as they are: there are many."""
    kind = torch.int64 if labels.ndim == 1 else None
    return torch.tensor(labels, device=device, dtype=kind)


def require_finite(frames: Tensor) -> None:
    """Refuse frames that nothing could be trained on.

    Raises:
        InputError: there is NaN, infinity or a sum that overflows.
    """
    if not frames.sum().isfinite():  # needs no memory
        raise InputError(
            "the normalized frames hold NaN, infinity or huge numbers; delete data/normalized and "
            "run `dvc repro`"
        )


def require_fit(network: nn.Sequential, split: Split, classes: int) -> None:
    """Refuse a split whose windows, or an inventory whose size, are not the network's.

    Raises:
        InputError: says both sizes.
    """
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.Linear)]
    last = network[-1]
    told = last.classes if isinstance(last, Apart) else weights[-1].shape[0]
    sizes = (window_values(network), told)  # W C and P
    given = (split.windows.shape[1], classes)
    if sizes != given:
        raise InputError(
            f"the network takes windows of {sizes[0]} values and tells {sizes[1]} phonemes apart, "
            f"the data have {given[0]} and {given[1]}: other bands, data.k or corpus; "
            "run `dvc repro`"
        )


def gather(split: Split, frames: Tensor | slice) -> Tensor:
    """Return the windows of some frames of a split, (B, W C)."""
    rows = split.starts[frames]
    if split.windows.device.type == "cpu":
        # numpy copies a window as a whole, torch number by number: three times as long
        kind = {4: torch.int32, 2: torch.int16}[split.windows.dtype.itemsize]
        copied = split.windows.view(kind).numpy()[rows.numpy()]
        return torch.from_numpy(copied).view(split.windows.dtype)
    return split.windows[rows]


class ProductWithReLU(nn.Module):
    """A product, its bias and ReLU in one pass over memory."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, values: Tensor) -> Tensor:
        """Return what enters the next layer."""
        return torch._addmm_activation(self.linear.bias, values, self.linear.weight.t())


def folded(network: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    """Return a network at rest, (B, W C) to logits (B, P), with products in `dtype`.

    Dropout is gone, and averages before a product and batch normalization after it are
    folded into it.
    """
    network.eval()
    layers: list[nn.Module] = []
    for layer in network:
        product = layers[-1] if layers and isinstance(layers[-1], nn.Linear) else None
        if isinstance(layer, nn.Linear) and layers and isinstance(layers[-1], Thinning):
            layers[-1] = layers[-1].before(layer)
        elif isinstance(layer, nn.BatchNorm1d) and product:
            layers[-1] = fuse_linear_bn_eval(product, layer)
        elif isinstance(layer, nn.ReLU) and product and product.bias is not None:
            layers[-1] = ProductWithReLU(product)
        elif isinstance(layer, Residual):
            layers.append(Residual(*folded(layer.layers, dtype)))
        elif not isinstance(layer, nn.Dropout):
            layers.append(layer)
    return nn.Sequential(
        *(
            copy.deepcopy(layer).to(dtype)
            if isinstance(layer, nn.Linear | ProductWithReLU)
            else layer
            for layer in layers
        )
    )


@torch.inference_mode()
def classify(network: nn.Sequential, split: Split, batch: int, dtype: torch.dtype) -> Outcomes:
    """Run the network over every frame of a split, in order, `batch` frames at a time."""
    count, device = len(split.starts), split.windows.device
    judged = _judge_for(device)
    predicted = torch.empty(count, dtype=torch.int64, device=device)
    loss = torch.zeros(count, device=device)
    top3 = torch.zeros(count, dtype=torch.bool, device=device)
    for rows, logits in _logits(network, split, batch, dtype):
        if split.labels is None:
            predicted[rows] = logits.argmax(1)
        else:
            predicted[rows], loss[rows], top3[rows] = judged(logits, split.labels[rows])
    return Outcomes(predicted, loss, top3)


@torch.inference_mode()
def posteriors(network: nn.Sequential, split: Split, batch: int, dtype: torch.dtype) -> Tensor:
    """Return the log posteriors of every frame of a split, (N, P) float32."""
    parts = _logits(network, split, batch, dtype)
    return torch.cat([torch.log_softmax(logits.float(), 1) for _, logits in parts])


def mean_posteriors(
    networks: Sequence[nn.Sequential], split: Split, batch: int, dtype: torch.dtype
) -> Tensor:
    """Return the mean of the networks' log posteriors, as log posteriors (N, P) float32."""
    every = [posteriors(network, split, batch, dtype) for network in networks]
    return torch.stack(every).mean(0).log_softmax(1)


def as_frames(log_posteriors: Tensor) -> Frames:
    """Return posteriors, from (N, P), as frames for second networks, (N, C) float32.

    Their square roots, so that unlikely phonemes tell something too. C is P or a little
    more, of zeros: products are slow on rows that 16 bytes do not divide.
    """
    roots = (log_posteriors / 2).exp()
    return F.pad(roots, (0, -roots.shape[1] % 8)).cpu().numpy()


def _logits(
    network: nn.Sequential, split: Split, batch: int, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the frames of a split, `batch` at a time, and their logits, (B, P).

    Where the network tells more labels, they are log posteriors of frames, averaged over all
    windows that tell a frame's label.
    """
    resting = folded(network, dtype)
    last, count = network[-1], len(split.starts)
    n = last.neighbours if isinstance(last, Apart) else 0
    for first in range(0, count, batch):
        rows = slice(first, min(first + batch, count))
        around = slice(max(first - n, 0), rows.stop + n)
        with torch.autocast(split.windows.device.type, dtype, enabled=dtype != torch.float32):
            logits = resting(gather(split, around))
        if isinstance(last, Apart):
            shares = averaged(torch.log_softmax(logits.float(), 2), split.starts[around])
            begin = first - around.start
            logits = shares[begin : begin + rows.stop - first]
        yield rows, logits


def judge(logits: Tensor, labels: Tensor) -> Outcomes:
    """Return the outcome of some frames with logits (B, P) and labels (B,)."""
    logits = logits.float()
    loss = F.cross_entropy(logits, labels, reduction="none")
    likelier = (logits > logits.gather(1, labels[:, None])).sum(1)
    return Outcomes(logits.argmax(1), loss, likelier < 3)


def _judge_for(device: torch.device) -> Callable[[Tensor, Tensor], Outcomes]:
    """Return `judge`, or what does the same in one pass where there is an NVIDIA GPU."""
    if device.type == "cuda":
        with suppress(ImportError):  # of Triton, which comes with torch for CUDA
            from phonemes.fused import judge as judge_at_once

            return judge_at_once
    return judge
