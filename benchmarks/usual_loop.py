"""The training loop that people usually write, which this project is compared with.

A Dataset that cuts one window for each frame, out of one padded array or out of padded
utterances, a DataLoader with default collation and workers, autocast with a GradScaler on a
GPU, and .item() of loss and accuracy in each step.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Corpus(NamedTuple):
    """Frames with labels, utterances end to end."""

    frames: NDArray[np.float32]  # (N, C)
    lengths: NDArray[np.int64]  # (U,)
    labels: NDArray[np.int64]  # (N,)


class PaddedArray(Dataset):
    """One window for each frame, cut out of all utterances with padding between them."""

    def __init__(self, corpus: Corpus, k: int) -> None:
        gap = np.zeros((k, corpus.frames.shape[1]), np.float32)
        utterances = np.split(corpus.frames, np.cumsum(corpus.lengths)[:-1])
        parts = [part for utterance in utterances for part in (gap, utterance, gap)]
        self.padded, self.labels, self.k = np.concatenate(parts), corpus.labels, k
        utterance = np.repeat(np.arange(len(corpus.lengths)), corpus.lengths)
        self.centres = np.arange(len(corpus.labels)) + k * (2 * utterance + 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        centre = self.centres[index]
        window = self.padded[centre - self.k : centre + self.k + 1].reshape(-1)
        return torch.from_numpy(window), torch.tensor(self.labels[index])


class PaddedUtterances(Dataset):
    """One window for each frame, cut out of its utterance, found through a list of pairs."""

    def __init__(self, corpus: Corpus, k: int) -> None:
        ends = np.cumsum(corpus.lengths)[:-1]
        self.utterances = [
            np.pad(utterance, ((k, k), (0, 0))) for utterance in np.split(corpus.frames, ends)
        ]
        self.labels = np.split(corpus.labels, ends)
        self.pairs = [
            (number, frame)
            for number, length in enumerate(corpus.lengths)
            for frame in range(length)
        ]
        self.k = k

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        number, frame = self.pairs[index]
        window = self.utterances[number][frame : frame + 2 * self.k + 1].reshape(-1)
        return torch.from_numpy(window), torch.tensor(self.labels[number][frame])


def plain_network(inputs: int, hidden: tuple[int, ...], classes: int, seed: int) -> nn.Sequential:
    """Return the course's network as people write it, of nothing but torch's modules."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for width, following in pairwise((inputs, *hidden)):
        layers += [nn.Linear(width, following), nn.BatchNorm1d(following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], classes))


def usual_loader(
    data: Dataset, batch: int, shuffle: bool, workers: int, device: torch.device
) -> DataLoader:
    """Return the loader that people use."""
    return DataLoader(
        data,
        batch,
        shuffle=shuffle,
        drop_last=shuffle,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )


class UsualStep:
    """The step that people take: autocast, GradScaler, and a look at its loss and accuracy."""

    def __init__(self, network: nn.Module, lr: float, device: torch.device) -> None:
        self.network, self.device = network.to(device), device
        self.optimizer = torch.optim.Adam(network.parameters(), lr)
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    def logits(self, windows: Tensor) -> Tensor:
        """Return the logits of windows, (B, W C), from the host."""
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            return self.network(windows.to(self.device, non_blocking=True))

    def take(self, windows: Tensor, labels: Tensor) -> tuple[float, float]:
        """Update the network; return the mean loss and the number of correct frames."""
        labels = labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad()
        logits = self.logits(windows)
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            loss = F.cross_entropy(logits, labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item(), (logits.argmax(1) == labels).sum().item()
