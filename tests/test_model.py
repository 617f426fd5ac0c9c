"""Only feed-forward networks can be configured, and a stored one comes back as it was."""

import itertools
import os
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from phonemes.errors import InputError
from phonemes.inference import folded
from phonemes.layers import Dropout, Residual, Thinning, thin_out
from phonemes.model import (
    ACTIVATIONS,
    NORMALIZATIONS,
    Architecture,
    Trained,
    build,
    initialize,
    load_model,
    parameter_count,
    save_model,
)

CPU = torch.device("cpu")
FEED_FORWARD = (nn.Linear, nn.BatchNorm1d, nn.LayerNorm, Dropout, *ACTIVATIONS.values())
COURSE = Architecture(
    inputs=71 * 40,  # k = 35 frames on each side, 40 coefficients
    classes=71,
    hidden=(1024, 1024, 1024, 512, 256, 256),
    activation="gelu",
    normalization="none",
    normalize="before",
    dropout=0.2,
)
SMALL = replace(COURSE, inputs=12, classes=5, hidden=(8, 6), normalization="batch")


def kinds(architecture):
    """Return the names of the network's layers, in order."""
    return [type(layer).__name__ for layer in build(architecture)]


def stored(path, architecture=SMALL, facts=None):
    """Store a network with random weights and statistics; return it."""
    network = build(architecture)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    trained = Trained(architecture, network.state_dict())
    save_model(path, [trained], [], {"epoch": 3} if facts is None else facts)
    return network.eval()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_choice_builds_nothing_but_feed_forward_layers(activation):
    for normalization, normalize, dropout, hidden in itertools.product(
        NORMALIZATIONS, ("before", "after"), (0.0, 0.3), ((4, 3), (7,) * 12)
    ):
        network = build(
            replace(
                SMALL,
                activation=activation,
                normalization=normalization,
                normalize=normalize,
                dropout=dropout,
                hidden=hidden,
            )
        )
        assert all(type(layer) in FEED_FORWARD for layer in network)
        assert sum(type(layer) is ACTIVATIONS[activation] for layer in network) == len(hidden)
        assert network(torch.randn(3, 12)).shape == (3, 5)


def test_residual_pairs_of_blocks_add_to_what_enters_them():
    network = build(replace(SMALL, hidden=(8,) * 5, residual=True)).eval()
    first, *pairs, _norm, _activation, _dropout, output = network
    assert [type(pair) for pair in pairs] == [Residual, Residual]
    block = ["BatchNorm1d", "GELU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in pairs[0].layers] == block * 2
    values = first(torch.randn(3, 12))
    for pair in pairs:
        torch.testing.assert_close(pair(values), values + pair.layers(values))
        values = pair(values)
    assert output(values).shape == (3, 5)
    plain = parameter_count(build(replace(SMALL, hidden=(8,) * 5)))
    assert parameter_count(network) == plain


def test_far_context_is_averaged_and_near_context_stays():
    thinning = Thinning(9, 2, (1, 2))
    windows = torch.arange(18.0).expand(3, -1)  # band 0 of frame t is 2 t
    frames = [0.5, 2, 3, 4, 5, 6, 7.5]
    expected = torch.tensor([[2 * frame, 2 * frame + 1] for frame in frames]).flatten()
    torch.testing.assert_close(thinning(windows), expected.expand(3, -1))


@pytest.mark.parametrize("residual", [False, True])
def test_a_network_at_rest_has_averages_and_normalization_folded_into_its_products(residual):
    architecture = replace(
        SMALL, inputs=18, hidden=(8,) * 3, residual=residual, thin=(1, 2), bands=2
    )
    torch.manual_seed(0)
    network = build(architecture)
    for _ in range(5):
        network(torch.randn(64, 18) * 3)
    windows = torch.randn(9, 18)
    resting = folded(network, torch.float32)
    torch.testing.assert_close(resting(windows), network.eval()(windows))
    assert not any(isinstance(layer, Thinning | nn.Dropout) for layer in resting.modules())
    left = sum(type(layer) is nn.BatchNorm1d for layer in resting.modules())
    assert left == (2 if residual else 0)  # those that follow a sum


@pytest.mark.parametrize(
    ("k", "whole", "runs"),
    [
        (35, 8, (2, 2, 2, 3, 3, 3, 4, 4, 4)),
        (34, 8, (2, 2, 2, 3, 3, 3, 4, 4, 3)),
        (10, 8, (2,)),
        (9, 8, (1,)),
        (8, 8, ()),
        (0, 8, ()),
        (35, 0, ()),
    ],
)
def test_averages_grow_outwards_and_the_last_has_what_is_left(k, whole, runs):
    assert thin_out(k, whole) == runs


def test_a_thinned_residual_network_comes_back(tmp_path):
    architecture = replace(SMALL, hidden=(8,) * 3, residual=True, thin=(1,), bands=4)
    network = stored(tmp_path / "model.pt", architecture)
    (loaded,) = load_model(tmp_path / "model.pt", CPU).first
    windows = torch.randn(4, 12)
    assert torch.equal(loaded(windows), network(windows))


@pytest.mark.parametrize(
    ("normalize", "block"),
    [
        ("before", ["Linear", "BatchNorm1d", "GELU", "Dropout"]),
        ("after", ["Linear", "GELU", "BatchNorm1d", "Dropout"]),
    ],
)
def test_a_block_normalizes_before_or_after_its_activation(normalize, block):
    assert kinds(replace(SMALL, normalize=normalize)) == [*block, *block, "Linear"]


def test_what_is_switched_off_is_not_there():
    bare = replace(SMALL, normalization="none", dropout=0.0)
    assert kinds(bare) == ["Linear", "GELU", "Linear", "GELU", "Linear"]


def test_layers_are_as_wide_as_asked():
    network = build(replace(SMALL, hidden=(8, 6, 7)))
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    widths = [(layer.in_features, layer.out_features) for layer in linear]
    assert widths == [(12, 8), (8, 6), (6, 7), (7, 5)]
    norms = [layer.num_features for layer in network if isinstance(layer, nn.BatchNorm1d)]
    assert norms == [8, 6, 7]


def test_every_block_drops_the_share_asked_for():
    dropped = [layer.p for layer in build(SMALL) if isinstance(layer, nn.Dropout)]
    assert dropped == [0.2, 0.2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.95])
def test_dropout_zeroes_that_share_of_the_values_and_scales_the_others(share, dtype):
    torch.manual_seed(0)
    dropped = Dropout(share)(torch.ones(999, 333, dtype=dtype))
    kept = dropped != 0
    scale = torch.tensor(1 / (1 - share), dtype=dtype)
    assert torch.equal(dropped, kept * scale)
    deviation = (share * (1 - share) / kept.numel()) ** 0.5
    assert kept.double().mean().item() == pytest.approx(1 - share, abs=5 * deviation)
    for axis in (0, 1):  # no row or column more than the others
        shares = kept.double().mean(axis)
        expected = (share * (1 - share) / kept.shape[axis]) ** 0.5
        assert shares.std().item() == pytest.approx(expected, rel=0.2)


def test_dropout_drops_other_values_each_time_and_their_gradients():
    layer, values = Dropout(0.5), torch.ones(50, 7, requires_grad=True)
    first, second = layer(values), layer(values)
    assert not torch.equal(first, second)
    first.sum().backward()
    assert torch.equal(values.grad, first.detach())


def test_dropout_at_rest_does_nothing():
    values = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(values), values)


def test_dropout_follows_torchs_random_state():
    values = torch.ones(40, 9)
    torch.manual_seed(4)
    first = Dropout(0.5)(values)
    torch.manual_seed(4)
    assert torch.equal(Dropout(0.5)(values), first)


@pytest.mark.parametrize(
    ("normalization", "numbers"), [("none", 5_748_551), ("batch", 5_752_647), ("layer", 5_756_743)]
)
def test_the_courses_network_has_as_many_parameters_as_counted_by_hand(normalization, numbers):
    # 2840 * 1024 + 1024, twice 1024 * 1024 + 1024, 1024 * 512 + 512, 512 * 256 + 256,
    # 256 * 256 + 256 and 256 * 71 + 71; a normalization adds 2 for each of 4096 units,
    # the batch's takes the place of their biases
    with torch.device("meta"):
        assert parameter_count(build(replace(COURSE, normalization=normalization))) == numbers


def test_an_architecture_holds_what_the_parameters_say(tiny):
    train = replace(tiny, activation="elu", normalization="layer", normalize="after", dropout=0.4)
    assert Architecture.of(replace(train, whole=2), 9, 4, 5) == Architecture(
        inputs=36,
        classes=5,
        hidden=(8, 6),
        activation="elu",
        normalization="layer",
        normalize="after",
        dropout=0.4,
        thin=(2,),
        bands=4,
    )


# --- initialization


def weights_after(scheme, hidden=(300, 200)):
    torch.manual_seed(0)
    network = build(replace(SMALL, inputs=400, hidden=hidden))
    initialize(network, scheme)
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
    network = build(SMALL)
    initialize(network, scheme)
    for layer in network:
        if isinstance(layer, nn.Linear):
            assert layer.bias is None or not layer.bias.any()
        if isinstance(layer, nn.BatchNorm1d):
            assert (layer.weight == 1).all()


def test_default_keeps_torchs_weights():
    network = build(SMALL)
    before = [value.clone() for value in network.state_dict().values()]
    initialize(network, "default")
    for old, new in zip(before, network.state_dict().values(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("scheme", ["default", "kaiming", "xavier", "orthogonal"])
def test_the_same_seed_gives_the_same_weights(scheme):
    first, second = weights_after(scheme), weights_after(scheme)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(first, second, strict=True))


# --- storing


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_stored_network_gives_the_same_logits(tmp_path, normalization):
    network = stored(tmp_path / "model.pt", replace(SMALL, normalization=normalization))
    (loaded,), second, facts = load_model(tmp_path / "model.pt", CPU)
    windows = torch.randn(7, 12)
    assert torch.equal(loaded(windows), network(windows))
    assert facts == {"epoch": 3}
    assert second == []


def test_a_loaded_network_is_ready_to_classify(tmp_path):
    stored(tmp_path / "model.pt", replace(SMALL, dropout=0.9))
    (loaded,) = load_model(tmp_path / "model.pt", CPU).first
    assert not any(layer.training for layer in loaded.modules())


def test_the_same_network_is_the_same_bytes_whatever_the_file_is_called(tmp_path):
    trained = Trained(SMALL, build(SMALL).state_dict())
    for name in ("a.pt", "another name.partial"):
        save_model(tmp_path / name, [trained], [trained], {})
    first, second = (path.read_bytes() for path in tmp_path.iterdir())
    assert first == second


class Canary:
    """A pickle that makes a folder when somebody opens it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("writer", [torch.save, lambda it, file: pickle.dump(it, file)])
def test_a_hostile_file_is_refused_before_it_runs(tmp_path, writer):
    canary = tmp_path / "canary"
    with (tmp_path / "model.pt").open("wb") as file:
        network = {"architecture": Canary(canary), "state": {}}
        writer({"first": [network], "second": [], "facts": {}}, file)
    with pytest.raises(InputError, match=r"model\.pt is not a model of this pipeline"):
        load_model(tmp_path / "model.pt", CPU)
    assert not canary.exists()


def test_a_missing_model_says_how_to_make_it(tmp_path):
    with pytest.raises(InputError, match=r"model\.pt is missing; run `dvc repro` to make it"):
        load_model(tmp_path / "model.pt", CPU)


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04", bytes(1000)])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt is not a model of this pipeline"):
        load_model(tmp_path / "model.pt", CPU)


def test_half_a_model_is_refused(tmp_path):
    stored(tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is not a model of this pipeline"):
        load_model(tmp_path / "model.pt", CPU)


@pytest.mark.parametrize("missing", ["architecture", "state", "first", "second", "facts"])
def test_a_model_without_a_part_is_refused(tmp_path, missing):
    stored(tmp_path / "model.pt")
    parts = torch.load(tmp_path / "model.pt", weights_only=True)
    (parts if missing in parts else parts["first"][0]).pop(missing)
    torch.save(parts, tmp_path / "model.pt")
    with pytest.raises(InputError, match=f"is not a model of this pipeline: .*{missing}"):
        load_model(tmp_path / "model.pt", CPU)


def test_a_model_without_any_network_is_refused(tmp_path):
    save_model(tmp_path / "model.pt", [], [], {})
    with pytest.raises(InputError, match=r"is not a model of this pipeline: .*holds no network"):
        load_model(tmp_path / "model.pt", CPU)


def test_weights_of_another_network_are_refused(tmp_path):
    other = build(replace(SMALL, hidden=(8, 7)))
    save_model(tmp_path / "model.pt", [Trained(SMALL, other.state_dict())], [], {})
    with pytest.raises(InputError, match=r"is not a model of this pipeline: (.|\n)*size mismatch"):
        load_model(tmp_path / "model.pt", CPU)
