"""A small corpus whose labels can be learnt from the windows, and runs on it."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams, window_starts
from phonemes.inference.device import Compute
from phonemes.storage.layout import HostSplit
from phonemes.training.loop import epochs
from phonemes.training.params import FitParams
from phonemes.training.prepare import prepare
from phonemes.training.run import Run

CPU = torch.device("cpu")
CLASSES, BANDS = 3, 4
TRAIN_LENGTHS, DEV_LENGTHS = np.array([7, 1, 12, 15]), np.array([5, 9])
STEPS = 3  # of an epoch: 35 frames in batches of 16
RANDOM = {"model": {"norm": "batch", "dropout": 0.3}, "train": {"momentum": 0.9}}


def toy(lengths: NDArray, data: DataParams, seed: int = 0) -> HostSplit:
    """Return a split whose labels can be learnt."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, lengths.sum())
    frames = np.eye(BANDS)[labels] * 3 + rng.normal(0, 0.5, (len(labels), BANDS))
    return HostSplit(
        frames.astype(np.float32), window_starts(lengths, data.k, data.padding), labels
    )


def windows_of(split: HostSplit, lengths: NDArray, k: int) -> Tensor:
    """Cut the windows out one by one, (N, W C), with zeros beyond an utterance."""
    windows = []
    for utterance in torch.from_numpy(split.frames).split(lengths.tolist()):
        padded = F.pad(utterance, (0, 0, k, k))
        windows += [padded[n : n + 2 * k + 1].flatten() for n in range(len(utterance))]
    return torch.stack(windows)


def new_run(
    params: FitParams,
    train: HostSplit | None = None,
    dev: HostSplit | None = None,
    dtype: torch.dtype = torch.float32,
    classes: int = CLASSES,
) -> Run:
    """Return a run on the toy, or other splits, that is ready to start."""
    train = toy(TRAIN_LENGTHS, params.data, 0) if train is None else train
    dev = toy(DEV_LENGTHS, params.data, 1) if dev is None else dev
    return prepare(train, dev, classes, Compute(CPU, dtype), params)


def finished(run: Run) -> Run:
    """Train to the end."""
    list(epochs(run, progress=False))
    return run


def copied(run: Run) -> dict[str, Tensor]:
    """Return a copy of the network's state."""
    return {name: value.clone() for name, value in run.classifier.network.state_dict().items()}


def states(run: Run) -> list[dict[str, Tensor]]:
    """Train to the end; return the network's state after each epoch."""
    return [copied(run) for _ in epochs(run, progress=False)]


def as_bytes(state: dict[str, Tensor]) -> bytes:
    """Return all numbers of a state."""
    return b"".join(value.numpy().tobytes() for value in state.values())


def weights(run: Run) -> bytes:
    """Return all numbers of a run's network."""
    return as_bytes(run.classifier.network.state_dict())


def scores(run: Run) -> list[tuple[Any, ...]]:
    """Return the history without what depends on the clock."""
    return [row[:6] for row in run.history]
