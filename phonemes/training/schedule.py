"""The learning rate over a training run, as a factor of its peak.

Time is counted in epochs, fractions included, so a schedule does not depend on the
batch size. After a linear warm-up to the peak the schedule proper runs over the epochs that
remain, from the peak: a warm-up takes the place of the rise of one-cycle, and the losses of
epochs that end in it do not count for plateau.
"""

import math
from collections.abc import Sequence

from phonemes.training.params import TrainParams

PLANNED = ("cosine", "onecycle")  # schedules that depend on how many epochs are planned
ONECYCLE_RISE = 0.3  # share of the run in which one-cycle rises
ONECYCLE_START = 1 / 25  # its first factor
ONECYCLE_END = 1e-4 / 25  # and its last, as in Smith and Topin (2018), arXiv 1708.07120
PLATEAU_THRESHOLD = 1e-4  # relative; a smaller fall of the loss is none


def rate_factor(train: TrainParams, time: float, dev_losses: Sequence[float]) -> float:
    """Return the factor of `train.lr` at `time`, in epochs from 0 to `train.epochs`.

    `dev_losses` are those of the epochs completed; only `plateau` looks at them.
    """
    if time < train.warmup_epochs:
        return time / train.warmup_epochs
    passed = time - train.warmup_epochs
    share = min(1.0, passed / (train.epochs - train.warmup_epochs))
    match train.schedule:
        case "constant":
            return 1.0
        case "step":
            return train.lr_decay ** (int(passed) // train.lr_decay_epochs)
        case "exponential":
            return train.lr_decay ** int(passed)
        case "plateau":
            after = dev_losses[int(train.warmup_epochs) :]  # each stands at the end of its epoch
            return plateau_factor(after, train.plateau_patience, train.lr_decay)
        case "cosine":  # Loshchilov and Hutter (2017), arXiv 1608.03983, without restarts
            return _cosine(1.0, 0.0, share)
        case "onecycle":
            rise = 0 if train.warmup_epochs else ONECYCLE_RISE
            if share < rise:
                return _cosine(ONECYCLE_START, 1.0, share / rise)
            return _cosine(1.0, ONECYCLE_END, (share - rise) / (1 - rise))
    raise ValueError(f"no schedule named {train.schedule}")


def plateau_factor(dev_losses: Sequence[float], patience: int, decay: float) -> float:
    """Return `decay`, once for each time that more than `patience` epochs brought no gain."""
    factor, best, waited = 1.0, math.inf, 0
    for loss in dev_losses:
        if loss < best * (1 - PLATEAU_THRESHOLD):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            factor, waited = factor * decay, 0
    return factor


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
