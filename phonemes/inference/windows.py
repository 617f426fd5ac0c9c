"""A split on the device, where every window is a view.

The padded frames are stored once; a strided view makes every window a row of it, so a
batch of windows is one gather and nothing else is stored. Frames of 16 or 8 bits stay so on
the device: `gather` widens the windows of a batch.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams, pad_by_parts, utterance_lengths, window_starts
from phonemes.errors import InputError
from phonemes.model.architecture import Architecture
from phonemes.storage.frames import LARGEST
from phonemes.storage.layout import HostSplit, Labels, Scales, StoredFrames


class DeviceSplit(NamedTuple):
    """One split on the device, ready to be batched."""

    windows: Tensor  # (R - 2k, W C) overlapping view of the padded frames: row r starts at row r
    starts: Tensor  # (N,) the row of each frame's window
    labels: Tensor | None  # (N,) int64 in [0, P); (N, D) integers for D targets a window
    # (C,) what frames are multiplied by where they are stored in a shorter type than windows get
    scales: Tensor | None = None

    @property
    def bands(self) -> int:
        """Return C."""
        return self.windows.stride(0)


def to_device(
    split: HostSplit,
    data: DataParams,
    device: torch.device,
    dtype: torch.dtype,
    utterances: NDArray[np.bool_] | None = None,
) -> DeviceSplit:
    """Put a split on the device, part by part: of a memory-mapped one little is in host memory.

    Args:
        split: in host memory; its labels are (N,), or (N, D) from `prepare.targets`.
        data: the k and padding that its starts were made with.
        device: where to.
        dtype: of windows, and of frames that are not stored in a shorter type; one of 16 bits
            loses nothing where the first layer would round to it.
        utterances: (U,) which of them, as if there were no others; None: all.

    Raises:
        InputError: the starts are not those of the frames and `data`, or frames are not finite.
    """
    k, padding = data.k, data.padding
    runs = pad_by_parts(split.frames, split.starts, k, padding, utterances=utterances)
    form = StoredForm.of(split.frames, split.scales, device, dtype)
    starts, labels = split.starts, split.labels
    if utterances is not None:
        lengths = utterance_lengths(starts)
        starts = window_starts(lengths[utterances], k, padding)
        labels = None if labels is None else labels[np.repeat(utterances, lengths)]
    count, bands = int(starts[-1]) + 2 * k + 1, split.frames.shape[1]
    padded = torch.zeros((count, bands), dtype=form.dtype, device=device)
    for first, rows in runs:
        padded[first : first + len(rows)] = as_tensor(rows).to(device, form.dtype)
    require_finite(padded, dtype)
    return DeviceSplit(
        padded.as_strided((count - 2 * k, (2 * k + 1) * bands), (bands, 1)),
        torch.tensor(starts, device=device),
        None if labels is None else _labels(labels, device),
        form.scales,
    )


class StoredForm(NamedTuple):
    """How frames lie on a device."""

    dtype: torch.dtype  # bfloat16 and 8 bits stay as they are, what is longer has that of windows
    scales: Tensor | None  # (C,) on the device, of the windows' type

    @classmethod
    def of(
        cls, frames: StoredFrames, scales: Scales | None, device: torch.device, dtype: torch.dtype
    ) -> "StoredForm":
        """Return the form of frames, (N, C), of which windows of type `dtype` are gathered.

        Raises:
            ValueError: frames of 8 bits have no scales.
            InputError: the windows' type cannot hold what frames of 8 bits stand for.
        """
        stored = stored_dtype(frames, dtype)
        if stored != torch.int8:
            ones = None if stored == dtype else torch.ones(frames.shape[1], dtype=dtype)
            return cls(stored, None if ones is None else ones.to(device))
        if scales is None:
            raise ValueError("frames of 8 bits need the scales of their bands")
        wide = torch.tensor(scales).to(device, dtype)
        require_finite(LARGEST * wide, dtype)
        return cls(stored, wide)


def stored_dtype(frames: StoredFrames, dtype: torch.dtype) -> torch.dtype:
    """Return the type of frames on a device, of which windows of type `dtype` are gathered."""
    return {1: torch.int8, 2: torch.bfloat16}.get(frames.dtype.itemsize, dtype)


def as_tensor(array: NDArray) -> Tensor:
    """Return a tensor of the same memory, which nobody will write to; uint16 are bfloat16."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        if array.dtype == np.uint16:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


def _labels(labels: Labels, device: torch.device) -> Tensor:
    """Return labels as int64, those of several targets as they are: there are many."""
    given = as_tensor(labels)
    return given.to(device, torch.int64 if labels.ndim == 1 else given.dtype)


def require_finite(frames: Tensor, dtype: torch.dtype) -> None:
    """Refuse frames that nothing could be trained on.

    Args:
        frames: as they are stored on the device.
        dtype: of windows.

    Raises:
        InputError: there is NaN, infinity or a sum that overflows.
    """
    if not frames.is_floating_point():  # 8 bits, all of which are numbers
        return
    if dtype == torch.float16:  # whose sum overflows soon, and whose values do
        if not torch.stack([*frames.aminmax()]).half().isfinite().all():
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
        kind = {4: torch.int32, 2: torch.int16, 1: torch.int8}[split.windows.dtype.itemsize]
        copied = split.windows.view(kind).numpy()[rows.numpy()]
        found = torch.from_numpy(copied).view(split.windows.dtype)
    else:
        found = split.windows[rows]
    if split.scales is None:
        return found
    # in the type of the scales, which that of both types of 16 bits is not
    wide = found.view(len(found), -1, split.bands) * split.scales
    return wide.to(split.scales.dtype).flatten(1)
