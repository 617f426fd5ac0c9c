"""The loss is cross-entropy, with weights of classes whose mean over the frames is 1."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from phonemes.training.loss import class_weights, cross_entropy


@given(st.lists(st.integers(0, 4), min_size=1), st.sampled_from(["balanced", "sqrt"]))
def test_the_mean_weight_of_the_frames_is_1(labels, scheme):
    labels = torch.tensor(labels)
    weights = class_weights(labels, 6, scheme)
    assert weights[labels].mean().item() == pytest.approx(1, rel=1e-5)
    absent = torch.bincount(labels, minlength=6) == 0
    assert torch.equal(weights == 0, absent)


def test_balanced_weights_give_every_class_the_same_total():
    labels = torch.tensor([0] * 90 + [1] * 9 + [3])
    weights = class_weights(labels, 4, "balanced")
    assert (weights * torch.tensor([90, 9, 0, 1])).tolist() == pytest.approx(
        [100 / 3] * 2 + [0, 100 / 3]
    )


def test_sqrt_weights_lie_half_way_in_between():
    weights = class_weights(torch.tensor([0] * 100 + [1]), 2, "sqrt")
    assert (weights[1] / weights[0]).item() == pytest.approx(10)


def test_no_scheme_means_no_weights():
    assert class_weights(torch.tensor([0, 1]), 2, "none") is None


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_gradients_are_those_computed_by_hand(targets, weighted, smoothing):
    torch.manual_seed(0)
    batch, classes = 7, 4
    logits = torch.randn(batch, targets, classes, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(classes, (batch, targets))
    weights = torch.tensor([0.5, 2.0, 0.0, 1.0]).double() if weighted else None
    labels[0, 0], labels[1, 0] = 1, 2  # a class of weight 0 as well
    loss = cross_entropy(logits, labels, weights, smoothing)
    loss.backward()

    each = torch.ones(classes).double() if weights is None else weights
    goal = (1 - smoothing) * F.one_hot(labels, classes) + smoothing / classes
    goal = goal * each  # what torch's function does with both
    total = each[labels].sum()
    posteriors = logits.detach().softmax(2)
    assert loss.item() == pytest.approx(-(goal * posteriors.log()).sum().item() / total.item())
    by_hand = (posteriors * goal.sum(2, keepdim=True) - goal) / total
    torch.testing.assert_close(logits.grad, by_hand)
    torchs = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), weights, label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, torchs)
