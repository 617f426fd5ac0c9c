"""The rules by which weights follow their gradients, by torch's functions for them.

torch.optim's classes call the same functions, but import torch's compiler first: a second
or more before the first step, for nothing that is used here.

Products in float16 make small gradients vanish and large ones overflow. So there the loss is
multiplied by a scale that `torch.amp.GradScaler` finds: a step whose gradients overflow is
left out and lowers it, many without overflow raise it (Micikevicius et al., 2018, "Mixed
precision training", arXiv 1710.03740). Nothing of it waits for the device: it can be recorded.
"""

from typing import cast

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
    `exp_avg_sq` and `step`. `scaler` is enabled where products are in float16.
    """

    _step_supports_amp_scaling = True  # has a GradScaler set two tensors for the step

    def __init__(
        self, network: nn.Module, train: TrainParams, dtype: torch.dtype = torch.float32
    ) -> None:
        """Get ready for the weights as they are; each update changes them in place.

        Args:
            network: whose weights are updated.
            train: which rule, and its numbers.
            dtype: of the products.
        """
        self.weights: list[Tensor] = list(network.parameters())
        self.kind, self.decay = train.optimizer, train.weight_decay
        self.betas, self.eps = (0.9, 0.999), 1e-8
        kept = ["exp_avg", "exp_avg_sq"]
        if self.kind == "sgd":
            self.betas, self.eps = (train.momentum, 0.0), 0.0
            kept = ["momentum_buffer"] if train.momentum > 0 else []
        device = self.weights[0].device
        self.rate = torch.tensor(train.lr, device=device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self.param_groups = [{"params": self.weights}]  # where a GradScaler looks for gradients
        self.state = {
            weight: {name: torch.zeros_like(weight) for name in kept} for weight in self.weights
        }
        if self.kind != "sgd":
            for weight, values in self.state.items():
                values["step"] = torch.zeros((), device=weight.device)

    @property
    def gradients(self) -> list[Tensor]:
        """Return the gradients of the weights that have one."""
        return [weight.grad for weight in self.weights if weight.grad is not None]

    @property
    def scale(self) -> Tensor:
        """Return the scale of the loss and the steps since it last changed, (2,) float64.

        It is (0,) where the loss is not scaled.
        """
        kept = self.scaler.state_dict()
        values = [kept["scale"], kept["_growth_tracker"]] if kept else []
        return torch.tensor(values, dtype=torch.float64)

    @scale.setter
    def scale(self, stored: Tensor) -> None:
        kept = self.scaler.state_dict()
        if kept:
            scale, steps = stored.tolist()
            self.scaler.load_state_dict(kept | {"scale": scale, "_growth_tracker": int(steps)})

    def clear(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss, (), times its scale."""
        self.scaler.scale(loss).backward()

    def unscale(self) -> None:
        """Divide the gradients by the scale, to look at them before the step."""
        self.scaler.unscale_(cast(torch.optim.Optimizer, self))

    def step_scaled(self) -> None:
        """Update the weights by gradients of the scaled loss, and then the scale."""
        self.scaler.step(cast(torch.optim.Optimizer, self))
        self.scaler.update()

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights that have a gradient.

        A GradScaler sets `grad_scale`, (), by which gradients are still to be divided, and
        `found_inf`, (), 1 where one is not finite: then nothing is updated.
        """
        scale, overflow = (getattr(self, name, None) for name in ("grad_scale", "found_inf"))
        moved = [weight for weight in self.weights if weight.grad is not None]
        gradients = self.gradients
        states = [self.state[weight] for weight in moved]
        if self.kind == "sgd":
            velocities: list[Tensor | None] = [values.get("momentum_buffer") for values in states]
            sgd(
                moved, gradients, velocities, fused=True, weight_decay=self.decay,
                momentum=self.betas[0], lr=self.rate,  # type: ignore[arg-type]
                dampening=0.0, nesterov=False, maximize=False, grad_scale=scale,
                found_inf=overflow,
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
            maximize=False, grad_scale=scale, found_inf=overflow,
        )  # fmt: skip
