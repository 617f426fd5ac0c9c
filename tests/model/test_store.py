"""A stored network comes back as it was, and nothing else is taken for one."""

import os
import pickle
from dataclasses import replace

import pytest
import torch

from phonemes.errors import InputError
from phonemes.model.architecture import NORMS, Architecture, build
from phonemes.model.store import TrainedNetwork, load_model, save_model

CPU = torch.device("cpu")
SMALL = Architecture(
    frames=3,
    bands=4,
    classes=5,
    hidden=(8, 6),
    activation="gelu",
    norm="batch",
    norm_position="before",
    dropout=0.2,
)


def trained(architecture):
    """Return a network with random weights and statistics."""
    state = build(architecture).network.state_dict()
    for value in state.values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    return TrainedNetwork(architecture, state)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


# Coming back


@pytest.mark.parametrize(
    "choices",
    [
        *({"norm": norm} for norm in NORMS),
        {"hidden": (8,) * 3, "residual": True, "pooling": (1,), "target_context": 1},
    ],
)
def test_a_stored_network_gives_the_same_logits(path, choices):
    network = trained(replace(SMALL, **choices))
    save_model(path, [network], [], {"epoch": 3})
    (loaded,), stacked, facts = load_model(path, CPU)
    windows = torch.randn(7, 12)
    assert loaded.architecture == network.architecture
    assert torch.equal(loaded.network(windows), network.classifier(CPU).network(windows))
    assert facts == {"epoch": 3}
    assert stacked == []


def test_base_and_stacked_networks_come_back_in_their_order(path):
    base = [trained(SMALL), trained(replace(SMALL, hidden=(7, 7)))]
    stacked = [trained(replace(SMALL, bands=5)), trained(replace(SMALL, bands=6))]
    save_model(path, base, stacked, {})
    model = load_model(path, CPU)
    for stored, loaded in ((base, model.base), (stacked, model.stacked)):
        assert [each.architecture for each in loaded] == [each.architecture for each in stored]


def test_a_loaded_network_is_ready_to_classify(path):
    save_model(path, [trained(replace(SMALL, dropout=0.9))], [], {})
    (loaded,) = load_model(path, CPU).base
    assert not any(layer.training for layer in loaded.network.modules())


def test_the_same_network_is_the_same_bytes_whatever_the_file_is_called(tmp_path):
    network = trained(SMALL)
    for name in ("a.pt", "another name.partial"):
        save_model(tmp_path / name, [network], [network], {})
    first, second = (path.read_bytes() for path in tmp_path.iterdir())
    assert first == second


# Files that are refused


class Canary:
    """A pickle that makes a folder when somebody opens it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("writer", [torch.save, lambda it, file: pickle.dump(it, file)])
def test_a_hostile_file_is_refused_before_it_runs(path, writer):
    canary = path.with_name("canary")
    with path.open("wb") as file:
        network = {"architecture": Canary(canary), "state": {}}
        writer({"base": [network], "stacked": [], "facts": {}}, file)
    with pytest.raises(InputError, match=r"model\.pt is not a model of this pipeline"):
        load_model(path, CPU)
    assert not canary.exists()


def test_a_missing_model_says_how_to_make_it(path):
    with pytest.raises(InputError, match=r"model\.pt is missing; run `dvc repro` to make it"):
        load_model(path, CPU)


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04", bytes(1000)])
def test_a_file_that_is_no_model_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt is not a model of this pipeline"):
        load_model(path, CPU)


def test_half_a_model_is_refused(path):
    save_model(path, [trained(SMALL)], [], {})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is not a model of this pipeline"):
        load_model(path, CPU)


@pytest.mark.parametrize("missing", ["architecture", "state", "base", "stacked", "facts"])
def test_a_model_without_a_part_is_refused(path, missing):
    save_model(path, [trained(SMALL)], [], {})
    parts = torch.load(path, weights_only=True)
    (parts if missing in parts else parts["base"][0]).pop(missing)
    torch.save(parts, path)
    with pytest.raises(InputError, match=f"is not a model of this pipeline: .*{missing}"):
        load_model(path, CPU)


def test_a_model_without_any_network_is_refused(path):
    save_model(path, [], [], {})
    with pytest.raises(InputError, match=r"is not a model of this pipeline: .*holds no network"):
        load_model(path, CPU)


def test_weights_of_another_network_are_refused(path):
    other = trained(replace(SMALL, hidden=(8, 7)))
    save_model(path, [TrainedNetwork(SMALL, other.state)], [], {})
    with pytest.raises(InputError, match=r"is not a model of this pipeline: (.|\n)*size mismatch"):
        load_model(path, CPU)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(path, value):
    network = trained(SMALL)
    network.state["0.weight"][0, 0] = value
    save_model(path, [trained(SMALL)], [network], {})
    with pytest.raises(InputError, match=r"model\.pt holds NaN or infinity; delete it and run"):
        load_model(path, CPU)
