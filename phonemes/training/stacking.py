"""Stacked networks: trained on the out-of-fold posteriors of base networks.

The training set is cut into folds, and for each a base network is trained without it. The
posteriors that it gives the fold that it left out are like those of dev and test, mistakes
included: stacked networks learn from windows of such posteriors. They see which phonemes
are around a frame, further than the base networks see sound. (Wolpert, 1992, "Stacked
generalization"; for posteriors of phonemes, Pinto et al., 2011, "Analysis of MLP-based
hierarchical phoneme posterior probability estimator".)

Everything stays feed-forward: a frame is labelled from its window of posteriors, each from
a window of frames.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.context import DataParams, utterance_lengths, window_starts
from phonemes.errors import InputError
from phonemes.inference.classify import mean_posteriors, posteriors
from phonemes.inference.device import Compute
from phonemes.inference.stacked import PADDING, posterior_frames
from phonemes.inference.windows import to_device
from phonemes.model.store import TrainedNetwork
from phonemes.storage.layout import Frames, HostSplit
from phonemes.training.params import UNDISTORTED, FitParams, StackingParams
from phonemes.training.seeds import derived
from phonemes.training.shares import select

Fit = Callable[[HostSplit, HostSplit, FitParams, str], TrainedNetwork]
"""Trains a network on the first split, choosing its epoch on the second; the text names it."""


class Task(NamedTuple):
    """A network to train, independently of others."""

    train: Callable[[], HostSplit]  # returns what it learns from, which takes memory
    frames: int  # N, of what it learns from
    dev: HostSplit
    how: FitParams
    name: str


Spread = Callable[[Sequence[Task], Fit], Iterator[TrainedNetwork]]
"""Trains networks and yields them in order."""


def one_by_one(tasks: Sequence[Task], fit: Fit) -> Iterator[TrainedNetwork]:
    """Train networks in this process; yield each as soon as it is trained."""
    for task in tasks:
        yield fit(task.train(), task.dev, task.how, task.name)


class FittedModel(NamedTuple):
    """The networks of a model."""

    base: list[TrainedNetwork]  # the first was trained on the whole training set
    stacked: list[TrainedNetwork]


class CrossFit(NamedTuple):
    """Base networks that each left out a fold, and their posteriors of it."""

    networks: list[TrainedNetwork]
    out_of_fold: Frames  # (N, C) `posterior_frames` of the training set, in its order


def folds(speakers: Sequence[str], count: int) -> list[NDArray[np.intp]]:
    """Cut utterances into `count` parts of about as many; no speaker is in two of them.

    Where no speaker is known, the parts are runs: most of a speaker's utterances stay together.

    Args:
        speakers: (U,) of each utterance, "" where unknown: the utterance then stands alone.
        count: of parts.

    Raises:
        InputError: there are fewer speakers, or utterances of unknown speakers, than folds.
    """
    known = any(speakers)
    numbers: dict[str | int, int] = {}  # of each speaker, or utterance of an unknown one
    groups = [numbers.setdefault(who or n, len(numbers)) for n, who in enumerate(speakers)]
    if len(numbers) < count:
        fix = f"at most {len(numbers)}, or to 0" if len(numbers) > 1 else "0"
        kind = ("speaker" if known else "utterance") + "s" * (len(numbers) != 1)
        why = ", none of whom may be in two folds" * known
        raise InputError(
            f"stacking.folds is {count}, but the training set has {len(numbers)} {kind}{why}; "
            f"set it to {fix}, which is off"
        )
    if not known:
        return np.array_split(np.arange(len(speakers)), count)
    from sklearn.model_selection import GroupKFold  # not above: it takes seconds

    return [part for _, part in GroupKFold(count).split(groups, groups=groups)]


def stacked_params(params: FitParams, stacking: StackingParams, number: int) -> FitParams:
    """Return how a stacked network is trained: as a base network, but for what `stacking` says.

    It predicts the label of its middle frame alone: more targets made it worse.
    """
    _, model, _, train = params
    return FitParams(
        DataParams(stacking.context, PADDING),
        replace(
            model,
            hidden=stacking.hidden,
            residual=False,
            target_context=0,
            dropout=stacking.dropout,
        ),
        UNDISTORTED,
        replace(train, epochs=stacking.epochs, seed=derived(train.seed, f"stacked {number}")),
    )


def without_folds(
    train: HostSplit, dev: HostSplit, params: FitParams, parts: Sequence[NDArray[np.intp]]
) -> list[Task]:
    """Return base networks that each leave out a fold of the training set.

    Args:
        train: what they learn from.
        dev: on which each network's best epoch is chosen.
        params: how they are trained.
        parts: from `folds`.
    """
    lengths = utterance_lengths(train.starts)
    utterances = np.arange(len(lengths))
    return [
        Task(
            partial(select, train, ~np.isin(utterances, part), params.data),
            int(lengths.sum() - lengths[part].sum()),
            dev,
            params._replace(
                train=replace(
                    params.train, seed=derived(params.train.seed, f"without fold {number}")
                )
            ),
            f"base network without fold {number} of {len(parts)}",
        )
        for number, part in enumerate(parts, 1)
    ]


def cross_fit(
    networks: Iterable[TrainedNetwork],
    train: HostSplit,
    compute: Compute,
    data: DataParams,
    parts: Sequence[NDArray[np.intp]],
) -> CrossFit:
    """Label each fold of the training set by the network that left it out.

    Args:
        networks: one for each of `parts`.
        train: the whole training set.
        compute: where, and in which precision.
        data: of the windows of `train`.
        parts: from `folds`.
    """
    lengths = utterance_lengths(train.starts)
    kept, out_of_fold, frames = [], [], []
    for part, network in zip(parts, networks, strict=True):
        left_out = np.isin(np.arange(len(lengths)), part)
        held_out = to_device(train._replace(labels=None), data, *compute, left_out)
        found = posteriors(network.classifier(compute.device), held_out, compute.dtype)
        out_of_fold.append(posterior_frames(found))
        frames.append(np.flatnonzero(np.repeat(left_out, lengths)))
        kept.append(network)
    back_in_order = np.argsort(np.concatenate(frames))
    return CrossFit(kept, np.concatenate(out_of_fold)[back_in_order])


def on_posteriors(
    base: Sequence[TrainedNetwork],
    out_of_fold: Frames,
    train: HostSplit,
    dev: HostSplit,
    compute: Compute,
    params: FitParams,
    stacking: StackingParams,
) -> list[Task]:
    """Return stacked networks to train.

    Args:
        base: all base networks: on dev the mean of their posteriors enters, as on test later.
        out_of_fold: (N, C) posteriors of the training set, from `cross_fit`.
        train: whose labels are learnt.
        dev: on which each network's best epoch is chosen.
        compute: where, and in which precision.
        params: how base networks are trained.
        stacking: how stacked networks differ from them.
    """
    on_dev = to_device(dev._replace(labels=None), params.data, *compute)
    classifiers = [each.classifier(compute.device) for each in base]
    dev_frames = posterior_frames(mean_posteriors(classifiers, on_dev, compute.dtype))
    learnt, chosen_on = (
        HostSplit(
            frames,
            window_starts(utterance_lengths(split.starts), stacking.context, PADDING),
            split.labels,
        )
        for frames, split in ((out_of_fold, train), (dev_frames, dev))
    )
    count = stacking.networks
    return [
        Task(
            lambda: learnt,
            len(learnt.starts),
            chosen_on,
            stacked_params(params, stacking, number),
            f"stacked network {number + 1} of {count}",
        )
        for number in range(count)
    ]


def fit_model(
    train: HostSplit,
    dev: HostSplit,
    compute: Compute,
    params: FitParams,
    stackings: Sequence[StackingParams],
    speakers: Sequence[str],
    fit: Fit,
    spread: Spread = one_by_one,
) -> Iterator[FittedModel]:
    """Train a model; yield its first network as soon as there is one, then whole models.

    Args:
        train: what is learnt from.
        dev: on which each network's best epoch is chosen.
        compute: where, and in which precision.
        params: how base networks are trained.
        stackings: how stacked networks are; all with the same folds, whose base networks they
            share. None: the first network is the model.
        speakers: (U,) of the training set's utterances, "" where unknown; for `folds`.
        fit: trains a network.
        spread: trains networks that do not depend on each other by it.

    Raises:
        InputError: before anything is trained, that there are fewer speakers or utterances
            than folds.
    """
    # that the training set can be cut is seen before long work
    cuts = {stacking.folds: folds(speakers, stacking.folds) for stacking in stackings}
    parts = next(iter(cuts.values()), [])
    whole = Task(lambda: train, len(train.starts), dev, params, "")
    networks = spread([whole, *without_folds(train, dev, params, parts)], fit)
    first = next(networks)
    yield FittedModel([first], [])
    if not parts:
        return
    others, out_of_fold = cross_fit(networks, train, compute, params.data, parts)
    base = [first, *others]
    for stacking in stackings:
        tasks = on_posteriors(base, out_of_fold, train, dev, compute, params, stacking)
        yield FittedModel(base, [*spread(tasks, fit)])
