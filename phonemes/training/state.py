"""The state of a run after an epoch: what a checkpoint stores, and how a run goes on from it.

All processes of a run have the same weights; what each draws is of its own. With as many
processes as before a run goes on as if it had never stopped. With another number each process
has another share of the frames, and draws anew, from the seed, the epoch and its number.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from phonemes.training.run import Epoch, Run
from phonemes.training.seeds import derived


class RunState(NamedTuple):
    """All that the epochs to come depend on."""

    # of network, best network and optimizer; and, with a row for each process, its random
    # generators and the blocks of an epoch that pass through its device
    tensors: dict[str, Tensor]
    history: list[list[float]]  # a row an epoch, as in `Epoch`

    @property
    def processes(self) -> int:
        """Return how many processes drew; to be asked of a state that fits."""
        return len(self.tensors["random.order"])


class UnfitError(ValueError):
    """A state is not one of this run; the message says in which part."""


def state(run: Run) -> RunState:
    """Return all that the epochs to come depend on; all processes are here."""
    own = {name: run.group.gather(value) for name, value in _own(run).items()}
    return RunState(_weights(run) | own, [[*epoch] for epoch in run.history])


def _weights(run: Run) -> dict[str, Tensor]:
    """Return what all processes have alike."""
    network = run.classifier.network
    tensors = _named("network", network.state_dict()) | _named("best", run.best_state)
    for number, weight in enumerate(network.parameters()):
        tensors |= _named(f"optimizer.{number}", run.optimizer.state[weight])
    if run.optimizer.scaler.is_enabled():
        tensors["scale"] = run.optimizer.scale
    return tensors


def _own(run: Run) -> dict[str, Tensor]:
    """Return what this process has of its own: blocks, (1,), and random states, (bytes,) uint8."""
    own = {
        "blocks": torch.tensor([run.batches.blocks]),
        "random.order": run.batches.generator.get_state(),
        "random.host": torch.get_rng_state(),
    }
    if run.device.type == "cuda":
        own["random.device"] = torch.cuda.get_rng_state(run.device)
    return own


def restore(run: Run, stored: RunState) -> None:
    """Update `run` to go on from a `state`; torch's random state becomes what it was then.

    Raises:
        UnfitError: before anything is changed, that it is not the state of such a run.
    """
    require_fit(run, stored)
    tensors, network = stored.tensors, run.classifier.network
    best = {name: tensors[f"best.{name}"] for name in network.state_dict()}
    network.load_state_dict({name: tensors[f"network.{name}"] for name in best})
    for number, weight in enumerate(network.parameters()):
        for name, value in run.optimizer.state[weight].items():
            value.copy_(tensors[f"optimizer.{number}.{name}"])  # which a recorded graph reads
    if run.optimizer.scaler.is_enabled():
        run.optimizer.scale = tensors["scale"]
    if drew_alike(run, stored):
        _draw_on(run, tensors)
    else:
        _draw_anew(run, len(stored.history))
    run.history = [Epoch(int(number), *values) for number, *values in stored.history]
    run.best = max(run.history, key=lambda epoch: epoch.dev_accuracy)
    run.best_state = best


def drew_alike(run: Run, stored: RunState) -> bool:
    """Return whether as many processes drew before, and this one the frames of as many blocks."""
    world, blocks = run.group.world, run.batches.blocks
    return stored.processes == world.size and int(stored.tensors["blocks"][world.rank]) == blocks


def _draw_on(run: Run, tensors: Mapping[str, Tensor]) -> None:
    """Go on drawing from where this process was."""
    rank = run.group.world.rank
    # copies: torch reads a view from where its storage begins
    own = {name: tensors[name][rank].clone() for name in _own(run)}
    run.batches.generator.set_state(own["random.order"])
    torch.set_rng_state(own["random.host"])
    if run.device.type == "cuda":
        torch.cuda.set_rng_state(own["random.device"], run.device)


def _draw_anew(run: Run, done: int) -> None:
    """Draw what the epochs after the first `done` ones need from seeds of their own."""
    seed = run.train.seed  # another one in each process
    run.batches.generator.manual_seed(derived(seed, f"order of frames after epoch {done}"))
    torch.manual_seed(derived(seed, f"dropout and distortions after epoch {done}"))


def from_first(run: Run, stored: RunState | None) -> RunState | None:
    """Return in all processes, all of which are here, the state that the first one has read."""
    group, numbers = run.group, torch.zeros(2, dtype=torch.int64)
    if group.world.size == 1:
        return stored
    if stored:
        numbers = torch.tensor([len(stored.history), stored.processes])
    group.broadcast([numbers], 0)
    done, processes = numbers.tolist()
    if not done:
        return None
    tensors = stored.tensors if stored else _room(run, processes)
    rows = stored.history if stored else [[0.0] * len(Epoch._fields)] * done
    history = torch.tensor(rows, dtype=torch.float64)
    group.broadcast([history, *(tensors[name] for name in sorted(tensors))], 0)
    return RunState(tensors, history.tolist())


def _room(run: Run, processes: int) -> dict[str, Tensor]:
    """Return tensors in host memory, of the shapes of a state of so many processes."""
    alike = _weights(run) | _named("best", run.classifier.network.state_dict())
    own = {name: value.expand(processes, -1) for name, value in _own(run).items()}
    return {
        name: torch.empty(value.shape, dtype=value.dtype) for name, value in (alike | own).items()
    }


def _named(prefix: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def require_fit(run: Run, stored: RunState) -> None:
    """Refuse a state that is not one of such a run, or from which none could go on.

    Raises:
        UnfitError: says in which part.
    """
    drawn = stored.tensors.get("random.order", torch.empty(1))
    expected = _room(run, len(drawn) if drawn.ndim else 1)
    for name in sorted({*expected, *stored.tensors}):
        of_run, found = expected.get(name), stored.tensors.get(name)
        if of_run is None or found is None:
            raise UnfitError(f"{name} is {'missing' if found is None else 'unknown'}")
        if (of_run.shape, of_run.dtype) != (found.shape, found.dtype):
            raise UnfitError(
                f"{name} is {found.dtype} of shape {[*found.shape]}; expected {of_run.dtype} of "
                f"shape {[*of_run.shape]}"
            )
        if name.startswith(("network.", "best.", "scale")) and not found.isfinite().all():
            raise UnfitError(f"{name} holds NaN or infinity")
        if name.startswith("random."):
            device = "cpu" if name == "random.host" else run.batches.generator.device
            try:
                for each in found:
                    torch.Generator(device).set_state(each.clone())
            except RuntimeError:
                raise UnfitError(f"{name} is no state of a random generator") from None
    for number, row in enumerate(stored.history, 1):
        numbers = len(row) == len(Epoch._fields) and all(
            isinstance(value, int | float) and math.isfinite(value) for value in row
        )
        if not numbers or row[0] != number:
            raise UnfitError(f"row {number} of its history is not that of an epoch")
    if not stored.history:
        raise UnfitError("its history is empty")
