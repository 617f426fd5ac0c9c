"""The state of a run after an epoch: what a checkpoint stores, and how a run goes on from it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from phonemes.training.loop import Epoch, Run


class RunState(NamedTuple):
    """All that the epochs to come depend on."""

    tensors: dict[str, Tensor]  # of network, best network, optimizer and random generators
    history: list[list[float]]  # a row an epoch, as in `Epoch`


class UnfitError(ValueError):
    """A state is not one of this run; the message says in which part."""


def state(run: Run) -> RunState:
    """Return all that the epochs to come depend on."""
    network = run.classifier.network
    tensors = _named("network", network.state_dict()) | _named("best", run.best_state)
    for number, weight in enumerate(network.parameters()):
        tensors |= _named(f"optimizer.{number}", run.optimizer.state[weight])
    if run.optimizer.scaler.is_enabled():
        tensors["scale"] = run.optimizer.scale
    tensors["random.order"] = run.batches.generator.get_state()
    tensors["random.host"] = torch.get_rng_state()
    if run.device.type == "cuda":
        tensors["random.device"] = torch.cuda.get_rng_state(run.device)
    return RunState(tensors, [[*epoch] for epoch in run.history])


def restore(run: Run, stored: RunState) -> None:
    """Update `run` to go on from a `state`; torch's random state becomes what it was then.

    Raises:
        UnfitError: before anything is changed, that it is not the state of such a run.
    """
    _require_fit(run, stored)
    tensors, network = stored.tensors, run.classifier.network
    best = {name: tensors[f"best.{name}"] for name in network.state_dict()}
    network.load_state_dict({name: tensors[f"network.{name}"] for name in best})
    for number, weight in enumerate(network.parameters()):
        for name, value in run.optimizer.state[weight].items():
            value.copy_(tensors[f"optimizer.{number}.{name}"])  # which a recorded graph reads
    if run.optimizer.scaler.is_enabled():
        run.optimizer.scale = tensors["scale"]
    run.batches.generator.set_state(tensors["random.order"])
    torch.set_rng_state(tensors["random.host"])
    if run.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.device"], run.device)
    run.history = [Epoch(int(number), *values) for number, *values in stored.history]
    run.best = max(run.history, key=lambda epoch: epoch.dev_accuracy)
    run.best_state = best


def _named(prefix: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _require_fit(run: Run, stored: RunState) -> None:
    """Refuse a state that is not one of such a run, or from which none could go on."""
    network = run.classifier.network.state_dict()
    expected = state(run).tensors | _named("best", network)
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
                torch.Generator(device).set_state(found)
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
