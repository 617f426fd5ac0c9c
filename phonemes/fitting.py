"""From a corpus's arrays to a network in training, the same for every network of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from phonemes.context import Starts
from phonemes.corpus import Frames, Labels
from phonemes.inference import place, require_fit
from phonemes.loss import class_weights
from phonemes.model import Architecture, build, initialize
from phonemes.neighbours import labels_around
from phonemes.params import Data, Train
from phonemes.streaming import place_or_stream
from phonemes.training import Training


class Arrays(NamedTuple):
    """One split in host memory, utterances end to end."""

    frames: Frames  # (N, C) normalized
    starts: Starts  # (N,) from `context.window_starts`
    labels: Labels  # (N,)


def prepare(
    train: Arrays,
    dev: Arrays,
    phonemes: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
    data: Data,
    params: Train,
) -> tuple[Training, Architecture]:
    """Return a training that is ready to start, and what its network is.

    Torch's global random state is seeded: dropout draws from it.

    Args:
        train: what the network learns from.
        dev: on which its best epoch is chosen.
        phonemes: (P,) names in the order of the labels.
        device: where to compute.
        dtype: in which precision.
        data: what the windows are.
        params: what the network is and how it is trained.

    Raises:
        InputError: dev's windows are not the network's, or frames are not finite.
    """
    classes = len(phonemes)
    judged = place(*dev, data, device, dtype)
    labels = train.labels
    if params.neighbours:
        labels = labels_around(labels, train.starts, params.neighbours)
    seen = place_or_stream(train.frames, train.starts, labels, data, params, device, dtype)
    torch.manual_seed(params.seed)
    architecture = Architecture.of(params, 2 * data.k + 1, train.frames.shape[1], classes)
    network = build(architecture)
    require_fit(network, judged, classes)
    initialize(network, params.initialization)
    weights = class_weights(
        torch.tensor(train.labels, dtype=torch.int64), classes, params.class_weights
    )
    training = Training(network.to(device), seen, judged, params, weights, dtype)
    return training, architecture
