"""From a corpus's arrays to a network in training, the same for every network of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.context import Starts
from phonemes.corpus import Frames, Labels
from phonemes.errors import InputError
from phonemes.inference import place, require_fit
from phonemes.inventory import auxiliary_labels
from phonemes.loss import class_weights
from phonemes.model import Architecture, build, initialize
from phonemes.neighbours import labels_around
from phonemes.params import Data, Train
from phonemes.streaming import fits, place_or_stream
from phonemes.training import Teacher, Training


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


def require_resident(
    train: Arrays, classes: int, device: torch.device, dtype: torch.dtype, params: Train
) -> None:
    """Refuse to distil from frames that would pass through the device in blocks.

    Raises:
        InputError: says what to set instead.
    """
    told = 2 * params.neighbours + 1  # labels, and frames of the teacher, of each window, at least
    each = classes * dtype.itemsize + told * (4 + train.labels.itemsize)  # bytes of a frame
    room = fits(*train, device, dtype, len(train.labels) * each)
    if params.shuffle == "blocks" or (params.shuffle == "auto" and not room):
        raise InputError(
            "train.distill needs frames that fit the device; set train.shuffle to full or "
            "train.distill to 0"
        )


def _teacher(
    posteriors: NDArray[np.float32],
    starts: Starts,
    neighbours: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Teacher:
    """Put posteriors of train's frames, (N, P), on the device."""
    around = labels_around(np.arange(len(starts), dtype=np.int32), starts, neighbours)
    return Teacher(
        torch.from_numpy(posteriors).to(device, dtype), torch.from_numpy(around).to(device)
    )


def prepare(
    train: Arrays,
    dev: Arrays,
    phonemes: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
    data: Data,
    params: Train,
    posteriors: NDArray[np.float32] | None = None,
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
        posteriors: (N, P) what other networks make of train's frames, for `train.distill`;
            then the frames stay on the device, see `require_resident`. None: the labels are
            all there is to learn.

    Raises:
        InputError: dev's windows are not the network's, frames are not finite, or there are
            no auxiliary labels for such phonemes.
    """
    classes = len(phonemes)
    judged = place(*dev, data, device, dtype)
    labels = labels_told(train, params, phonemes)
    split = train.frames, train.starts, labels, data
    teacher = None
    if posteriors is None:
        seen = place_or_stream(*split, params, device, dtype)
    else:
        seen = place(*split, device, dtype)
        teacher = _teacher(posteriors, train.starts, params.neighbours, device, dtype)
    torch.manual_seed(params.seed)
    architecture = Architecture.of(params, 2 * data.k + 1, train.frames.shape[1], classes)
    network = build(architecture)
    require_fit(network, judged, classes)
    initialize(network, params.initialization)
    weights = class_weights(
        torch.tensor(train.labels, dtype=torch.int64), classes, params.class_weights
    )
    training = Training(network.to(device), seen, judged, params, weights, dtype, teacher)
    return training, architecture
