"""The classifier: blocks of Linear, normalization, activation and dropout, then a linear output.

Nothing but feed-forward layers can be configured. A stored model is a dictionary of
tensors and plain values, read back without unpickling code (`weights_only`).
"""

import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from phonemes.errors import InputError
from phonemes.layers import Apart, Dropout, Residual, Thinning, thin_out
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
    residual: bool = False  # pairs of blocks add to what enters them
    thin: tuple[int, ...] = ()  # frames in each average, from the middle outwards
    bands: int = 0  # C of a window's frames, where some are averaged
    neighbours: int = 0  # n, frames on each side whose labels are predicted too

    @classmethod
    def of(cls, train: Train, frames: int, bands: int, classes: int) -> "Architecture":
        """Return what the parameters describe, for windows of W = `frames` and C = `bands`."""
        return cls(
            frames * bands,
            classes,
            train.hidden,
            train.activation,
            train.normalization,
            train.normalize,
            train.dropout,
            train.residual,
            thin_out(frames // 2, train.whole),
            bands,
            train.neighbours,
        )

    @property
    def told(self) -> int:
        """Return how many labels a window tells, 2n + 1."""
        return 2 * self.neighbours + 1


def build(architecture: Architecture) -> nn.Sequential:
    """Return the network: windows (B, W C) in, logits (B, P) out.

    Where it tells D labels of a window, the logits are (B, D, P). Residual,
    what two blocks make of a product is added to it, each block normalizing and
    activating before its product (He et al., 2016, arXiv 1603.05027).
    """
    layers = _layers(architecture)
    thinning, apart = [], []
    if architecture.thin:
        frames = architecture.inputs // architecture.bands
        thinning = [Thinning(frames, architecture.bands, architecture.thin)]
    if architecture.told > 1:
        apart = [Apart(architecture.neighbours, architecture.classes)]
    if not architecture.residual:
        return nn.Sequential(*thinning, *layers, *apart)
    block = (len(layers) - 1) // len(architecture.hidden)  # layers of one, Linear first
    first, last = layers[:1], layers[1 - block - 1 :]
    pairs = [
        Residual(*layers[begin : begin + 2 * block])
        for begin in range(1, len(layers) - len(last), 2 * block)
    ]
    return nn.Sequential(*thinning, *first, *pairs, *last, *apart)


def _layers(architecture: Architecture) -> list[nn.Module]:
    """Return the layers of a network one after the other."""
    layers: list[nn.Module] = []
    width = architecture.inputs
    if architecture.thin:
        averaged = 2 * (sum(architecture.thin) - len(architecture.thin))
        width -= averaged * architecture.bands
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
            layers.append(Dropout(architecture.dropout))
        width = hidden
    layers.append(nn.Linear(width, architecture.told * architecture.classes))
    return layers


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


def window_values(network: nn.Sequential) -> int:
    """Return W C, the values of a window that enters a network."""
    first = network[0]
    if isinstance(first, Thinning):
        return first.frames * first.bands
    return next(layer for layer in network.modules() if isinstance(layer, nn.Linear)).in_features


def parameter_count(network: nn.Module) -> int:
    """Return how many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


class Trained(NamedTuple):
    """A network as it is stored."""

    architecture: Architecture
    state: dict[str, Tensor]  # weights and running statistics, by name

    def network(self, device: torch.device) -> nn.Sequential:
        """Return the network, ready to classify on a device."""
        network = build(self.architecture)
        network.load_state_dict(self.state)
        return network.to(device).eval()


class Model(NamedTuple):
    """What labels frames; usually one network alone."""

    first: list[nn.Sequential]  # over windows of frames; the posteriors are averaged
    second: list[nn.Sequential]  # over windows of those posteriors, where params.yaml refines
    facts: dict[str, Any]  # about the training of the first one


def save_model(
    path: Path, first: Sequence[Trained], second: Sequence[Trained], facts: dict[str, Any]
) -> None:
    """Write networks and plain `facts` about their training to one file."""
    stored: dict[str, Any] = {"facts": facts}
    for name, networks in (("first", first), ("second", second)):
        stored[name] = [
            {"architecture": asdict(each.architecture), "state": each.state} for each in networks
        ]
    with path.open("wb") as file:  # by handle: torch would write the file's name into it
        torch.save(stored, file)


def _network(stored: dict[str, Any], device: torch.device) -> nn.Sequential:
    values = stored["architecture"]
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Trained(Architecture(**values | lists), stored["state"]).network(device)


def load_model(path: Path, device: torch.device) -> Model:
    """Return the networks of a file, ready to classify on `device`.

    Raises:
        InputError: the file is not a model of this project.
    """
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        first, second = (
            [_network(each, device) for each in stored[name]] for name in ("first", "second")
        )
        model = Model(first, second, dict(stored["facts"]))
        if not first:
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
    values = (value for each in first + second for value in each.state_dict().values())
    if not all(value.isfinite().all() for value in values):
        raise InputError(f"{path} holds NaN or infinity; delete it and run `dvc repro`")
    return model
