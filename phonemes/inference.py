"""Classify every frame of a split that lies on the device.

The padded frames lie there once; a strided view makes every window a row of it, so a
batch of windows is one gather and nothing else is stored.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phonemes.context import Starts, pad
from phonemes.corpus import Frames, Labels
from phonemes.errors import InputError
from phonemes.params import Data


class Split(NamedTuple):
    """One split on the device, ready to be batched."""

    windows: Tensor  # (R - 2k, W C) overlapping view of the padded frames: row r starts at row r
    starts: Tensor  # (N,) the row of each frame's window
    labels: Tensor | None  # (N,) int64 in [0, P)


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
        labels: (N,) or None where there are none.
        data: the k and padding that the starts were made with.
        device: where to.
        dtype: of the frames; bfloat16 loses nothing where the first layer would round to it.
    """
    padded = torch.from_numpy(pad(frames, starts, data.k, data.padding)).to(device, dtype)
    if not padded.sum().isfinite():  # needs no memory; a sum that overflows could not train
        raise InputError(
            "the normalized frames hold NaN, infinity or huge numbers; delete data/normalized and "
            "run `dvc repro`"
        )
    rows, bands = padded.shape
    return Split(
        padded.as_strided((rows - 2 * data.k, (2 * data.k + 1) * bands), (bands, 1)),
        torch.tensor(starts, device=device),
        None if labels is None else torch.tensor(labels, device=device, dtype=torch.int64),
    )


def require_fit(network: nn.Sequential, split: Split, classes: int) -> None:
    """Refuse a split whose windows, or an inventory whose size, are not the network's.

    Raises:
        InputError: says both sizes.
    """
    weights = [layer.weight for layer in network if isinstance(layer, nn.Linear)]
    sizes = (weights[0].shape[1], weights[-1].shape[0])  # W C and P
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
    if split.windows.device.type == "cpu" and split.windows.dtype == torch.float32:
        # numpy copies a window as a whole, torch number by number: three times as long
        return torch.from_numpy(split.windows.numpy()[rows.numpy()])
    return split.windows[rows]


@torch.inference_mode()
def classify(network: nn.Module, split: Split, batch: int, dtype: torch.dtype) -> Outcomes:
    """Run the network over every frame of a split, in order, `batch` frames at a time."""
    network.eval()
    count, device = len(split.starts), split.windows.device
    predicted = torch.empty(count, dtype=torch.int64, device=device)
    loss = torch.zeros(count, device=device)
    top3 = torch.zeros(count, dtype=torch.bool, device=device)
    for first in range(0, count, batch):
        rows = slice(first, first + batch)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = network(gather(split, rows)).float()  # (B, P)
        predicted[rows] = logits.argmax(1)
        if split.labels is not None:
            labels = split.labels[rows]
            loss[rows] = F.cross_entropy(logits, labels, reduction="none")
            likeliest = logits.topk(min(3, logits.shape[1])).indices
            top3[rows] = (likeliest == labels[:, None]).any(1)
    return Outcomes(predicted, loss, top3)
