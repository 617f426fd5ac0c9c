"""The rules by which weights follow their gradients, by torch's functions for them.

torch.optim's classes call the same functions, but import torch's compiler first: a second
or more before the first step, for nothing that is used here.
"""

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from phonemes.training.params import TrainParams


class Optimizer:
    """SGD with momentum, Adam or AdamW for all weights of a network.

    `rate` is a tensor, so that a recorded graph reads it. `state` holds the tensors of each
    weight that an update moves, all zero at first: `momentum_buffer`, or `exp_avg`,
    `exp_avg_sq` and `step`.
    """

    def __init__(self, network: nn.Module, train: TrainParams) -> None:
        """Get ready for the weights as they are; each update changes them in place."""
        self.weights: list[Tensor] = list(network.parameters())
        self.kind, self.decay = train.optimizer, train.weight_decay
        self.betas, self.eps = (0.9, 0.999), 1e-8
        kept = ["exp_avg", "exp_avg_sq"]
        if self.kind == "sgd":
            self.betas, self.eps = (train.momentum, 0.0), 0.0
            kept = ["momentum_buffer"] if train.momentum > 0 else []
        self.rate = torch.tensor(train.lr, device=self.weights[0].device)
        self.state = {
            weight: {name: torch.zeros_like(weight) for name in kept} for weight in self.weights
        }
        if self.kind != "sgd":
            for weight, values in self.state.items():
                values["step"] = torch.zeros((), device=weight.device)

    def clear(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights that have a gradient."""
        moved = [weight for weight in self.weights if weight.grad is not None]
        gradients = [weight.grad for weight in moved if weight.grad is not None]
        states = [self.state[weight] for weight in moved]
        if self.kind == "sgd":
            velocities: list[Tensor | None] = [values.get("momentum_buffer") for values in states]
            sgd(
                moved, gradients, velocities, fused=True, weight_decay=self.decay,
                momentum=self.betas[0], lr=self.rate,  # type: ignore[arg-type]
                dampening=0.0, nesterov=False, maximize=False,
            )  # fmt: skip
            return
        means, squares, steps = (
            [values[name] for values in states] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        rule = adam if self.kind == "adam" else adamw
        rule(
            moved, gradients, means, squares, [], steps, fused=True,
            capturable=self.rate.is_cuda, amsgrad=False, beta1=self.betas[0],
            beta2=self.betas[1], lr=self.rate, weight_decay=self.decay, eps=self.eps,
            maximize=False,
        )  # fmt: skip
