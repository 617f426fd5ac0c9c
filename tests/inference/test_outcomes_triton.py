"""The kernel scores frames as torch does."""

import pytest
import torch
import torch.nn.functional as F
from training.fused.interpreted import DEVICE

from phonemes.inference import outcomes
from phonemes.inference.outcomes_triton import score_frames

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("rows", "classes", "dtype"),
    [
        (22, 7, torch.float32),  # two tiles, the second not full
        (4, 8, torch.float32),
        (1, 2, torch.float32),
        (9, 71, torch.bfloat16),
    ],
)
def test_frames_are_scored_as_torch_scores_them(rows, classes, dtype):
    torch.manual_seed(0)
    logits = (torch.randn(rows, classes) * 5).to(DEVICE, dtype)
    labels = torch.randint(0, classes, (rows,), device=DEVICE)
    predicted, loss, top3, confidence = score_frames(logits, labels)
    exact = logits.float()
    assert torch.equal(predicted, exact.argmax(1))
    torch.testing.assert_close(loss, F.cross_entropy(exact, labels, reduction="none"))
    torch.testing.assert_close(confidence, exact.softmax(1).amax(1))
    three = exact.topk(min(3, classes)).indices
    assert torch.equal(top3, (three == labels[:, None]).any(1))


def test_of_equal_logits_the_first_is_predicted():
    logits = torch.tensor([[0.0, 2, 1, 2, 2], [3, 3, 3, 3, 3]], device=DEVICE)
    labels = torch.tensor([3, 4], device=DEVICE)
    for score in (score_frames, outcomes.score_frames):
        predicted, _loss, top3, _confidence = score(logits, labels)
        assert predicted.tolist() == [1, 0]
        assert top3.tolist() == [True, True]  # fewer than three are likelier


def test_huge_logits_do_not_overflow():
    logits = torch.tensor([[3e4, -3e4, 0.0], [1e4, 1e4, -1e4]], device=DEVICE)
    labels = torch.tensor([1, 0], device=DEVICE)
    # loss is a difference of numbers of this size, exact to 1e-7 of them
    torch.testing.assert_close(
        score_frames(logits, labels).loss,
        F.cross_entropy(logits, labels, reduction="none"),
        rtol=1e-6,
        atol=2e-3,
    )
