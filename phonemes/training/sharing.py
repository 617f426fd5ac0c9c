"""Networks that do not depend on each other, trained by several processes at a time.

Each process trains its share, into checkpoints as ever. Processes of one host, which have its
files, may hand a network over: one begins it, and another goes on from its checkpoint. Once all are
done, everybody has every network: what follows is computed alike by all, and is what one process
makes.
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from phonemes.distributed.world import Group
from phonemes.distributed.wrap_around import Job, schedule
from phonemes.model.architecture import Architecture, build
from phonemes.model.store import TrainedNetwork
from phonemes.storage.layout import HostSplit
from phonemes.training.params import FitParams
from phonemes.training.stacking import Fit, Task

Begin = Callable[[HostSplit, HostSplit, FitParams, str, int], None]
"""Trains a network as `Fit` does, but ends after an epoch, whose checkpoint it leaves."""


def shared_out(
    begin: Begin, group: Group, classes: int, tasks: Sequence[Task], fit: Fit
) -> Iterator[TrainedNetwork]:
    """Train networks together with the other processes; yield all of them, in order.

    Args:
        begin: trains a network that another process goes on with.
        group: of the processes, all of which are here.
        classes: P.
        tasks: the same in all processes.
        fit: trains a network of this process, or goes on training it.

    Raises:
        InputError: another process has ended.
    """
    jobs = [Job(task.frames, task.how.train.epochs) for task in tasks]
    shares = schedule(jobs, group.world.size, group.one_host)
    trained: dict[int, TrainedNetwork] = {}
    for number, start, end in shares[group.world.rank]:
        task = tasks[number]
        if start:
            group.wait_for(task.name)
        if end < jobs[number].epochs:
            begin(task.train(), task.dev, task.how, task.name, end)
            group.announce(task.name)
        else:
            trained[number] = fit(task.train(), task.dev, task.how, task.name)
    group.wait()
    ended_by = {
        piece.job: rank
        for rank, share in enumerate(shares)
        for piece in share
        if piece.end == jobs[piece.job].epochs
    }
    for number, task in enumerate(tasks):
        network = trained.pop(number, None) or _untrained(task, classes)
        group.broadcast([*network.state.values()], ended_by[number])
        yield network


def _untrained(task: Task, classes: int) -> TrainedNetwork:
    """Return room for the weights of a network that another process has trained."""
    data, model, _, _ = task.how
    bands = task.dev.frames.shape[1]
    with torch.device("meta"):
        network, architecture = build(Architecture.of(model, 2 * data.k + 1, bands, classes))
    state = network.state_dict().items()
    return TrainedNetwork(
        architecture, {name: torch.empty_like(value, device="cpu") for name, value in state}
    )
