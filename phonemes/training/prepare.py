"""From a corpus's arrays to a network in training, the same for every network of a model."""

import torch

from phonemes.errors import InputError
from phonemes.inference.device import Compute
from phonemes.inference.windows import DeviceSplit, require_fit, to_device
from phonemes.model.architecture import Architecture, Classifier, build, initialize
from phonemes.storage.layout import HostSplit, Labels
from phonemes.training.augmentation import reached_context
from phonemes.training.batches import make_batches
from phonemes.training.loop import Batches, Buffers, Run
from phonemes.training.loss import class_weights
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import FitParams
from phonemes.training.seeds import derived
from phonemes.training.step import make_step
from phonemes.training.targets import targets


def prepare(
    train: HostSplit, dev: HostSplit, classes: int, compute: Compute, params: FitParams
) -> Run:
    """Return a run that is ready to start.

    Torch's global random state is seeded: torch's step draws dropout and distortions from it.

    Args:
        train: what the network learns from.
        dev: on which its best epoch is chosen.
        classes: P.
        compute: where, and in which precision.
        params: what the network is and how it is trained.

    Raises:
        InputError: dev's windows are not the network's, frames are not finite, or batch
            normalization would see a single frame.
    """
    on_dev = to_device(dev, params.data, *compute)
    learnt = _with_targets(train, reached_context(params.model.target_context, params.augment))
    batches = make_batches(learnt, params.data, params.train, *compute)
    assert train.labels is not None
    return new_run(batches, on_dev, train.labels, classes, compute.dtype, params)


def new_run(
    batches: Batches,
    dev: DeviceSplit,
    labels: Labels,
    classes: int,
    dtype: torch.dtype,
    params: FitParams,
) -> Run:
    """Return a run on frames that are on the device already; see `prepare`.

    Args:
        batches: of the training set, with the targets that the network and its distortions reach.
        dev: on which its best epoch is chosen.
        labels: (N,) of the training set.
        classes: P.
        dtype: of the products.
        params: what the network is and how it is trained.
    """
    data, model, _, how = params
    device, bands = dev.windows.device, batches.split.bands
    torch.manual_seed(derived(how.seed, "initialization"))
    network, architecture = build(Architecture.of(model, 2 * data.k + 1, bands, classes))
    require_fit(architecture, dev, classes)
    initialize(network, model.initialization)
    classifier = Classifier(network.to(device), architecture)
    weights = class_weights(torch.tensor(labels, dtype=torch.int64), classes, how.class_weights)
    weights = None if weights is None else weights.to(device)
    batch = min(how.batch_size, batches.count)
    if architecture.norm == "batch" and batch < 2:
        raise InputError(
            "the training set has one frame and batch normalization needs two; "
            "set model.norm to layer or none"
        )
    optimizer, buffers = Optimizer(network, how, dtype), Buffers.of(batches, batch)
    steps = how.epochs * len(buffers.rates)
    step = make_step(classifier, optimizer, batches.split, batch, steps, params, weights, dtype)
    torch.manual_seed(derived(how.seed, "dropout and distortions"))
    return Run(classifier, optimizer, batches, step, dev, how, dtype, buffers)


def _with_targets(split: HostSplit, context: int) -> HostSplit:
    if not context:
        return split
    assert split.labels is not None
    return split._replace(labels=targets(split.labels, split.starts, context))
