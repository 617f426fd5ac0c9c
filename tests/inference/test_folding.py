"""A network folded for inference is the same function, of fewer layers."""

import pytest
import torch
from inference.toys import random_classifier
from torch import nn

from phonemes.inference.folding import folded
from phonemes.model.architecture import ACTIVATIONS, NORMS
from phonemes.model.layers import ContextPooling, Linear


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("norm_position", ["before", "after"])
def test_the_function_stays_the_same(activation, norm, norm_position):
    network, _ = random_classifier(3, activation=activation, norm=norm, norm_position=norm_position)
    windows = torch.randn(9, 6)
    with torch.no_grad():
        torch.testing.assert_close(folded(network, torch.float32)(windows), network(windows))


@pytest.mark.parametrize("residual", [False, True])
def test_context_pooling_and_normalization_are_folded_into_products(residual):
    choices = {"hidden": (8,) * 3, "residual": residual, "pooling": (1, 2), "activation": "gelu"}
    network, _ = random_classifier(9, **choices)
    windows = torch.randn(9, 18)
    fewer = folded(network, torch.float32)
    torch.testing.assert_close(fewer(windows), network.eval()(windows))
    assert not any(isinstance(layer, ContextPooling | nn.Dropout) for layer in fewer.modules())
    left = sum(type(layer) is nn.BatchNorm1d for layer in fewer.modules())
    assert left == (2 if residual else 0)  # those that follow a sum


def test_products_alone_are_in_the_precision_asked_for_and_the_network_stays_as_it_was():
    network, _ = random_classifier(3, norm="layer")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    halved = folded(network, torch.bfloat16)
    kinds = {type(layer): layer.weight.dtype for layer in halved if hasattr(layer, "weight")}
    assert kinds == {Linear: torch.bfloat16, nn.LayerNorm: torch.float32}
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
