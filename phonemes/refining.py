"""Second networks over what first networks make of utterances that they never saw.

Train is cut into parts, and for each a first network is trained without it. What these
make of the parts that they left out is like what they make of dev and test, mistakes
included: windows of such posteriors are what second networks learn from. They see which
phonemes lie around a frame, further than the first ones see sound. (Wolpert, 1992,
"Stacked generalization"; for posteriors of phonemes, Pinto et al., 2011, "Analysis of
MLP-based hierarchical phoneme posterior probability estimator".)

Everything stays feed-forward: a frame is labelled from its window of posteriors, each from
a window of frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.context import utterance_lengths, window_starts
from phonemes.corpus import Frames
from phonemes.errors import InputError
from phonemes.fitting import Arrays
from phonemes.inference import SILENT, as_frames, mean_posteriors, place, posteriors
from phonemes.model import Trained
from phonemes.params import UNDISTORTED, Data, Params, Refine, Train

Fit = Callable[[Arrays, Arrays, Data, Train, str], Trained]
"""Trains a network on the first split, choosing its epoch on the second; the text says which."""


def parts(utterances: int, folds: int) -> list[NDArray[np.intp]]:
    """Cut utterances into runs of about as many: most of a speaker's stay together.

    Raises:
        InputError: there are fewer utterances than parts.
    """
    if utterances < folds:
        raise InputError(
            f"refine.folds is {folds}, but train has {utterances} utterances; lower it"
        )
    return np.array_split(np.arange(utterances), folds)


def chosen(arrays: Arrays, utterances: NDArray[np.bool_], data: Data) -> Arrays:
    """Return the utterances of a split, (U,) bool, laid out for the windows of `data`."""
    lengths = utterance_lengths(arrays.starts)
    frames = np.repeat(utterances, lengths)
    starts = window_starts(lengths[utterances], data.k, data.padding)
    return Arrays(arrays.frames[frames], starts, arrays.labels[frames])


def second_params(train: Train, refine: Refine, member: int) -> Train:
    """Return how a second network is trained: as a first one, but for what `refine` says.

    It tells the label of its middle frame alone: to tell more made it worse.
    """
    return replace(
        train,
        hidden=refine.hidden,
        residual=False,
        neighbours=0,
        dropout=refine.dropout,
        epochs=refine.epochs,
        augment=UNDISTORTED,
        seed=train.seed + member,
    )


def without_parts(
    train: Arrays,
    dev: Arrays,
    device: torch.device,
    dtype: torch.dtype,
    params: Params,
    fit: Fit,
) -> tuple[list[Trained], Frames]:
    """Train networks that each leave out a part of train; return them and what they make of it.

    Args:
        train: what they learn from.
        dev: on which each network's best epoch is chosen.
        device: where to compute.
        dtype: in which precision.
        params: how many networks there are and how they are trained.
        fit: trains a network.

    Returns:
        The networks, and (N, C) `as_frames`, in the order of train's: of each frame the
        posteriors of the network that never saw its utterance.

    Raises:
        InputError: before anything is trained, that train has fewer utterances than parts.
    """
    lengths, folds = utterance_lengths(train.starts), params.refine.folds
    data, batch = params.data, params.runtime.batch_size
    others, unheard = [], []
    for number, part in enumerate(parts(len(lengths), folds), 1):
        left_out = np.isin(np.arange(len(lengths)), part)
        how = replace(params.train, seed=params.train.seed + number)
        seen, unseen = chosen(train, ~left_out, data), chosen(train, left_out, data)
        others.append(fit(seen, dev, data, how, f"without part {number} of {folds}"))
        split = place(unseen.frames, unseen.starts, None, data, device, dtype)
        unheard.append(as_frames(posteriors(others[-1].network(device), split, batch, dtype)))
    return others, np.concatenate(unheard)


def second_networks(
    first: Sequence[Trained],
    unheard: Frames,
    train: Arrays,
    dev: Arrays,
    device: torch.device,
    dtype: torch.dtype,
    params: Params,
    fit: Fit,
) -> list[Trained]:
    """Train second networks over the posteriors of first ones.

    Args:
        first: a network trained on all of train and those of `without_parts`: the mean of
            their posteriors enters where none saw the utterance, on dev, as on test later.
        unheard: (N, C) what those of `without_parts` make of the parts that they left out.
        train: whose labels are learnt.
        dev: on which each network's best epoch is chosen.
        device: where to compute.
        dtype: in which precision.
        params: how many networks there are and how they are trained.
        fit: trains a network.
    """
    judged = place(dev.frames, dev.starts, None, params.data, device, dtype)
    networks = [each.network(device) for each in first]
    heard = as_frames(mean_posteriors(networks, judged, params.runtime.batch_size, dtype))
    windows = Data(params.refine.k, SILENT)
    learnt, tried = (
        Arrays(
            made,
            window_starts(utterance_lengths(arrays.starts), windows.k, windows.padding),
            arrays.labels,
        )
        for made, arrays in ((unheard, train), (heard, dev))
    )
    members = params.refine.members
    return [
        fit(
            learnt,
            tried,
            windows,
            second_params(params.train, params.refine, member),
            f"second network {member + 1} of {members}",
        )
        for member in range(members)
    ]
