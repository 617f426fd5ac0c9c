"""A frame's scores: its likeliest class, its loss, and whether its label is among the top 3."""

import numpy as np
import pytest
import torch

from phonemes.inference.outcomes import score_frames


def test_the_prediction_is_the_likeliest_class():
    logits = torch.tensor([[0.0, 1, -1], [3, 2, 9], [4, -5, 0]])
    assert score_frames(logits, torch.zeros(3, dtype=torch.int64)).predicted.tolist() == [1, 2, 0]


def test_top3_holds_the_three_likeliest():
    logits = torch.tensor([[4.0, 3, 2, 1]]).expand(4, -1)
    assert score_frames(logits, torch.arange(4)).top3.tolist() == [True, True, True, False]


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_with_three_classes_or_fewer_every_label_is_among_the_top_3(classes):
    torch.manual_seed(0)
    assert score_frames(torch.randn(classes, classes), torch.arange(classes)).top3.all()


def test_the_confidence_is_the_posterior_of_the_prediction_not_of_the_label():
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]).log() + 3
    scores = score_frames(logits, torch.tensor([2, 1]))
    assert scores.confidence.tolist() == pytest.approx([0.5, 0.8])


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_the_loss_is_the_cross_entropy_in_nats(dtype, rel):
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]).log().to(dtype)
    loss = score_frames(logits, torch.tensor([1, 1])).loss
    assert loss.dtype == torch.float32
    assert loss.tolist() == pytest.approx([-np.log(0.25), -np.log(0.8)], rel=rel)
