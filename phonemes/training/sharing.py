"""Networks that do not depend on each other, trained by several processes at a time.

Each process trains its share, into checkpoints as ever. Once all are done, everybody has every
network: what follows is computed alike by all, and is what one process makes.
"""

from collections.abc import Iterator, Sequence

import torch

from phonemes.distributed.world import Group
from phonemes.model.architecture import Architecture, build
from phonemes.model.store import TrainedNetwork
from phonemes.training.stacking import Fit, Task


def shared_out(
    tasks: Sequence[Task], fit: Fit, group: Group, classes: int
) -> Iterator[TrainedNetwork]:
    """Train networks together with the other processes; yield all of them, in order.

    Args:
        tasks: the same in all processes.
        fit: trains a network of this process.
        group: of the processes, all of which are here.
        classes: P.

    Raises:
        InputError: another process has ended.
    """
    world = group.world
    mine = [(number, tasks[number]) for number in world.share(len(tasks))]
    trained = {number: fit(task.train(), task.dev, task.how, task.name) for number, task in mine}
    group.wait()
    for number, task in enumerate(tasks):
        network = trained.pop(number, None) or _untrained(task, classes)
        group.broadcast([*network.state.values()], world.owner(number))
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
