"""The model file: a dictionary of tensors and plain values.

It is read back without unpickling code (`weights_only`).
"""

import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from phonemes.errors import InputError
from phonemes.model.architecture import Architecture, Classifier, build


class TrainedNetwork(NamedTuple):
    """A network as it is stored."""

    architecture: Architecture
    state: dict[str, Tensor]  # weights and running statistics, by name

    def classifier(self, device: torch.device) -> Classifier:
        """Return the network on a device, in evaluation mode."""
        classifier = build(self.architecture)
        classifier.network.load_state_dict(self.state)
        classifier.network.to(device).eval()
        return classifier


class Model(NamedTuple):
    """What labels frames; usually one network alone."""

    base: list[Classifier]  # over windows of frames; their posteriors are averaged
    stacked: list[Classifier]  # over windows of those posteriors, with `stacking`
    facts: dict[str, Any]  # about the training of the first one


def save_model(
    path: Path,
    base: Sequence[TrainedNetwork],
    stacked: Sequence[TrainedNetwork],
    facts: dict[str, Any],
) -> None:
    """Write networks and plain `facts` about their training to one file."""
    stored: dict[str, Any] = {"facts": facts}
    for name, networks in (("base", base), ("stacked", stacked)):
        stored[name] = [
            {"architecture": asdict(each.architecture), "state": each.state} for each in networks
        ]
    with path.open("wb") as file:  # by handle: torch would write the file's name into it
        torch.save(stored, file)


def _classifier(stored: dict[str, Any], device: torch.device) -> Classifier:
    values = stored["architecture"]
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return TrainedNetwork(Architecture(**values | lists), stored["state"]).classifier(device)


def load_model(path: Path, device: torch.device) -> Model:
    """Return the networks of a file, ready to classify on `device`.

    Raises:
        InputError: the file is not a model of this project.
    """
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        base, stacked = (
            [_classifier(each, device) for each in stored[name]] for name in ("base", "stacked")
        )
        model = Model(base, stacked, dict(stored["facts"]))
        if not base:
            raise ValueError("it holds no network")
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run `dvc repro` to make it") from None
    except pickle.UnpicklingError:  # torch's own text advises to run what is in the file
        raise InputError(
            f"{path} is not a model of this pipeline: it holds more than tensors and plain values "
            "and could run code; delete it and run `dvc repro`"
        ) from None
    except Exception as error:  # torch raises many kinds on a broken file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InputError(
            f"{path} is not a model of this pipeline: {reason}; delete it and run `dvc repro`"
        ) from None
    networks = (classifier.network for classifier in base + stacked)
    values = (value for network in networks for value in network.state_dict().values())
    if not all(value.isfinite().all() for value in values):
        raise InputError(f"{path} holds NaN or infinity; delete it and run `dvc repro`")
    return model
