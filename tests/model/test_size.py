"""Parameters are counted as by hand, and as in networks that have weights."""

from dataclasses import replace

import pytest

from phonemes.model.architecture import Architecture, build
from phonemes.model.size import LayerGroup, largest_layers, parameter_count

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
SMALL = replace(COURSE, frames=7, bands=4, classes=5, hidden=(8, 8, 8), norm="batch")


@pytest.mark.parametrize(
    ("norm", "numbers"), [("none", 5_748_551), ("batch", 5_752_647), ("layer", 5_756_743)]
)
def test_the_courses_network_has_as_many_parameters_as_counted_by_hand(norm, numbers):
    # 2840 * 1024 + 1024, twice 1024 * 1024 + 1024, 1024 * 512 + 512, 512 * 256 + 256,
    # 256 * 256 + 256 and 256 * 71 + 71; a normalization adds 2 for each of 4096 units,
    # the batch's takes the place of their biases
    assert parameter_count([replace(COURSE, norm=norm)]) == numbers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"residual": True},
        {"pooling": (2,), "target_context": 2},
        {"norm": "layer", "norm_position": "after"},
    ],
)
def test_as_many_are_counted_as_the_network_trains(changes):
    architecture = replace(SMALL, **changes)
    network = build(architecture).network
    trained = sum(each.numel() for each in network.parameters() if each.requires_grad)
    assert parameter_count([architecture]) == trained


def test_the_parameters_of_all_networks_count():
    assert parameter_count([SMALL, COURSE, SMALL]) == 5_748_551 + 2 * parameter_count([SMALL])
    assert parameter_count([]) == 0


def test_the_largest_layers_come_first_and_those_alike_together():
    assert largest_layers([SMALL, SMALL], 3) == [
        LayerGroup("linear 28 -> 8", 2, 2 * 28 * 8),
        LayerGroup("linear 8 -> 8", 4, 4 * 8 * 8),
        LayerGroup("normalization", 6, 6 * 16),
    ]
