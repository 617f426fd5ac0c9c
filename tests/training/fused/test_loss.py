"""The kernels of the loss give torch's loss and its gradient, and the optimizer's scalars."""

import pytest
import torch
from training.fused.interpreted import DEVICE

from phonemes.training.fused.loss import Output, loss, room
from phonemes.training.loss import cross_entropy

pytestmark = pytest.mark.heavy

RATES = (0.1, 0.2, 0.4)


def output(rows, classes, targets):
    """Return random logits of a network's last layer, padded to a multiple of 8 columns."""
    torch.manual_seed(0)
    columns = classes * targets
    logits = torch.zeros(rows, -(-columns // 8) * 8)
    logits[:, :columns].normal_(0, 3)
    return Output(
        logits.to(DEVICE),
        torch.randn(columns, device=DEVICE),
        torch.full((columns,), torch.nan, device=DEVICE),
        torch.randint(0, classes, (rows, targets), device=DEVICE),
        room(classes, targets, DEVICE),
    )


class Run:
    """The counters of a run in its second step of three."""

    def __init__(self, optimizer="adam"):
        self.cursor = torch.tensor([1], device=DEVICE)
        self.rates = torch.tensor(RATES, device=DEVICE)
        self.totals = torch.tensor([10.0, 3, 1], dtype=torch.float64, device=DEVICE)
        self.steps = torch.tensor(5.0, device=DEVICE)
        self.scalars = torch.ones(4, device=DEVICE)
        self.optimizer = optimizer

    def loss(self, output, smoothing=0.0):
        loss(
            output, smoothing, self.cursor, self.rates, self.totals, self.steps, self.scalars,
            (0.9, 0.999), self.optimizer,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "classes", "targets", "smoothing"),
    [
        (22, 7, 1, 0.0),
        (22, 7, 3, 0.2),
        (5, 2, 1, 0.1),  # the last of four parts has no row
        (9, 71, 5, 0.0),
        (1, 8, 1, 0.0),  # nothing to pad
    ],
)
def test_loss_and_gradients_are_those_of_torch(rows, classes, targets, smoothing):
    made, run = output(rows, classes, targets), Run()
    columns = classes * targets
    leaf = (made.logits[:, :columns] + made.bias).detach().requires_grad_()
    logits = leaf.view(rows, targets, classes)
    expected = cross_entropy(logits, made.targets, None, smoothing)
    expected.backward()
    right = (logits.argmax(2) == made.targets)[:, targets // 2].sum()
    run.loss(made, smoothing)
    torch.testing.assert_close(made.logits[:, :columns], leaf.grad, rtol=1e-5, atol=1e-7)
    assert not made.logits[:, columns:].any()
    torch.testing.assert_close(made.bias_gradient, leaf.grad.sum(0), rtol=1e-5, atol=1e-6)
    summed = pytest.approx(10 + expected.item() * rows, rel=1e-5)
    assert run.totals.tolist() == [summed, 3 + right.item(), 2]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_step_gets_its_learning_rate_and_bias_corrections(optimizer):
    run = Run(optimizer)
    run.loss(output(4, 3, 1))
    corrections = [1, 1] if optimizer == "sgd" else [1 - 0.9**5, 1 - 0.999**5]
    assert run.scalars.tolist() == pytest.approx([RATES[1], *corrections, 1], rel=1e-4)
    assert run.cursor.item() == 2
    assert run.steps.item() == 5


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of numpy, for NaN
def test_a_step_whose_loss_is_not_finite_is_not_counted_as_finite():
    run, made = Run(), output(4, 3, 1)
    run.loss(made)
    assert run.totals[2] == 2
    made.bias[0] = torch.nan
    run.loss(made)
    assert run.totals[0].isnan()
    assert run.totals[2] == 2
