"""A split on the device, where every window is a view.

The padded frames are stored once; a strided view makes every window a row of it, so a
batch of windows is one gather and nothing else is stored.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from phonemes.context import DataParams, pad
from phonemes.errors import InputError
from phonemes.model.architecture import Architecture
from phonemes.storage.layout import HostSplit, Labels


class DeviceSplit(NamedTuple):
    """One split on the device, ready to be batched."""

    windows: Tensor  # (R - 2k, W C) overlapping view of the padded frames: row r starts at row r
    starts: Tensor  # (N,) the row of each frame's window
    labels: Tensor | None  # (N,) int64 in [0, P); (N, D) integers for D targets a window

    @property
    def bands(self) -> int:
        """Return C."""
        return self.windows.stride(0)


def to_device(
    split: HostSplit, data: DataParams, device: torch.device, dtype: torch.dtype
) -> DeviceSplit:
    """Put a split on the device.

    Args:
        split: in host memory; its labels are (N,), or (N, D) from `prepare.targets`.
        data: the k and padding that its starts were made with.
        device: where to.
        dtype: of the frames; a shorter one loses nothing where the first layer would round to it.

    Raises:
        InputError: the starts are not those of the frames and `data`, or frames are not finite.
    """
    rows = pad(split.frames, split.starts, data.k, data.padding)
    padded = torch.from_numpy(rows).to(device, dtype)
    require_finite(padded)
    count, bands = padded.shape
    return DeviceSplit(
        padded.as_strided((count - 2 * data.k, (2 * data.k + 1) * bands), (bands, 1)),
        torch.tensor(split.starts, device=device),
        None if split.labels is None else _labels(split.labels, device),
    )


def _labels(labels: Labels, device: torch.device) -> Tensor:
    """Return labels as int64, those of several targets as they are: there are many."""
    kind = torch.int64 if labels.ndim == 1 else None
    return torch.tensor(labels, device=device, dtype=kind)


def require_finite(frames: Tensor) -> None:
    """Refuse frames that nothing could be trained on.

    Raises:
        InputError: there is NaN, infinity or a sum that overflows.
    """
    if frames.dtype == torch.float16:  # whose sum overflows soon, and whose values do
        if not frames.sum(dtype=torch.float32).isfinite():
            raise InputError(
                "the normalized frames hold NaN, infinity or numbers that float16 cannot, beyond "
                "65,504; set model.precision to fp32, or normalize.over to utterance"
            )
    elif not frames.sum().isfinite():  # needs no memory
        raise InputError(
            "the normalized frames hold NaN, infinity or huge numbers; delete data/normalized and "
            "run `dvc repro`"
        )


def require_fit(architecture: Architecture, split: DeviceSplit, classes: int) -> None:
    """Refuse a split whose windows, or an inventory whose size, are not the network's.

    Raises:
        InputError: says both sizes.
    """
    sizes = (architecture.frames, architecture.bands, architecture.classes)
    given = (split.windows.shape[1] // split.bands, split.bands, classes)
    if sizes != given:
        raise InputError(
            "the network takes windows of {} frames of {} bands and has {} phonemes, the data "
            "have {}, {} and {}: other data.k, bands or corpus; run `dvc repro`".format(
                *sizes, *given
            )
        )


def gather(split: DeviceSplit, frames: Tensor | slice) -> Tensor:
    """Return the windows of some frames of a split, (B, W C)."""
    rows = split.starts[frames]
    if split.windows.device.type == "cpu":
        # numpy copies a window as a whole, torch number by number: three times as long
        kind = {4: torch.int32, 2: torch.int16}[split.windows.dtype.itemsize]
        copied = split.windows.view(kind).numpy()[rows.numpy()]
        return torch.from_numpy(copied).view(split.windows.dtype)
    return split.windows[rows]
