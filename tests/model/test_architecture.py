"""Only feed-forward networks can be built, each as its architecture says."""

import itertools
import re
from dataclasses import replace

import pytest
import torch
from helpers import changed
from torch import nn

from phonemes.model.architecture import (
    ACTIVATIONS,
    NORMS,
    Architecture,
    build,
    describe,
    initialize,
)
from phonemes.model.layers import ContextPooling, Dropout, Linear, MultiTargetHead, Residual

FEED_FORWARD = (Linear, nn.BatchNorm1d, nn.LayerNorm, Dropout, *ACTIVATIONS.values())
COURSE = Architecture(
    frames=71,  # k = 35
    bands=40,
    classes=71,
    hidden=(1024, 1024, 1024, 512, 256, 256),
    activation="gelu",
    norm="none",
    norm_position="before",
    dropout=0.2,
)
SMALL = replace(COURSE, frames=3, bands=4, classes=5, hidden=(8, 6), norm="batch")


def layers(architecture, initialization="default", seed=0):
    network = build(architecture).network
    initialize(network, initialization, torch.Generator().manual_seed(seed))
    return network


def kinds(architecture):
    """Return the names of the network's layers, in order."""
    return [type(layer).__name__ for layer in layers(architecture)]


# Layers


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_choice_builds_nothing_but_feed_forward_layers(activation):
    for norm, norm_position, dropout, hidden in itertools.product(
        NORMS, ("before", "after"), (0.0, 0.3), ((4, 3), (7,) * 12)
    ):
        choices = {"norm": norm, "norm_position": norm_position, "dropout": dropout}
        network = layers(replace(SMALL, activation=activation, hidden=hidden, **choices))
        assert all(type(layer) in FEED_FORWARD for layer in network)
        assert sum(type(layer) is ACTIVATIONS[activation] for layer in network) == len(hidden)
        assert network(torch.randn(3, 12)).shape == (3, 5)


def test_residual_pairs_of_blocks_add_to_what_enters_them():
    network = layers(replace(SMALL, hidden=(8,) * 5, residual=True)).eval()
    first, *pairs, _norm, _activation, _dropout, output = network
    assert [type(pair) for pair in pairs] == [Residual, Residual]
    block = ["BatchNorm1d", "GELU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in pairs[0].layers] == block * 2
    values = first(torch.randn(3, 12))
    for pair in pairs:
        torch.testing.assert_close(pair(values), values + pair.layers(values))
        values = pair(values)
    assert output(values).shape == (3, 5)
    plain = layers(replace(SMALL, hidden=(8,) * 5))
    assert sorted(each.numel() for each in network.parameters()) == sorted(
        each.numel() for each in plain.parameters()
    )


def test_pooling_comes_first_and_the_head_of_several_targets_last():
    architecture = replace(SMALL, frames=7, pooling=(2,), target_context=2)
    network = layers(architecture)
    assert isinstance(network[0], ContextPooling)
    assert isinstance(network[-1], MultiTargetHead)
    assert (architecture.inputs, architecture.pooled_frames, architecture.targets) == (28, 5, 5)
    assert network[1].in_features == 5 * 4
    assert network(torch.randn(3, 28)).shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("norm_position", "block"),
    [
        ("before", ["Linear", "BatchNorm1d", "GELU", "Dropout"]),
        ("after", ["Linear", "GELU", "BatchNorm1d", "Dropout"]),
    ],
)
def test_a_block_normalizes_before_or_after_its_activation(norm_position, block):
    assert kinds(replace(SMALL, norm_position=norm_position)) == [*block, *block, "Linear"]


def test_what_is_switched_off_is_not_there():
    bare = replace(SMALL, norm="none", dropout=0.0)
    assert kinds(bare) == ["Linear", "GELU", "Linear", "GELU", "Linear"]


def test_layers_are_as_wide_as_asked():
    network = layers(replace(SMALL, hidden=(8, 6, 7)))
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    widths = [(layer.in_features, layer.out_features) for layer in linear]
    assert widths == [(12, 8), (8, 6), (6, 7), (7, 5)]
    norms = [layer.num_features for layer in network if isinstance(layer, nn.BatchNorm1d)]
    assert norms == [8, 6, 7]


def test_every_block_drops_the_share_asked_for():
    dropped = [layer.p for layer in layers(SMALL) if isinstance(layer, nn.Dropout)]
    assert dropped == [0.2, 0.2]


def test_an_architecture_holds_what_the_parameters_say(tiny):
    model = changed(
        tiny.model, activation="elu", norm="layer", norm_position="after", dropout=0.4,
        full_rate_context=2, target_context=3, residual=True,
    )  # fmt: skip
    assert Architecture.of(model, 9, 4, 5) == Architecture(
        frames=9,
        bands=4,
        classes=5,
        hidden=(8, 6),
        activation="elu",
        norm="layer",
        norm_position="after",
        dropout=0.4,
        residual=True,
        pooling=(2,),
        target_context=3,
    )


# Initialization


def weights_after(scheme):
    network = layers(replace(SMALL, frames=100, hidden=(300, 200)), scheme)
    return [layer for layer in network if isinstance(layer, nn.Linear)]


def test_kaiming_draws_normal_weights_of_variance_2_by_fan_in():
    for layer in weights_after("kaiming")[:2]:
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.02)
        assert layer.weight.abs().max() > 3 * layer.weight.std()  # unlike a uniform one


def test_xavier_draws_uniform_weights_within_its_bound():
    for layer in weights_after("xavier")[:2]:
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_orthogonal_rows_are_orthonormal():
    for layer in weights_after("orthogonal"):
        product = layer.weight @ layer.weight.T
        torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scheme", ["kaiming", "xavier", "orthogonal"])
def test_biases_start_at_0_and_normalization_as_it_was(scheme):
    network = layers(replace(SMALL, hidden=(8,) * 3, residual=True), scheme)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            assert layer.bias is None or not layer.bias.any()
        if isinstance(layer, nn.BatchNorm1d):
            assert (layer.weight == 1).all()


@pytest.mark.parametrize("residual", [False, True])
def test_default_draws_the_weights_and_biases_that_torchs_layers_would_have(residual):
    network = layers(replace(SMALL, hidden=(8,) * 5, residual=residual, norm="layer"), seed=7)
    torch.manual_seed(7)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            theirs = nn.Linear(layer.in_features, layer.out_features)
            assert torch.equal(layer.weight, theirs.weight)
            assert torch.equal(layer.bias, theirs.bias)


@pytest.mark.parametrize("scheme", ["default", "kaiming", "xavier", "orthogonal"])
def test_weights_are_drawn_from_no_global_random_state(scheme):
    before = torch.get_rng_state()
    weights_after(scheme)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("scheme", ["default", "kaiming", "xavier", "orthogonal"])
def test_the_same_seed_gives_the_same_weights(scheme):
    first, second = weights_after(scheme), weights_after(scheme)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(first, second, strict=True))


# Description

RICH = replace(
    SMALL, frames=23, hidden=(8,) * 3, residual=True, pooling=(2, 2, 2, 3), target_context=2
)


@pytest.mark.parametrize(
    ("architecture", "text"),
    [
        (
            replace(COURSE, hidden=(1024, 512), dropout=0.0),
            """
input: window of 71 frames x 40 bands
block 1: linear 2,840 -> 1,024, gelu
block 2: linear 1,024 -> 512, gelu
output: linear 512 -> 71: 71 phonemes
""",
        ),
        (
            replace(SMALL, norm="layer", norm_position="after"),
            """
input: window of 3 frames x 4 bands
block 1: linear 12 -> 8, gelu, layer normalization, dropout 0.2
block 2: linear 8 -> 6, gelu, layer normalization, dropout 0.2
output: linear 6 -> 5: 5 phonemes
""",
        ),
        (
            RICH,
            """
input: window of 23 frames x 4 bands; \
the middle 5 frames as they are, the other 18 as the means of 8 runs
block 1: linear 52 -> 8, batch normalization, gelu, dropout 0.2
block 2: linear 8 -> 8, batch normalization, gelu, dropout 0.2
block 3: linear 8 -> 8, batch normalization, gelu, dropout 0.2; \
the output of block 1's linear layer is added
output: linear 8 -> 25: 5 phonemes for each of 5 frames, t - 2 to t + 2
""",
        ),
    ],
    ids=["plain", "normalized after", "residual, pooled, several targets"],
)
def test_a_network_is_described_in_a_line_for_its_input_each_block_and_its_output(
    architecture, text
):
    assert describe(architecture) == text.strip()


@pytest.mark.parametrize("architecture", [SMALL, RICH])
def test_a_description_has_the_sizes_of_the_layers_that_are_built(architecture):
    modules = layers(architecture).modules()
    built = [(it.in_features, it.out_features) for it in modules if isinstance(it, nn.Linear)]
    sizes = re.findall(r"linear (\d+) -> (\d+)", describe(architecture))
    assert [(int(a), int(b)) for a, b in sizes] == built
