"""Layers pool, drop, add and divide values as they say."""

import pytest
import torch
from torch import nn

from phonemes.model.layers import ContextPooling, Dropout, MultiTargetHead, Residual, pool_sizes

# Context pooling


def test_far_context_is_averaged_and_near_context_stays():
    pooling = ContextPooling(9, 2, (1, 2))
    windows = torch.arange(18.0).expand(3, -1)  # band 0 of frame t is 2 t
    frames = [0.5, 2, 3, 4, 5, 6, 7.5]
    expected = torch.tensor([[2 * frame, 2 * frame + 1] for frame in frames]).flatten()
    torch.testing.assert_close(pooling(windows), expected.expand(3, -1))


@pytest.mark.parametrize("bias", [False, True])
def test_pooling_can_be_folded_into_the_product_that_follows(bias):
    torch.manual_seed(0)
    pooling, product = ContextPooling(9, 2, (1, 2)), nn.Linear(14, 5, bias).eval()
    windows = torch.randn(3, 18)
    joint = pooling.folded_into(product)
    torch.testing.assert_close(joint(windows), product(pooling(windows)))
    assert not joint.training


@pytest.mark.parametrize(
    ("k", "full_rate", "runs"),
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
def test_means_grow_outwards_and_the_last_has_what_is_left(k, full_rate, runs):
    assert pool_sizes(k, full_rate) == runs


# Dropout


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


def test_dropout_in_evaluation_mode_does_nothing():
    values = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(values), values)


def test_dropout_follows_torchs_random_state():
    values = torch.ones(40, 9)
    torch.manual_seed(4)
    first = Dropout(0.5)(values)
    torch.manual_seed(4)
    assert torch.equal(Dropout(0.5)(values), first)


# Connections


def test_a_residual_connection_adds_the_input_to_what_its_layers_make_of_it():
    values = torch.randn(3, 4)
    torch.testing.assert_close(
        Residual(nn.ReLU(), nn.Tanh())(values), values + values.relu().tanh()
    )


def test_the_logits_of_each_target_stand_one_after_the_other():
    logits = torch.arange(12.0).view(2, 6)
    assert MultiTargetHead(3, 2)(logits).tolist() == [
        [[0, 1], [2, 3], [4, 5]],
        [[6, 7], [8, 9], [10, 11]],
    ]
