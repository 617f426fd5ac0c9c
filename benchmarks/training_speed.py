"""How fast whole training steps are, against the usual loop and what the machine can do.

    python -m benchmarks.training_speed [--batch 2048 16384] [--json FILE]

trains the network that CMU 11-785 recommends (1024-1024-1024-512-256-256, batch
normalization, ReLU, Adam) on random frames of 40 bands with 32 of context on each side
and 71 classes, on whatever device is there. A step is gather, forward, loss, backward
and optimizer. Each row is measured in every round; its median counts.

The usual loop is what people run: a Dataset that cuts one window for each frame, out of
one padded array or out of padded utterances, a DataLoader with default collation and
workers, autocast with a GradScaler on a GPU, and .item() of loss and accuracy in each
step. The best of its variants is 1 in the column of ratios; it runs at the first batch
size alone.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from phonemes.context import window_starts
from phonemes.device import choose_device, choose_precision
from phonemes.inference import Split, classify, gather, place
from phonemes.model import Architecture, build
from phonemes.optimizer import Optimizer
from phonemes.params import UNDISTORTED, Augment, Data, Train, load
from phonemes.streaming import Blocks
from phonemes.training import Training

HIDDEN = (1024, 1024, 1024, 512, 256, 256)
BANDS, CLASSES, K = 40, 71, 32
UTTERANCE = 315  # frames, about
DISTORTIONS = Augment(
    mel_scale=0.12, mel_shift=1.5, speed=0.15, gain=0.2, tilt=0.3, noise=0.2,
    time_masks=2, time_mask=10, band_masks=2, band_mask=6,
)  # fmt: skip


class Corpus(NamedTuple):
    """Random frames with random labels."""

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


Measure = Callable[[float], float]  # seconds to spend -> frames a second


class Row(NamedTuple):
    """What is measured."""

    measure: Measure
    dtype: torch.dtype  # of the matrix products
    flops: int  # of a frame, in them


def random_corpus(frames: int, seed: int = 1) -> Corpus:
    """Return about so many random frames."""
    random = np.random.default_rng(seed)
    lengths = random.integers(UTTERANCE * 3 // 4, UTTERANCE * 5 // 4, max(2, frames // UTTERANCE))
    count = int(lengths.sum())
    values = random.standard_normal((count, BANDS), np.float32)
    return Corpus(values, lengths, random.integers(0, CLASSES, count))


def products(hidden: tuple[int, ...] = HIDDEN) -> list[tuple[int, int]]:
    """Return inputs and outputs of each linear layer."""
    return list(pairwise(((2 * K + 1) * BANDS, *hidden, CLASSES)))


def training_flops(hidden: tuple[int, ...] = HIDDEN) -> int:
    """Return the operations that a frame costs in a training step's matrix products."""
    sizes = [inputs * outputs for inputs, outputs in products(hidden)]
    return 2 * (3 * sum(sizes) - sizes[0])  # the first layer needs no gradient of its input


def forward_flops(hidden: tuple[int, ...] = HIDDEN) -> int:
    """Return the operations that a frame costs in the products of a forward pass."""
    return 2 * sum(inputs * outputs for inputs, outputs in products(hidden))


def network_of(train: Train, device: torch.device) -> nn.Sequential:
    """Return a new network."""
    torch.manual_seed(train.seed)
    return build(Architecture.of(train, 2 * K + 1, BANDS, CLASSES)).to(device)


def plain_network(train: Train, inputs: int, classes: int) -> nn.Sequential:
    """Return the same network as people write it, of nothing but torch's modules."""
    torch.manual_seed(train.seed)
    layers: list[nn.Module] = []
    for width, following in pairwise((inputs, *train.hidden)):
        layers += [nn.Linear(width, following), nn.BatchNorm1d(following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(train.hidden[-1], classes))


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(step: Callable[[], int], device: torch.device) -> Measure:
    """Return how to measure the frames a second of steps that return their frames."""

    def measure(seconds: float) -> float:
        step()
        wait_for(device)
        frames, started = 0, time.perf_counter()
        while not frames or time.perf_counter() - started < seconds:
            for _ in range(10 if device.type == "cuda" else 1):
                frames += step()
            wait_for(device)
        return frames / (time.perf_counter() - started)

    return measure


def project(train: Train, split: Split | Blocks, dev: Split, dtype: torch.dtype) -> Measure:
    """Return how to measure this project's training: whole epochs, without dev."""
    training = Training(network_of(train, dev.windows.device), split, dev, train, None, dtype)
    training.rehearse()
    epochs = training.epochs(progress=False)

    def measure(seconds: float) -> float:
        rates: list[float] = []
        started = time.perf_counter()
        while not rates or time.perf_counter() - started < seconds:
            with contextlib.redirect_stdout(io.StringIO()):
                rates.append(next(epochs).frames_per_second)
        return statistics.median(rates)

    return measure


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
        """Return what the network makes of windows, (B, W C), from the host."""
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


def usual(train: Train, data: Dataset, workers: int, device: torch.device) -> Measure:
    """Return how to measure the usual loop."""
    (inputs, _), *_, (_, classes) = products()
    usual_step = UsualStep(plain_network(train, inputs, classes).train(), train.lr, device)
    loader = usual_loader(data, train.batch_size, True, workers, device)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader

    endless = batches()

    def step() -> int:
        windows, labels = next(endless)
        usual_step.take(windows, labels)
        return len(labels)

    def measure(seconds: float) -> float:
        for _ in range(2 * workers + 2):  # what the workers prepared while others were measured
            step()
        frames, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            frames += step()
        return frames / (time.perf_counter() - started)

    return measure


def eager(train: Train, split: Split, dtype: torch.dtype, compiled: bool) -> Measure:
    """Return how to measure resident frames with torch's own modules, step by step."""
    device = split.windows.device
    (inputs, _), *_, (_, classes) = products()
    network = plain_network(train, inputs, classes).to(device).train()
    forward = torch.compile(network) if compiled else network
    optimizer = Optimizer(network, train)
    count, totals = len(split.starts), torch.zeros(2, device=device)
    assert split.labels is not None
    every = split.labels

    def step() -> int:
        frames = torch.randint(count, (train.batch_size,), device=device)
        labels = every[frames]
        optimizer.clear()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = forward(gather(split, frames))
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        totals.add_(torch.stack([loss.detach(), (logits.argmax(1) == labels).sum()]))
        return len(labels)

    return timed(step, device)


def evaluation(train: Train, split: Split, batch: int, dtype: torch.dtype) -> Measure:
    """Return how to measure scoring a split."""
    device = split.windows.device
    network = network_of(train, device)

    def step() -> int:
        classify(network, split, batch, dtype)
        return len(split.starts)

    return timed(step, device)


def products_alone(batch: int, device: torch.device, dtype: torch.dtype) -> Measure:
    """Return how to measure the matrix products of a step, and nothing else."""
    jobs: list[tuple[Tensor, Tensor, Tensor]] = []
    for layer, (inputs, outputs) in enumerate(products()):
        x = torch.randn(batch, inputs, device=device).to(dtype)
        weight = torch.randn(outputs, inputs, device=device).to(dtype)
        slope = torch.randn(batch, outputs, device=device).to(dtype)
        jobs += [(x, weight.t(), slope.clone()), (slope.t(), x, weight.clone())]
        if layer:
            jobs.append((slope, weight, x.clone()))

    def step() -> int:
        for first, second, out in jobs:
            torch.mm(first, second, out=out)
        return batch

    return timed(step, device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of a large square matrix product."""
    size = 8192 if device.type == "cuda" else 2048
    first, second = torch.randn(2, size, size, device=device).to(dtype)
    out = torch.empty_like(first)

    def step() -> int:
        torch.mm(first, second, out=out)
        return 2 * size**3

    return timed(step, device)(1.0)


def copy_rate(device: torch.device) -> float:
    """Return the bytes a second, read and written, of copying on the device."""
    source = torch.randn(2**28 if device.type == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)

    def step() -> int:
        target.copy_(source)
        return 2 * source.nbytes

    return max(timed(step, device)(0.5) for _ in range(3))


def print_profile(measure: Measure, batch: int, device: torch.device) -> None:
    """Print what the steps of an epoch spend their time on, kernels on a GPU."""
    cuda = device.type == "cuda"
    activity = torch.profiler.ProfilerActivity.CUDA if cuda else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profile:
        measure(0.0)
        wait_for(device)
    times = {
        each.key: (each.self_device_time_total if cuda else each.self_cpu_time_total, each.count)
        for each in profile.key_averages()
    }
    losses = "loss", "aten::nll_loss_forward"  # once a step
    steps = max((count for name, (_, count) in times.items() if name in losses), default=1)
    print(f"\nmicroseconds of a step at batch {batch:,}, dev included")
    for name, (time_spent, count) in sorted(times.items(), key=lambda item: -item[1][0])[:24]:
        print(f"{time_spent / steps:10.1f}  {count / steps:5.1f} x  {name[:80]}")


def rows_of(
    train: Train, corpus: Corpus, device: torch.device, workers: list[int], compiled: bool
) -> dict[str, Row]:
    """Return what is measured at one batch size, by name."""
    data, cuda, flops = Data(k=K, padding="zero"), device.type == "cuda", training_flops()
    dtype, exact = choose_precision("auto", device), torch.float32
    starts = window_starts(corpus.lengths, K, "zero")
    few = slice(0, min(4096, len(starts)))

    def placed(kind: torch.dtype) -> tuple[Split, Split]:
        split = place(corpus.frames, starts, corpus.labels, data, device, kind)
        assert split.labels is not None
        return split, Split(split.windows, split.starts[few], split.labels[few])

    split, dev = placed(dtype)
    rows: dict[str, Row] = {}
    for count in workers:
        for kind in (PaddedArray, PaddedUtterances):
            measure = usual(train, kind(corpus, K), count, device)
            name = f"usual loop, {kind.__name__}, {count} workers"
            rows[name] = Row(measure, torch.bfloat16 if cuda else exact, flops)
    rows["eager, fp32"] = Row(eager(train, placed(exact)[0], exact, False), exact, flops)
    if dtype != exact:
        rows["eager, bf16"] = Row(eager(train, split, dtype, False), dtype, flops)
    if compiled:
        rows["eager, bf16, torch.compile"] = Row(eager(train, split, dtype, True), dtype, flops)
    if cuda:
        torchs = replace(train, fused="never")
        rows["CUDA graph of torch's kernels"] = Row(
            project(torchs, split, dev, dtype), dtype, flops
        )
    elif dtype != exact:
        rows["this project, fp32"] = Row(project(train, *placed(exact), exact), exact, flops)
    rows["this project"] = Row(project(train, split, dev, dtype), dtype, flops)
    distorting = replace(train, augment=DISTORTIONS)
    rows["this project, windows distorted"] = Row(
        project(distorting, split, dev, dtype), dtype, flops
    )
    if cuda:
        stored = corpus.labels.astype(np.uint8)
        blocks = Blocks(
            corpus.frames, starts, stored, data, device, dtype, train.batch_size, train.seed,
            block=len(starts) // 3,
        )  # fmt: skip
        rows["this project, frames streamed"] = Row(
            project(train, blocks, dev, dtype), dtype, flops
        )
    size = 65536 if cuda else 4096
    rows["this project, evaluation"] = Row(
        evaluation(train, split, size, dtype), dtype, forward_flops()
    )
    for number in (dtype,) if cuda else dict.fromkeys((exact, dtype)):
        name = f"matrix products alone, {'fp32' if number == exact else 'bf16'}"
        rows[name] = Row(products_alone(train.batch_size, device, number), number, flops)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[2048])
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, nargs="*", help="4 8 16 on a GPU, 0 2 on a CPU")
    parser.add_argument("--frames", type=int, help="of the corpus")
    parser.add_argument("--seconds", type=float, help="for a row in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--profile", action="store_true", help="what a step spends its time on")
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    cuda, dtype = device.type == "cuda", choose_precision("auto", device)
    workers = arguments.workers
    if workers is None:
        workers = [4, 8, 16] if cuda else [0, 2]
    corpus = random_corpus(arguments.frames or (1_100_000 if cuda else 32_768))
    seconds = (1.0 if cuda else 5.0) if arguments.seconds is None else arguments.seconds
    train = replace(
        load().train, whole=0, neighbours=0, hidden=HIDDEN, residual=False, augment=UNDISTORTED,
        activation="relu", normalization="batch", normalize="before", dropout=0.0,
        optimizer="adam", lr=1e-3, weight_decay=0.0, schedule="constant",
        warmup_epochs=0.0, epochs=10_000, precision="auto", shuffle="full",
        fused="auto", label_smoothing=0.0, class_weights="none", clip_norm=0.0,
        early_stopping=0,
    )  # fmt: skip
    kinds = {torch.float32: "fp32"} | ({dtype: "bf16"} if dtype == torch.bfloat16 else {})
    peaks = {kind: matrix_rate(device, kind) for kind in kinds}
    copying = copy_rate(device)
    name = torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}, torch {torch.__version__}, copying {copying / 1e9:,.0f} GB/s")
    found: list[dict[str, Any]] = []
    reference = 0.0
    for batch in arguments.batch:
        sized = replace(train, batch_size=batch)
        rows = rows_of(sized, corpus, device, [] if found else workers, arguments.compile)
        rows = {word: row for word, row in rows.items() if arguments.only in word}
        rates: dict[str, list[float]] = {word: [] for word in rows}
        for _ in range(arguments.rounds):
            for word, row in rows.items():
                rates[word].append(row.measure(seconds))
            for kind in kinds:  # beside the rows, on a machine whose speed varies
                peaks[kind] = max(peaks[kind], matrix_rate(device, kind))
        medians = {word: statistics.median(values) for word, values in rates.items()}
        reference = max([v for word, v in medians.items() if "usual" in word], default=reference)
        peak = ", ".join(f"{peaks[kind] / 1e12:.3g} in {word}" for kind, word in kinds.items())
        print(f"\nbatch {batch:,}; peak, TFLOP/s of a large matrix product: {peak}")
        print(f"{'':42} {'frames/s':>12} {'x usual':>8} {'of the peak':>12}")
        for word, rate in medians.items():
            share = rate * rows[word].flops / peaks[rows[word].dtype]
            ratio = f"{rate / reference:8.2f}" if reference else " " * 8
            print(f"{word:42} {rate:12,.0f} {ratio} {share:12.1%}")
            found.append(
                {"batch": batch, "row": word, "frames_per_second": rate, "rounds": rates[word],
                 "share_of_peak": share}
            )  # fmt: skip
        if arguments.profile and "this project" in rows:
            print_profile(rows["this project"].measure, batch, device)
        del rows
    if arguments.json:
        facts = {
            "device": name, "torch": torch.__version__, "cores": os.cpu_count(),
            "peak_flops_per_second": {kinds[kind]: peak for kind, peak in peaks.items()},
            "copied_bytes_per_second": copying, "usual_frames_per_second": reference, "rows": found,
        }  # fmt: skip
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
