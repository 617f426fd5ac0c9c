"""The network: blocks of Linear, normalization, activation and dropout, then a linear output.

Nothing but feed-forward layers can be configured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from phonemes.model.layers import (
    ContextPooling,
    Dropout,
    Linear,
    MultiTargetHead,
    Residual,
    pool_sizes,
)
from phonemes.model.params import Dropout as DropoutShare
from phonemes.model.params import ModelParams, Widths
from phonemes.schema import Choice, Items, Number
from phonemes.storage.layout import MOST_PHONEMES

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
NORMS: dict[str, type[nn.Module] | None] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "none": None,
}


@dataclass(frozen=True)
class Architecture:
    """What a network is made of; enough to build it again.

    The rules are those by which a stored one is checked.
    """

    frames: Annotated[int, Number(1, 2001)]  # W, of a window
    bands: Annotated[int, Number(1, 2**20)]  # C, of a frame
    classes: Annotated[int, Number(1, MOST_PHONEMES)]  # P
    hidden: Widths  # width of each block
    activation: Annotated[str, Choice(tuple(ACTIVATIONS))]
    norm: Annotated[str, Choice(tuple(NORMS))]
    norm_position: Annotated[str, Choice(("before", "after"))]  # the activation
    dropout: DropoutShare
    residual: bool = False  # pairs of blocks add to what enters them
    # frames in each mean, from the middle outwards
    pooling: Annotated[tuple[int, ...], Items(0, 1000, Number(1, 1000))] = ()
    # n, frames on each side whose labels are targets too
    target_context: Annotated[int, Number(0, 1000)] = 0

    @classmethod
    def of(cls, model: ModelParams, frames: int, bands: int, classes: int) -> "Architecture":
        """Return what the parameters describe, for windows of W = `frames` and C = `bands`."""
        return cls(
            frames,
            bands,
            classes,
            model.hidden,
            model.activation,
            model.norm,
            model.norm_position,
            model.dropout,
            model.residual,
            pool_sizes(frames // 2, model.full_rate_context),
            model.target_context,
        )

    @property
    def inputs(self) -> int:
        """Return how many values a window has, W C."""
        return self.frames * self.bands

    @property
    def pooled_frames(self) -> int:
        """Return how many frames and means enter the first product, S."""
        return self.frames - 2 * (sum(self.pooling) - len(self.pooling))

    @property
    def targets(self) -> int:
        """Return how many labels a window predicts, D = 2n + 1."""
        return 2 * self.target_context + 1

    @property
    def fits(self) -> bool:
        """Return whether its layers fit each other: the runs in the window, sums in their width."""
        one_width = len({*self.hidden}) == 1
        return 2 * sum(self.pooling) <= self.frames and (one_width or not self.residual)


class Classifier(NamedTuple):
    """A network and what it is made of."""

    network: nn.Sequential  # windows (B, W C) in, logits (B, P) or (B, D, P) out
    architecture: Architecture


def build(architecture: Architecture) -> Classifier:
    """Return the network: windows (B, W C) in, logits (B, P) out, or (B, D, P) for D > 1 targets.

    The weights of its products are not set: `initialize` draws them, or stored ones are read.
    With `residual`, the input of every pair of blocks after the first is added to their output,
    each block normalizing and activating before its product (He et al., 2016, "Identity
    mappings in deep residual networks", arXiv 1603.05027).
    """
    layers = _layers(architecture)
    pooling, head = [], []
    if architecture.pooling:
        sizes = architecture.frames, architecture.bands, architecture.pooling
        pooling = [ContextPooling(*sizes)]
    if architecture.targets > 1:
        head = [MultiTargetHead(architecture.targets, architecture.classes)]
    if architecture.residual:
        block = (len(layers) - 1) // len(architecture.hidden)  # layers of one, Linear first
        first, last = layers[:1], layers[1 - block - 1 :]
        pairs = [
            Residual(*layers[begin : begin + 2 * block])
            for begin in range(1, len(layers) - len(last), 2 * block)
        ]
        layers = [*first, *pairs, *last]
    return Classifier(nn.Sequential(*pooling, *layers, *head), architecture)


def _layers(architecture: Architecture) -> list[nn.Module]:
    """Return the layers of a network one after the other."""
    layers: list[nn.Module] = []
    width = architecture.pooled_frames * architecture.bands
    for hidden in architecture.hidden:
        activation = ACTIVATIONS[architecture.activation]()
        kind = NORMS[architecture.norm]
        norm = [kind(hidden)] if kind else []
        before = architecture.norm_position == "before"
        # batch normalization would subtract a bias again
        layers.append(Linear(width, hidden, bias=not (before and kind is nn.BatchNorm1d)))
        layers += [*norm, activation] if before else [activation, *norm]
        if architecture.dropout > 0:
            layers.append(Dropout(architecture.dropout))
        width = hidden
    layers.append(Linear(width, architecture.targets * architecture.classes))
    return layers


def initialize(network: nn.Module, scheme: str, generator: torch.Generator) -> None:
    """Set the weights and biases of `network`'s linear layers in place.

    default: as torch's linear layers; kaiming: He et al. (2015), arXiv 1502.01852; xavier:
    Glorot and Bengio (2010); orthogonal: Saxe et al. (2014), arXiv 1312.6120. Biases become 0,
    but for "default".
    """
    fills: dict[str, Callable[..., Tensor]] = {
        "default": partial(nn.init.kaiming_uniform_, a=math.sqrt(5)),
        "kaiming": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
        "xavier": nn.init.xavier_uniform_,
        "orthogonal": nn.init.orthogonal_,
    }
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            fills[scheme](layer.weight, generator=generator)
            if layer.bias is not None:
                bound = 1 / math.sqrt(layer.in_features) if scheme == "default" else 0
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def describe(architecture: Architecture) -> str:
    """Return the network as text for a person, a line for the input, each block and the output."""
    a = architecture
    lines = [f"input: window of {a.frames} frame{'s' * (a.frames != 1)} x {a.bands} bands"]
    if a.pooling:
        near = a.frames - 2 * sum(a.pooling)
        lines[0] += (
            f"; the middle {near} frames as they are, the other {2 * sum(a.pooling)} as the means "
            f"of {2 * len(a.pooling)} runs"
        )
    norm = {"batch": "batch normalization", "layer": "layer normalization"}.get(a.norm)
    then = [*([norm] if norm else []), a.activation]
    if a.norm_position == "after":
        then.reverse()
    if a.dropout > 0:
        then.append(f"dropout {a.dropout:g}")
    width = a.pooled_frames * a.bands
    for number, hidden in enumerate(a.hidden, 1):
        line = f"block {number}: linear {width:,} -> {hidden:,}, {', '.join(then)}"
        if a.residual and number > 1 and number % 2:
            line += f"; the output of block {number - 2}'s linear layer is added"
        lines.append(line)
        width = hidden
    output = f"output: linear {width:,} -> {a.targets * a.classes:,}: {a.classes} phonemes"
    if a.targets > 1:
        n = a.target_context
        output += f" for each of {a.targets} frames, t - {n} to t + {n}"
    return "\n".join([*lines, output])
