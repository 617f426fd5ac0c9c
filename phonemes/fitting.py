"""From a corpus's arrays to a network in training, the same for every network of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from phonemes.context import Starts
from phonemes.corpus import Frames, Labels
from phonemes.inference import place, require_fit
from phonemes.inventory import auxiliary_labels
from phonemes.model import Architecture, build, initialize
from phonemes.neighbours import labels_around
from phonemes.params import Data, Train
from phonemes.streaming import place_or_stream
from phonemes.training import Training, class_weights


class Arrays(NamedTuple):
    """One split in host memory, utterances end to end."""

    frames: Frames  # (N, C) normalized
    starts: Starts  # (N,) from `context.window_starts`
    labels: Labels  # (N,)


def labels_told(arrays: Arrays, params: Train, phonemes: Sequence[str]) -> Labels:
    """Return all labels that a window of train is to tell, (N, L), or (N,) where it is one.

    First those of 2n + 1 frames around the middle, from one frame earlier to one later where
    labels are softened; then auxiliary ones.
    """
    around = params.neighbours + (params.soften > 0)
    told = arrays.labels
    if around:
        told = labels_around(told, arrays.starts, around)
    if params.auxiliary:
        told = np.c_[told, auxiliary_labels(phonemes)[arrays.labels].astype(told.dtype)]
    return told


def prepare(
    train: Arrays,
    dev: Arrays,
    classes: int,
    device: torch.device,
    dtype: torch.dtype,
    data: Data,
    params: Train,
    phonemes: Sequence[str] = (),
) -> tuple[Training, Architecture]:
    """Return a training that is ready to start, and what its network is.

    Torch's global random state is seeded: dropout draws from it. Auxiliary labels need the
    names of the phonemes.

    Raises:
        InputError: dev's windows are not the network's, frames are not finite, or there are
            no auxiliary labels for such phonemes.
    """
    judged = place(*dev, data, device, dtype)
    labels = labels_told(train, params, phonemes)
    seen = place_or_stream(train.frames, train.starts, labels, data, params, device, dtype)
    torch.manual_seed(params.seed)
    architecture = Architecture.of(params, 2 * data.k + 1, train.frames.shape[1], classes)
    network = build(architecture)
    require_fit(network, judged, classes)
    initialize(network, params.initialization)
    weights = class_weights(
        torch.tensor(train.labels, dtype=torch.int64), classes, params.class_weights
    )
    return Training(network.to(device), seen, judged, params, weights, dtype), architecture
