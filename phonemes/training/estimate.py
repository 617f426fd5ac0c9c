"""What a whole training will take: time, memory, and the largest batch, before it starts.

A few steps of each kind of network are measured by `profile`, and one pass over dev. Of a
large corpus the first utterances are enough: a step has as many frames with all of them.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from phonemes.context import DataParams, utterance_lengths, window_starts
from phonemes.inference.classify import classify
from phonemes.inference.device import Compute, free_memory
from phonemes.inference.stacked import PADDING
from phonemes.model.store import posterior_bands
from phonemes.storage.layout import HostSplit
from phonemes.training.params import FitParams, StackingParams
from phonemes.training.profile import Cost, profile
from phonemes.training.run import Run
from phonemes.training.shares import select
from phonemes.training.stacking import stacked_params

SAMPLE = 2**19  # frames of a split, at most, unless a batch has more
LARGEST = 2**22  # frames of a batch, at most: train.batch_size allows no more
SHARE = 0.8  # of the free memory that a training may take
# copies of a batch's windows, in float32, that a step makes in addition to what backward keeps;
# with distortions there are more of them. Highest of what was measured on a CPU: 1.4 and 4.6
COPIES, COPIES_DISTORTED = 2, 5
# a recorded CUDA graph keeps its memory, and so do the steps on two streams before it
RECORDED = 3

Prepare = Callable[[HostSplit, HostSplit, int, Compute, FitParams], Run]
"""Returns a run on train and dev, of P phonemes: `phonemes.training.prepare.prepare`."""


class Estimate(NamedTuple):
    """What a training will take."""

    step_bytes: int  # of a base network: weights, optimizer state and what backward needs
    frames_bytes: int  # frames, starts and labels of train and dev
    free_bytes: int  # on the device, before anything is there
    batch_fits: bool  # whether there is room for a step of train.batch_size next to the frames
    largest_batch: int  # frames, the largest power of 2 for which there is room; 0: for none
    epoch_seconds: float  # of the first network, with dev
    run_seconds: float  # of all epochs of all networks


class _Measured(NamedTuple):
    """What one kind of network takes."""

    fixed_bytes: int  # whatever the batch
    batch_bytes: float  # for each frame of a batch
    step_bytes: int
    frames_bytes: int
    train_seconds: float  # for all frames of train once
    dev_seconds: float  # for all frames of dev once


def estimate(
    train: HostSplit,
    dev: HostSplit,
    classes: int,
    compute: Compute,
    params: FitParams,
    stacking: StackingParams,
    prepare: Prepare,
) -> Estimate:
    """Return what the training of a whole model will take.

    Torch's random state changes.

    Args:
        train: what is learnt from.
        dev: on which each network's best epoch is chosen.
        classes: P.
        compute: where, and in which precision.
        params: how base networks are trained.
        stacking: how stacked networks are, with folds; one network alone without.
        prepare: makes a run.

    Raises:
        InputError: as `prepare`.
    """
    free = free_memory(compute.device)
    base = _measure(train, dev, classes, compute, params, prepare)
    epoch = base.train_seconds + base.dev_seconds
    seconds = params.train.epochs * epoch
    if folds := stacking.folds:
        left = 1 - 1 / folds  # of the training set, that a network without a fold learns from
        seconds += folds * params.train.epochs * (left * base.train_seconds + base.dev_seconds)
        how = stacked_params(params, stacking, 0)
        windows, dev_windows = (_posterior_like(each, classes, how.data) for each in (train, dev))
        stacked = _measure(windows, dev_windows, classes, compute, how, prepare)
        each = stacking.epochs * (stacked.train_seconds + stacked.dev_seconds)
        seconds += stacking.networks * each
    fitting = (SHARE * free - base.frames_bytes - base.fixed_bytes) / base.batch_bytes
    return Estimate(
        base.step_bytes,
        base.frames_bytes,
        free,
        fitting >= min(params.train.batch_size, len(train.frames)),
        largest_power(min(fitting, len(train.frames), LARGEST)),
        epoch,
        seconds,
    )


def largest_power(most: float) -> int:
    """Return the largest power of 2 that is at most `most`, 0 where that is below 2."""
    return 2 ** (int(most).bit_length() - 1) if most >= 2 else 0


def _measure(
    train: HostSplit,
    dev: HostSplit,
    classes: int,
    compute: Compute,
    params: FitParams,
    prepare: Prepare,
) -> _Measured:
    """Measure steps of a network on a sample of the frames, and scale them to all."""
    most = max(SAMPLE, params.train.batch_size)
    some, some_dev = (_first(split, most, params.data) for split in (train, dev))
    run = prepare(some, some_dev, classes, compute, params)
    cost = profile(run)
    steps = math.ceil(len(train.frames) / run.batch)
    started = time.perf_counter()
    classify(run.classifier, run.dev, run.dtype)
    dev_seconds = time.perf_counter() - started
    frames, measured = (len(a.frames) + len(b.frames) for a, b in ((train, dev), (some, some_dev)))
    return _Measured(
        cost.fixed_bytes,
        _batch_bytes(run, cost, params.augment.any()),
        cost.step_bytes,
        round(cost.resident_bytes * frames / measured),
        cost.epoch_seconds / run.steps * steps,
        dev_seconds * len(dev.frames) / len(some_dev.frames),
    )


def _batch_bytes(run: Run, cost: Cost, distorted: bool) -> float:
    """Return what a step needs for each frame of its batch."""
    kept = (cost.step_bytes - cost.fixed_bytes) / run.batch
    copies = COPIES_DISTORTED if distorted else COPIES
    needed = kept + 4 * copies * run.classifier.architecture.inputs
    recorded = run.device.type == "cuda" and run.step.kernels == "torch"
    return needed * (RECORDED if recorded else 1)


def _first(split: HostSplit, most: int, data: DataParams) -> HostSplit:
    """Return the first utterances of a split, of `most` frames or a little more."""
    lengths = utterance_lengths(split.starts)
    before = np.cumsum(lengths) - lengths
    return select(split, before < most, data)


def _posterior_like(split: HostSplit, classes: int, data: DataParams) -> HostSplit:
    """Return a split of as many frames and labels whose frames are as large as posteriors."""
    frames = np.zeros((len(split.frames), posterior_bands(classes)), np.float32)
    starts = window_starts(utterance_lengths(split.starts), data.k, PADDING)
    return HostSplit(frames, starts, split.labels)
