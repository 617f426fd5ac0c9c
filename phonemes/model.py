"""The classifier: blocks of Linear, normalization, activation and dropout, then a linear output.

Nothing but feed-forward layers can be configured. A stored model is a dictionary of
tensors and plain values, read back without unpickling code (`weights_only`).
"""

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phonemes.errors import InputError
from phonemes.params import Train

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
NORMALIZATIONS: dict[str, type[nn.Module] | None] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "none": None,
}


@dataclass(frozen=True)
class Architecture:
    """What a network is made of; enough to build it again."""

    inputs: int  # W C, the values of a window
    classes: int  # P
    hidden: tuple[int, ...]  # width of each block
    activation: str
    normalization: str
    normalize: str  # before or after the activation
    dropout: float

    @classmethod
    def of(cls, train: Train, inputs: int, classes: int) -> "Architecture":
        """Return the architecture that the parameters describe."""
        return cls(
            inputs,
            classes,
            train.hidden,
            train.activation,
            train.normalization,
            train.normalize,
            train.dropout,
        )


def build(architecture: Architecture) -> nn.Sequential:
    """Return the network: windows (B, W C) in, logits (B, P) out."""
    layers: list[nn.Module] = []
    width = architecture.inputs
    for hidden in architecture.hidden:
        activation = ACTIVATIONS[architecture.activation]()
        kind = NORMALIZATIONS[architecture.normalization]
        normalization = [kind(hidden)] if kind else []
        before = architecture.normalize == "before"
        # batch normalization would subtract a bias again
        layers.append(nn.Linear(width, hidden, bias=not (before and kind is nn.BatchNorm1d)))
        if before:
            layers += [*normalization, activation]
        else:
            layers += [activation, *normalization]
        if architecture.dropout > 0:
            layers.append(nn.Dropout(architecture.dropout))
        width = hidden
    layers.append(nn.Linear(width, architecture.classes))
    return nn.Sequential(*layers)


def initialize(network: nn.Module, scheme: str) -> None:
    """Set the weights of `network`'s linear layers in place, from torch's current random state.

    kaiming: He et al. (2015), arXiv 1502.01852; xavier: Glorot and Bengio (2010);
    orthogonal: Saxe et al. (2014), arXiv 1312.6120. Biases become 0. "default" keeps torch's.
    """
    fill = {
        "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "xavier": nn.init.xavier_uniform_,
        "orthogonal": nn.init.orthogonal_,
    }.get(scheme)
    for layer in network.modules():
        if fill and isinstance(layer, nn.Linear):
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def parameter_count(network: nn.Module) -> int:
    """Return how many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


def save_model(
    path: Path, architecture: Architecture, state: dict[str, Tensor], facts: dict[str, Any]
) -> None:
    """Write the network and plain `facts` about its training to one file."""
    stored = {"architecture": asdict(architecture), "state": state, "facts": facts}
    with path.open("wb") as file:  # by handle: torch would write the file's name into it
        torch.save(stored, file)


def load_model(path: Path, device: torch.device) -> tuple[nn.Sequential, dict[str, Any]]:
    """Return the network, ready to classify on `device`, and the facts stored with it.

    Raises:
        InputError: the file is not a model of this project.
    """
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        values = stored["architecture"]
        architecture = Architecture(**{**values, "hidden": tuple(values["hidden"])})
        network = build(architecture)
        network.load_state_dict(stored["state"])
        facts = dict(stored["facts"])
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
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise InputError(f"{path} holds NaN or infinity; delete it and run `dvc repro`")
    return network.to(device).eval(), facts
