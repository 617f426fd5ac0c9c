"""What a course asks to know of a trained model: how many parameters, and which layers."""

from typing import Any

from torch import nn

from phonemes.model.size import parameter_count
from phonemes.model.store import Model


def describe_model(model: Model) -> dict[str, Any]:
    """Return `parameter_count` and `model_architecture` of all networks that predict.

    The architecture is the text that torch gives of the layers; of several networks, under the
    names base and stacked.
    """
    networks = {
        kind: nn.ModuleList(each.network for each in classifiers)
        for kind, classifiers in model._asdict().items()
        if classifiers
    }
    several = sum(map(len, networks.values())) > 1
    described = nn.ModuleDict(networks) if several else model.base[0].network
    return {
        "parameter_count": parameter_count(
            each.architecture for classifiers in model for each in classifiers
        ),
        "model_architecture": str(described),
    }
