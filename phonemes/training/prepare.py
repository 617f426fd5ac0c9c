"""From a corpus's arrays to a network in training, the same for every network of a model."""

from dataclasses import replace

import torch

from phonemes.distributed.world import SINGLE, Group, World
from phonemes.errors import InputError
from phonemes.inference.device import Compute
from phonemes.inference.windows import DeviceSplit, require_fit, to_device
from phonemes.model.architecture import Architecture, Classifier, build, initialize
from phonemes.storage.layout import HostSplit, Labels
from phonemes.training.augmentation import reached_context
from phonemes.training.batches import make_batches
from phonemes.training.distributed_step import DistributedStep
from phonemes.training.loss import class_weights
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import FitParams, TrainParams
from phonemes.training.run import Batches, Buffers, Run, Step, seed_steps
from phonemes.training.seeds import derived
from phonemes.training.shares import Share, process_batch, process_seed, share_of
from phonemes.training.step import make_step
from phonemes.training.targets import targets


def prepare(
    train: HostSplit,
    dev: HostSplit,
    classes: int,
    compute: Compute,
    params: FitParams,
    group: Group = SINGLE,
) -> Run:
    """Return a run that is ready to start.

    Torch's global random state is seeded, see `seed_steps`.

    Args:
        train: what the network learns from.
        dev: on which its best epoch is chosen.
        classes: P.
        compute: where, and in which precision.
        params: what the network is and how it is trained.
        group: the processes that train it together, all of which are here.

    Raises:
        InputError: dev's windows are not the network's, frames are not finite, batch
            normalization would see a single frame, or the processes cannot share the batch or
            the utterances.
    """
    world, how = group.world, params.train
    share, of_train, of_dev = None, None, None  # all utterances
    if world.size > 1:
        share = share_of("the training set", train.starts, world, how.seed)
        of_train = share.utterances
        of_dev = share_of("dev", dev.starts, world, how.seed).utterances
    on_dev = to_device(dev, params.data, *compute, of_dev)
    learnt = _with_targets(train, reached_context(params.model.target_context, params.augment))
    own = of_process(how, world)
    batches = make_batches(learnt, params.data, own, *compute, of_train)
    assert train.labels is not None
    run = new_run(
        batches, on_dev, train.labels, classes, compute.dtype, params, group=group, share=share
    )
    seed_steps(run)
    return run


def of_process(train: TrainParams, world: World) -> TrainParams:
    """Return how a process trains: its part of a batch, and what it draws.

    Raises:
        InputError: the processes cannot share a batch evenly.
    """
    return replace(
        train,
        batch_size=process_batch(train.batch_size, world),
        seed=process_seed(train.seed, world),
    )


def new_run(
    batches: Batches,
    dev: DeviceSplit,
    labels: Labels,
    classes: int,
    dtype: torch.dtype,
    params: FitParams,
    *,
    group: Group = SINGLE,
    share: Share | None = None,
) -> Run:
    """Return a run on frames that are on the device already; see `prepare`.

    Nothing is drawn from torch's global random state: `seed_steps` comes before the first step.

    Args:
        batches: of this process's share of the training set, with the targets that the network
            and its distortions reach.
        dev: on which its best epoch is chosen.
        labels: (N,) of the whole training set.
        classes: P.
        dtype: of the products.
        params: what the network is and how it is trained.
        group: the processes that train it together.
        share: of this process; None: it is alone.
    """
    data, model, _, how = params
    own = of_process(how, group.world)
    device, bands = dev.windows.device, batches.split.bands
    network, architecture = build(Architecture.of(model, 2 * data.k + 1, bands, classes))
    require_fit(architecture, dev, classes)
    generator = torch.Generator().manual_seed(derived(how.seed, "initialization"))
    initialize(network, model.initialization, generator)
    group.broadcast([*network.state_dict().values()], 0)  # another kind of CPU may draw others
    classifier = Classifier(network.to(device), architecture)
    weights = class_weights(torch.tensor(labels, dtype=torch.int64), classes, how.class_weights)
    weights = None if weights is None else weights.to(device)
    fewest, most = (share.fewest, share.most) if share else (batches.count, batches.count)
    batch = min(own.batch_size, fewest)
    if architecture.norm == "batch" and batch < 2:
        raise _single(group.world)
    optimizer, buffers = Optimizer(network, how, dtype), Buffers.of(batches, batch, most)
    steps = how.epochs * len(buffers.rates)
    params = params._replace(train=own)
    parted = make_step(classifier, optimizer, batches.split, batch, steps, params, weights, dtype)
    step: Step = parted if group.world.size == 1 else DistributedStep(parted, group)
    return Run(classifier, optimizer, batches, step, dev, own, dtype, buffers, group)


def _single(world: World) -> InputError:
    """Return the error of batches of one frame, which cannot be normalized."""
    if world.size == 1:
        return InputError(
            "the training set has one frame and batch normalization needs two; "
            "set model.norm to layer or none"
        )
    return InputError(
        f"each of {world.size} processes has one frame of a batch and batch normalization needs "
        "two; raise train.batch_size, or set model.norm to layer or none"
    )


def _with_targets(split: HostSplit, context: int) -> HostSplit:
    if not context:
        return split
    assert split.labels is not None
    return split._replace(labels=targets(split.labels, split.starts, context))
