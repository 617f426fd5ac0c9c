"""How fast training steps are, against the usual loop and the limits of the machine.

    python -m benchmarks.training_speed [--batch 2048 16384] [--json FILE]

trains the network that CMU 11-785 recommends (the recipe course: 1024-1024-1024-512-256-256,
batch normalization, ReLU, Adam) on random frames of 40 bands with 32 of context on each side
and 71 classes, on whatever device is there. A step is gather, forward, loss, backward
and optimizer. Each row is measured in every round; its median counts.

The usual loop (benchmarks/usual_loop.py) is run in variants, the best of which is 1 in the
column of ratios; it runs at the first batch size alone.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.machine import PRECISIONS, Machine, Measure, precisions, timed, wait_for
from benchmarks.settings import with_recipe
from benchmarks.usual_loop import (
    Corpus,
    PaddedArray,
    PaddedUtterances,
    UsualStep,
    plain_network,
    usual_loader,
)
from phonemes.context import DataParams, window_starts
from phonemes.inference.classify import classify
from phonemes.inference.device import choose_device
from phonemes.inference.windows import DeviceSplit, gather, to_device
from phonemes.model.architecture import Architecture, Classifier, build, initialize
from phonemes.storage.layout import HostSplit
from phonemes.training.batches import ResidentBatches
from phonemes.training.loop import epochs
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import UNDISTORTED, FitParams
from phonemes.training.profile import profile
from phonemes.training.run import Batches, Buffers, Run
from phonemes.training.step import make_step
from phonemes.training.streaming import StreamedBatches

HIDDEN = (1024, 1024, 1024, 512, 256, 256)
BANDS, CLASSES, K = 40, 71, 32
UTTERANCE = 315  # frames, about
DEV = 4096  # frames to score after an epoch, which is not measured
DISTORTIONS = replace(
    UNDISTORTED,
    mel_scale=0.12, mel_shift=1.5, time_warp=0.15, gain=0.2, spectral_tilt=0.3, noise=0.2,
    time_masks=2, time_mask_width=10, band_masks=2, band_mask_width=6,
)  # fmt: skip


class Row(NamedTuple):
    """One line of the table."""

    measure: Measure
    dtype: torch.dtype  # of the matrix products
    flops: int  # of a frame, in them


def fit_params(batch: int) -> FitParams:
    """Return how the course's network is trained here, endlessly and in batches of B = `batch`."""
    _, model, _, train = with_recipe("course").fit
    return FitParams(
        DataParams(K, "zero"),
        replace(model, hidden=HIDDEN),
        UNDISTORTED,
        replace(train, epochs=10_000, batch_size=batch, kernels="auto"),
    )


def random_corpus(frames: int, seed: int = 1) -> Corpus:
    """Return about so many random frames with random labels."""
    random = np.random.default_rng(seed)
    lengths = random.integers(UTTERANCE * 3 // 4, UTTERANCE * 5 // 4, max(2, frames // UTTERANCE))
    count = int(lengths.sum())
    values = random.standard_normal((count, BANDS), np.float32)
    return Corpus(values, lengths, random.integers(0, CLASSES, count))


def host_split(corpus: Corpus, labels: NDArray[np.integer]) -> HostSplit:
    """Return the corpus as the train stage reads one."""
    return HostSplit(corpus.frames, window_starts(corpus.lengths, K, "zero"), labels)


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


def new_classifier(params: FitParams, device: torch.device) -> Classifier:
    """Return a new network."""
    torch.manual_seed(params.train.seed)
    network, architecture = build(Architecture.of(params.model, 2 * K + 1, BANDS, CLASSES))
    initialize(network, params.model.initialization, torch.default_generator)
    return Classifier(network.to(device), architecture)


def run_of(params: FitParams, batches: Batches, dev: DeviceSplit, dtype: torch.dtype) -> Run:
    """Return a run as `prepare` makes one, of batches that lie on the device or pass through."""
    classifier = new_classifier(params, dev.windows.device)
    optimizer = Optimizer(classifier.network, params.train, dtype)
    batch = min(params.train.batch_size, batches.count)
    buffers = Buffers.of(batches, batch)
    steps = params.train.epochs * len(buffers.rates)
    step = make_step(classifier, optimizer, batches.split, batch, steps, params, None, dtype)
    return Run(classifier, optimizer, batches, step, dev, params.train, dtype, buffers)


def project(params: FitParams, batches: Batches, dev: DeviceSplit, dtype: torch.dtype) -> Measure:
    """Return how to measure this project's training: complete epochs, without dev."""
    run = run_of(params, batches, dev, dtype)
    profile(run)
    trained = epochs(run, progress=False)

    def measure(seconds: float) -> float:
        rates: list[float] = []
        started = time.perf_counter()
        while not rates or time.perf_counter() - started < seconds:
            with contextlib.redirect_stdout(io.StringIO()):
                rates.append(next(trained).frames_per_second)
        return statistics.median(rates)

    return measure


def usual(params: FitParams, data: Dataset, workers: int, device: torch.device) -> Measure:
    """Return how to measure the usual loop."""
    train = params.train
    network = plain_network((2 * K + 1) * BANDS, params.model.hidden, CLASSES, train.seed)
    usual_step = UsualStep(network.train(), train.lr, device)
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


def eager(params: FitParams, split: DeviceSplit, dtype: torch.dtype, compiled: bool) -> Measure:
    """Return how to measure resident frames with torch's own modules, step by step."""
    device, train = split.windows.device, params.train
    network = plain_network((2 * K + 1) * BANDS, params.model.hidden, CLASSES, train.seed)
    network = network.to(device).train()
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


def evaluation(params: FitParams, split: DeviceSplit, dtype: torch.dtype) -> Measure:
    """Return how to measure scoring a split."""
    device = split.windows.device
    classifier = new_classifier(params, device)

    def step() -> int:
        classify(classifier, split, dtype)
        return len(split.starts)

    return timed(step, device)


def products_of(
    shapes: Iterable[tuple[int, int]], batch: int, device: torch.device, dtype: torch.dtype
) -> Measure:
    """Return how to measure the matrix products of a step, and nothing else.

    Args:
        shapes: inputs and outputs of each layer.
        batch: B.
        device: where.
        dtype: of the products.
    """
    jobs: list[tuple[Tensor, Tensor, Tensor]] = []
    for layer, (inputs, outputs) in enumerate(shapes):
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


def print_profile(measure: Measure, batch: int, device: torch.device) -> None:
    """Print the time of each operation in the steps of an epoch; of kernels, on a GPU."""
    cuda = device.type == "cuda"
    activity = torch.profiler.ProfilerActivity.CUDA if cuda else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as recorded:
        measure(0.0)
        wait_for(device)
    times = {
        each.key: (each.self_device_time_total if cuda else each.self_cpu_time_total, each.count)
        for each in recorded.key_averages()
    }
    losses = "loss_kernel", "aten::nll_loss_forward"  # once a step
    steps = max((count for name, (_, count) in times.items() if name in losses), default=1)
    print(f"\nmicroseconds of a step at batch {batch:,}, dev included")
    for name, (time_spent, count) in sorted(times.items(), key=lambda item: -item[1][0])[:24]:
        print(f"{time_spent / steps:10.1f}  {count / steps:5.1f} x  {name[:80]}")


Placed = tuple[DeviceSplit, DeviceSplit]  # all frames, and a few of them as dev


def placed(corpus: Corpus, device: torch.device, dtype: torch.dtype) -> Placed:
    """Put the corpus on the device."""
    data = DataParams(K, "zero")
    split = to_device(host_split(corpus, corpus.labels), data, device, dtype)
    assert split.labels is not None
    return split, split._replace(starts=split.starts[:DEV], labels=split.labels[:DEV])


def usual_rows(
    params: FitParams, corpus: Corpus, device: torch.device, workers: list[int]
) -> Iterator[tuple[str, Row]]:
    """Yield the variants of the usual loop."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for count in workers:
        for kind in (PaddedArray, PaddedUtterances):
            measure = usual(params, kind(corpus, K), count, device)
            name = f"usual loop, {kind.__name__}, {count} workers"
            yield name, Row(measure, dtype, training_flops())


def eager_rows(
    params: FitParams, splits: dict[torch.dtype, Placed], compiled: bool
) -> Iterator[tuple[str, Row]]:
    """Yield the steps of torch's own modules in each precision."""
    flops = training_flops()
    for dtype, (split, _) in splits.items():
        name = f"eager, {PRECISIONS[dtype]}"
        yield name, Row(eager(params, split, dtype, False), dtype, flops)
    if compiled:  # in the last, fastest one
        measure = eager(params, split, dtype, True)
        yield f"{name}, torch.compile", Row(measure, dtype, flops)


def streamed(
    params: FitParams, corpus: Corpus, dev: DeviceSplit, dtype: torch.dtype, blocks: int = 3
) -> Measure:
    """Return how to measure training on frames that pass through the device in blocks."""
    host = host_split(corpus, corpus.labels.astype(np.int16))  # as the corpus stage stores them
    device, batch, seed = dev.windows.device, params.train.batch_size, params.train.seed
    block = len(corpus.labels) // blocks
    batches = StreamedBatches(host, params.data, device, dtype, batch, seed, block=block)
    return project(params, batches, dev, dtype)


def project_rows(
    params: FitParams, corpus: Corpus, splits: dict[torch.dtype, Placed], device: torch.device
) -> Iterator[tuple[str, Row]]:
    """Yield this project's training and evaluation; the last of the precisions is its own."""
    cuda, flops = device.type == "cuda", training_flops()

    def resident(params: FitParams, dtype: torch.dtype) -> Row:
        split, dev = splits[dtype]
        batches = ResidentBatches(split, params.train.seed)
        return Row(project(params, batches, dev, dtype), dtype, flops)

    *others, dtype = splits
    if cuda:
        torchs = params._replace(train=replace(params.train, kernels="torch"))
        yield "CUDA graph of torch's kernels", resident(torchs, dtype)
    else:
        for exact in others:
            yield f"this project, {PRECISIONS[exact]}", resident(params, exact)
    yield "this project", resident(params, dtype)
    distorting = params._replace(augment=DISTORTIONS)
    yield "this project, windows distorted", resident(distorting, dtype)
    split, dev = splits[dtype]
    if cuda:
        measure = streamed(params, corpus, dev, dtype)
        yield "this project, frames streamed", Row(measure, dtype, flops)
    measure = evaluation(params, split, dtype)
    yield "this project, evaluation", Row(measure, dtype, forward_flops())


def rows_of(
    params: FitParams, corpus: Corpus, device: torch.device, workers: list[int], compiled: bool
) -> dict[str, Row]:
    """Return all rows of one batch size, by name."""
    dtypes = precisions(device)
    splits = {dtype: placed(corpus, device, dtype) for dtype in dtypes}
    rows = dict(usual_rows(params, corpus, device, workers))
    rows |= eager_rows(params, splits, compiled)
    rows |= project_rows(params, corpus, splits, device)
    for dtype in dtypes[-1:] if device.type == "cuda" else dtypes:
        measure = products_of(products(), params.train.batch_size, device, dtype)
        name = f"matrix products alone, {PRECISIONS[dtype]}"
        rows[name] = Row(measure, dtype, training_flops())
    return rows


def measured(
    rows: dict[str, Row], machine: Machine, seconds: float, rounds: int
) -> dict[str, list[float]]:
    """Return the rate of each row in each round, frames a second."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            rates[name].append(row.measure(seconds))
        machine.measure_again()  # at the time of the rows
    return rates


def print_table(
    rows: dict[str, Row], rates: dict[str, list[float]], machine: Machine, reference: float
) -> list[dict[str, Any]]:
    """Print a line for each row; return the same figures, by name."""
    found: list[dict[str, Any]] = []
    print(f"{'':42} {'frames/s':>12} {'x usual':>8} {'of the peak':>12}")
    for name, (_, dtype, flops) in rows.items():
        rate = statistics.median(rates[name])
        share = rate * flops / machine.peaks[dtype]
        ratio = f"{rate / reference:8.2f}" if reference else " " * 8
        print(f"{name:42} {rate:12,.0f} {ratio} {share:12.1%}")
        found.append(
            {"row": name, "frames_per_second": rate, "rounds": rates[name], "share_of_peak": share}
        )
    return found


def read_arguments() -> argparse.Namespace:
    """Return the arguments, those that depend on the device filled in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[2048])
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, nargs="*", help="4 8 16 on a GPU, 0 2 on a CPU")
    parser.add_argument("--frames", type=int, help="of the corpus")
    parser.add_argument("--seconds", type=float, help="for a row in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--profile", action="store_true", help="the time of each operation")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    given = parser.parse_args()
    given.device = choose_device(given.device)
    cuda = given.device.type == "cuda"
    if given.workers is None:
        given.workers = [4, 8, 16] if cuda else [0, 2]
    if given.seconds is None:
        given.seconds = 1.0 if cuda else 5.0
    given.frames = given.frames or (1_100_000 if cuda else 32_768)
    return given


def main() -> None:
    """Measure and print."""
    given = read_arguments()
    device, corpus = given.device, random_corpus(given.frames)
    machine = Machine.of(device)
    print(f"{machine.name}, torch {torch.__version__}, copying {machine.copied / 1e9:,.0f} GB/s")
    found: list[dict[str, Any]] = []
    reference = 0.0
    for batch in given.batch:
        workers = [] if found else given.workers
        rows = rows_of(fit_params(batch), corpus, device, workers, given.compile)
        rows = {name: row for name, row in rows.items() if given.only in name}
        rates = measured(rows, machine, given.seconds, given.rounds)
        medians = [statistics.median(rates[name]) for name in rows if "usual" in name]
        reference = max(medians, default=reference)
        peaks = ", ".join(
            f"{peak / 1e12:.3g} in {PRECISIONS[dtype]}" for dtype, peak in machine.peaks.items()
        )
        print(f"\nbatch {batch:,}; peak, TFLOP/s of a large matrix product: {peaks}")
        table = print_table(rows, rates, machine, reference)
        found += [{"batch": batch, **figures} for figures in table]
        if given.profile and "this project" in rows:
            print_profile(rows["this project"].measure, batch, device)
        del rows
    if given.json:
        facts = {
            "device": machine.name, "torch": torch.__version__, "cores": os.cpu_count(),
            "peak_flops_per_second": {
                PRECISIONS[dtype]: peak for dtype, peak in machine.peaks.items()
            },
            "copied_bytes_per_second": machine.copied,
            "usual_frames_per_second": reference, "rows": found,
        }  # fmt: skip
        given.json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
