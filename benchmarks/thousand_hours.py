"""A thousand hours on one GPU: frames that stay on the device, in each form they are stored in.

    python -m benchmarks.thousand_hours FOLDER [--frames 360000000] [--forms bfloat16 int8]

For each form it writes generated frames of 40 bands as the stage normalize does, with labels and
the index of windows, to FOLDER, which must not exist: 40, 80 or 160 bytes a frame, and 6 for the
rest. A process of its own reads them as the stage train does, keeps all of them on the device,
takes some steps with a recipe, and prints a line: speed of the steps, memory of the device, and
the most that the process took of main memory. The accuracy is that of the first and last of the
frames that were learnt from: frames are like their labels, so that it is low where windows are
not those of their labels. FOLDER is removed at the end.
"""

import argparse
import math
import multiprocessing
import resource
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.machine import wait_for
from benchmarks.settings import with_recipe
from phonemes.context import window_starts
from phonemes.inference.classify import classify
from phonemes.inference.device import choose_compute
from phonemes.model.size import parameter_count
from phonemes.params import Params
from phonemes.storage.frames import FORMS, append_scales, narrowed
from phonemes.storage.layout import HostSplit, Labels, Scales, StoredFrames
from phonemes.storage.npy import NpyAppender
from phonemes.storage.read import read_labels, read_starts, read_stored
from phonemes.storage.scales import best_scales, magnitude_counts
from phonemes.training.prepare import prepare
from phonemes.training.profile import record
from phonemes.training.run import Run, begin

BANDS, CLASSES = 40, 71
POOL = 2**20  # frames that are made; the others repeat them from other places on
LENGTH = 1300  # frames of an utterance, as the mean of LibriSpeech's
LOUD = 2.0  # of the band of a label, in standard deviations of the others
CHECKED = 2**18  # first and last frames whose labels are predicted
WARM_UP = 20  # steps before those that are timed
DEV = 2**16  # frames


class Measured(NamedTuple):
    """What a process found."""

    kernels: str
    parameters: int
    seconds: float  # from the files to frames on the device
    speed: float  # frames/s of steps
    losses: tuple[float, float]  # of the first and the last steps
    accuracies: tuple[float, float]  # of the first and the last frames
    device_bytes: int  # at most, of a GPU
    host_bytes: int  # at most


def pool() -> tuple[NDArray[np.float32], Labels]:
    """Return frames and labels; runs of ten frames have one label, which two bands show."""
    random = np.random.default_rng(0)
    frames = random.standard_normal((POOL, BANDS), np.float32)
    labels = np.repeat(random.integers(0, CLASSES, POOL // 10 + 1), 10)[:POOL].astype(np.int16)
    rows = np.arange(POOL)
    frames[rows, labels % BANDS] += LOUD
    frames[rows, (labels + labels // BANDS + 3) % BANDS] += LOUD
    return frames, labels


def write(folder: Path, form: str, count: int, k: int) -> None:
    """Write a split: frames in a form, labels, and the index of windows of 2k + 1 frames."""
    frames, labels = pool()
    scales: Scales | None = None
    if form == "int8":
        scales = best_scales(magnitude_counts(np.array_split(frames, 16), BANDS))
    stored: StoredFrames = narrowed(frames, form, scales)
    random, left = np.random.default_rng(1), count
    with (
        NpyAppender(folder / "frames.npy", FORMS[form]) as of_frames,
        NpyAppender(folder / "labels.npy", np.dtype(np.int16)) as of_labels,
    ):
        while left:
            first = int(random.integers(POOL // 2))
            some = slice(first, first + min(POOL // 2, left))
            of_frames.append(stored[some])
            of_labels.append(labels[some])
            left -= some.stop - some.start
    append_scales(folder / "frames.npy", scales)
    lengths = np.full(math.ceil(count / LENGTH), LENGTH)
    lengths[-1] = count - LENGTH * (len(lengths) - 1)
    np.save(folder / "starts.npy", window_starts(lengths, k, "zero"))


def read(folder: Path) -> HostSplit:
    """Memory-map a split, as the stage train does."""
    starts = read_starts(folder / "starts.npy")
    frames, scales = read_stored(folder / "frames.npy", len(starts))
    return HostSplit(
        frames, starts, read_labels(folder / "labels.npy", len(starts), CLASSES), scales
    )


def some_of(split: HostSplit, count: int, k: int) -> HostSplit:
    """Return the first utterances of a split."""
    assert split.labels is not None
    most = min(count, len(split.frames))
    starts = window_starts(np.array([LENGTH] * (most // LENGTH)), k, "zero")
    some = slice(0, len(starts))
    return split._replace(frames=split.frames[some], starts=starts, labels=split.labels[some])


def timed_steps(run: Run, steps: int) -> tuple[float, tuple[float, float]]:
    """Take steps of the first epoch; return their frames/s and losses of the first and last."""
    steps = min(steps, run.steps - WARM_UP)
    begin(run, 0)
    run.buffers.rates.fill_(run.train.lr)
    began, losses = 0.0, []
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            wait_for(run.device)
            losses.append(_loss(run.buffers.totals, WARM_UP * run.batch))
            began = time.perf_counter()
        if step == steps:
            run.buffers.totals.zero_()
        run.batches.before(step)
        run.step.update(*run.buffers)
    wait_for(run.device)
    speed = steps * run.batch / (time.perf_counter() - began)
    return speed, (losses[0], _loss(run.buffers.totals, WARM_UP * run.batch))


def _loss(totals: Tensor, frames: int) -> float:
    return float(totals[0]) / frames


def accuracy(run: Run, frames: slice) -> float:
    """Return the share of some frames of the training set that get their labels."""
    split = run.batches.split
    assert split.labels is not None
    labels = split.labels[frames]
    middle = labels if labels.ndim == 1 else labels[:, labels.shape[1] // 2]
    some = split._replace(starts=split.starts[frames], labels=middle.long())
    return float(classify(run.classifier, some, run.dtype).predicted.eq(middle).double().mean())


def measure(folder: Path, params: Params, steps: int) -> Measured:
    """Train on the split of a folder for some steps."""
    train, k = read(folder), params.data.k
    compute = choose_compute("auto", params.model.precision)
    started = time.perf_counter()
    run = prepare(train, some_of(train, DEV, k), CLASSES, compute, params.fit)
    wait_for(run.device)
    seconds = time.perf_counter() - started
    record(run)
    speed, losses = timed_steps(run, steps)
    checked = min(CHECKED, run.batches.count)
    ends = slice(0, checked), slice(run.batches.count - checked, run.batches.count)
    cuda = run.device.type == "cuda"
    return Measured(
        run.step.kernels,
        parameter_count([run.classifier.architecture]),
        seconds,
        speed,
        losses,
        (accuracy(run, ends[0]), accuracy(run, ends[1])),
        torch.cuda.max_memory_allocated() if cuda else 0,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    )


def line(form: str, frames: int, batch: int, found: Measured) -> str:
    """Return what was found as a line."""
    return (
        f"{frames:,} frames as {form}: {found.speed:,.0f} frames/s in batches of {batch:,}, "
        f"{found.kernels} kernels, {found.parameters:,} parameters; on the device after "
        f"{found.seconds:.1f} s; memory of the device {found.device_bytes / 2**30:.1f} GiB, of the "
        f"host {found.host_bytes / 2**30:.1f} GiB; loss {found.losses[0]:.3f} to "
        f"{found.losses[1]:.3f}; accuracy of the first frames {found.accuracies[0]:.3f}, of the "
        f"last {found.accuracies[1]:.3f}"
    )


def main() -> None:
    """Write, train and measure, form by form."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder to make and remove")
    parser.add_argument("--frames", type=int, nargs="+", default=[360_000_000])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["bfloat16", "int8"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16_384)
    parser.add_argument("--recipe", default="course")
    parser.add_argument("--set", default="", help='other values: "train.batches=streamed data.k=8"')
    arguments = parser.parse_args()
    changes = f"train.batches=resident train.batch_size={arguments.batch} {arguments.set}"
    params = with_recipe(arguments.recipe, changes=changes)
    spawn = multiprocessing.get_context("spawn")
    for count in arguments.frames:
        for form in arguments.forms:
            arguments.folder.mkdir(parents=True)
            try:
                # processes of their own, so that the peak of memory is that of the training alone
                with ProcessPoolExecutor(1, spawn) as writer:
                    writer.submit(write, arguments.folder, form, count, params.data.k).result()
                with ProcessPoolExecutor(1, spawn) as trainer:
                    task = trainer.submit(measure, arguments.folder, params, arguments.steps)
                    print(line(form, count, arguments.batch, task.result()), flush=True)
            finally:
                shutil.rmtree(arguments.folder)


if __name__ == "__main__":
    main()
