"""Metadata count and show every network that predicts."""

from dataclasses import replace

import pytest
from model.test_size import SMALL

from phonemes.model.architecture import build
from phonemes.model.metadata import describe_model
from phonemes.model.store import Model


@pytest.fixture
def classifier():
    return build(SMALL)


def test_of_one_network_the_text_is_that_of_torch_and_all_its_parameters_count(classifier):
    trained = sum(each.numel() for each in classifier.network.parameters() if each.requires_grad)
    assert describe_model(Model([classifier], [])) == {
        "parameter_count": trained,
        "model_architecture": str(classifier.network),
    }


def test_of_several_networks_all_are_shown_and_count(classifier):
    stacked = build(replace(SMALL, hidden=(8, 6)))
    found = describe_model(Model([classifier] * 3, [stacked]))
    one, other = (
        sum(each.numel() for each in of.network.parameters()) for of in (classifier, stacked)
    )
    assert found["parameter_count"] == 3 * one + other
    text = found["model_architecture"]
    assert text.startswith("ModuleDict(\n  (base): ModuleList(")
    assert "(0-2): 3 x Sequential(" in text
    assert "(stacked): ModuleList(" in text
    assert "in_features=8, out_features=6" in text
