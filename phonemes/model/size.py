"""How many parameters networks have, counted in one place and without their weights.

All numbers that training adjusts count: weights, biases, and the scales and shifts of
normalization. Courses that limit the size of a model count those of all networks that predict.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import nn

from phonemes.model.architecture import Architecture, build


class LayerGroup(NamedTuple):
    """Layers that are alike."""

    name: str
    layers: int
    parameters: int  # of all of them


@lru_cache(maxsize=64)
def _layers(architecture: Architecture) -> tuple[tuple[str, int], ...]:
    """Return the name of each layer that has parameters, and how many."""
    with torch.device("meta"):  # shapes alone
        network = build(architecture).network
    counted = (
        (_name(layer), sum(each.numel() for each in layer.parameters(recurse=False)))
        for layer in network.modules()
    )
    return tuple((name, count) for name, count in counted if count)


def _name(layer: nn.Module) -> str:
    if isinstance(layer, nn.Linear):
        return f"linear {layer.in_features:,} -> {layer.out_features:,}"
    return "normalization"


def parameter_count(architectures: Iterable[Architecture]) -> int:
    """Return how many numbers training adjusts in all these networks."""
    return sum(count for each in architectures for _, count in _layers(each))


def largest_layers(architectures: Iterable[Architecture], most: int) -> list[LayerGroup]:
    """Return the layers with the most parameters, those of one name together; `most` names."""
    layers, parameters = Counter[str](), Counter[str]()
    for architecture in architectures:
        for name, count in _layers(architecture):
            layers[name] += 1
            parameters[name] += count
    return [LayerGroup(name, layers[name], count) for name, count in parameters.most_common(most)]
