"""Label the frames of a split by several GPUs, with the bytes of one.

Every GPU has a thread, a copy of the model and a run of utterances with about as many frames.
Its forward passes are those that one GPU would make: they begin at the same frames, so that a
frame has the same place in the same matrix product. Frames of a run's first pass that lie before
its utterances are computed and dropped. What spans a batch of utterances, smoothing over time, is
left to the first GPU.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams, window_starts
from phonemes.decoding.decode import decode, outcomes, scored
from phonemes.decoding.smoothing import Smoothing
from phonemes.inference.classify import forward_rows
from phonemes.inference.outcomes import FrameScores
from phonemes.inference.windows import DeviceSplit, require_fit, to_device
from phonemes.model.store import Bundle, Model, load_model
from phonemes.storage.layout import HostSplit


class Replica(NamedTuple):
    """A copy of the model."""

    model: Model
    device: torch.device


def load_on_all(path: Path, devices: Sequence[torch.device]) -> tuple[Bundle, list[Replica]]:
    """Return what a model file holds, and its model on each device; see `load_model`."""
    bundles = [load_model(path, device) for device in devices]
    models = [bundle.model for bundle in bundles]
    return bundles[0], [*map(Replica, models, devices)]


class Run(NamedTuple):
    """Consecutive utterances of a split, for one device."""

    begin: int  # frame from which on it computes: the first of a forward pass
    first: int  # its first frame
    stop: int  # and the one after its last


def decode_on_all(
    replicas: Sequence[Replica],
    split: HostSplit,
    data: DataParams,
    lengths: NDArray[np.integer],
    classes: int,
    dtype: torch.dtype,
    smoothing: Smoothing | None,
) -> FrameScores:
    """Return the label of every frame of a split, and its scores, on the first device.

    Args:
        replicas: of the model, one for each device, all of one kind.
        split: in host memory.
        data: the k and padding that its starts were made with.
        lengths: (U,) frames of each utterance.
        classes: P.
        dtype: of the products.
        smoothing: over time, or None.

    Raises:
        InputError: frames or posteriors are not finite, the starts are not those of the frames, or
            windows and phonemes not those of the model.
    """
    (model, device), *others = replicas
    if not others:
        on_device = to_device(split, data, device, dtype)
        require_fit(model.base[0].architecture, on_device, classes)
        return decode(model, on_device, lengths, dtype, smoothing)
    networks = (*model.base, *model.stacked)
    rows = max(forward_rows(device.type, each.architecture) for each in networks)
    runs = runs_of(lengths, len(replicas), rows)

    def label(replica: Replica, run: Run) -> FrameScores | Tensor:
        model, device = replica
        part, part_lengths = _part(split, data, lengths, run)
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            on_device = _from(run, to_device(part, data, device, dtype))
            require_fit(model.base[0].architecture, on_device, classes)
            with torch.inference_mode():
                return outcomes(model, on_device, part_lengths, dtype, smoothing)

    with ThreadPoolExecutor(len(runs)) as threads:
        found = [*threads.map(label, replicas, runs)]
    return _together(found, runs, split, lengths, smoothing, device)


def runs_of(lengths: NDArray[np.integer], count: int, rows: int) -> list[Run]:
    """Return at most `count` runs of utterances, with about as many forward passes each.

    Args:
        lengths: (U,) frames of each utterance.
        count: of devices.
        rows: frames of a forward pass.
    """
    ends = np.concatenate([[0], np.cumsum(lengths)])
    passes = -(-int(ends[-1]) // rows)
    wanted = [round(passes * number / count) * rows for number in range(count)]
    firsts = np.unique(ends[:-1][np.searchsorted(ends[:-1], wanted, "right") - 1]).tolist()
    stops = [*firsts[1:], int(ends[-1])]
    return [
        Run(first // rows * rows, first, stop) for first, stop in zip(firsts, stops, strict=True)
    ]


def _part(
    split: HostSplit, data: DataParams, lengths: NDArray[np.integer], run: Run
) -> tuple[HostSplit, NDArray[np.integer]]:
    """Return the utterances that a run computes something of, and their frames from its begin."""
    ends = np.cumsum(lengths)
    chosen = slice(
        int(np.searchsorted(ends, run.begin, "right")), int(np.searchsorted(ends, run.stop)) + 1
    )
    own = lengths[chosen].copy()
    frames = slice(run.stop - int(own.sum()), run.stop)
    labels = None if split.labels is None else split.labels[frames]
    starts = window_starts(own, data.k, data.padding)
    part = split._replace(frames=split.frames[frames], starts=starts, labels=labels)
    own[0] -= run.begin - frames.start
    return part, own


def _from(run: Run, split: DeviceSplit) -> DeviceSplit:
    """Return the frames of a run from its begin on, of a split that may have some before it."""
    before = len(split.starts) - (run.stop - run.begin)
    labels = None if split.labels is None else split.labels[before:]
    return split._replace(starts=split.starts[before:], labels=labels)


@torch.inference_mode()
def _together(
    found: Sequence[FrameScores | Tensor],
    runs: Sequence[Run],
    split: HostSplit,
    lengths: NDArray[np.integer],
    smoothing: Smoothing | None,
    device: torch.device,
) -> FrameScores:
    """Put the frames of all runs in order, on a device, and score them."""

    def joined(values: Sequence[Tensor]) -> Tensor:
        own = [each[run.first - run.begin :] for each, run in zip(values, runs, strict=True)]
        return torch.cat([each.to(device) for each in own])

    labels = None
    if split.labels is not None:
        labels = torch.tensor(split.labels, device=device, dtype=torch.int64)
    whole: FrameScores | Tensor
    if isinstance(found[0], Tensor):
        whole = joined([each for each in found if isinstance(each, Tensor)])
    else:
        whole = FrameScores(*(joined(each) for each in zip(*found, strict=True)))
    return scored(whole, labels, lengths, smoothing)
