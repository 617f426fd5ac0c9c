"""Parameters, gradients and the optimizer's state in flat arrays, updated by one kernel."""

import math
from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from phonemes.training.optimizer import Optimizer

TILE = 1024  # numbers
ALIGNED = 64  # numbers; cuBLAS wants matrices to begin at such multiples


@triton.jit
def optimizer_kernel(
    weights, copies, gradients, first, second, scalars, beta1, beta2, eps, decay, begin, end,
    KIND: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Take an optimizer's step; refresh the copies that enter the products."""
    index = begin + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = index < end
    rate = tl.load(scalars)
    gradient = tl.load(gradients + index, mask=there).to(tl.float32) * tl.load(scalars + 3)
    weight = tl.load(weights + index, mask=there)
    if KIND == "adamw":
        weight -= rate * decay * weight
    else:
        gradient += decay * weight
    mean = tl.load(first + index, mask=there)
    if KIND == "sgd":
        mean = beta1 * mean + gradient
        weight -= rate * mean
    else:
        mean += (1 - beta1) * (gradient - mean)
        square = tl.load(second + index, mask=there)
        square += (1 - beta2) * (gradient * gradient - square)
        tl.store(second + index, square, mask=there)
        size = tl.sqrt(square / tl.load(scalars + 2)) + eps
        weight -= rate / tl.load(scalars + 1) * mean / size
    tl.store(first + index, mean, mask=there)
    tl.store(weights + index, weight, mask=there)
    tl.store(copies + index, weight, mask=there)


class FlatParameters:
    """A network's parameters, laid out flat with what belongs to them.

    The parameters become views into `weights`; their bfloat16 `copies` enter the products.
    The state of `optimizer` is shared; its step() is never called.
    """

    def __init__(
        self, network: nn.Module, optimizer: Optimizer, shapes: dict[Tensor, tuple[int, int]]
    ) -> None:
        """Take over the parameters; a weight gets room for its shape in `shapes`, padding too."""
        parameters: list[Tensor] = list(network.parameters())
        device = parameters[0].device
        sizes = [math.prod(shapes.get(each, each.shape)) for each in parameters]
        ends = list(accumulate(-(-size // ALIGNED) * ALIGNED for size in sizes))
        self._begins = dict(zip(parameters, [0, *ends[:-1]], strict=True))
        self.weights, self.first, self.second = torch.zeros((3, ends[-1]), device=device)
        self.copies, self.gradients = torch.zeros(
            (2, ends[-1]), dtype=torch.bfloat16, device=device
        )
        self.steps = torch.zeros((), device=device)  # taken so far
        self.scalars = torch.ones(4, device=device)  # rate, corrections of both moments, clipping
        self.kind, self.decay = optimizer.kind, optimizer.decay
        self.betas, self.eps = optimizer.betas, optimizer.eps
        for parameter, begin in self._begins.items():
            weight, first, second = (
                flat[begin : begin + parameter.numel()].view_as(parameter)
                for flat in (self.weights, self.first, self.second)
            )
            weight.copy_(parameter.detach())
            parameter.data = weight
            moments = (
                {"momentum_buffer": first}
                if self.kind == "sgd"
                else {"exp_avg": first, "exp_avg_sq": second}
            )
            optimizer.state[parameter] = {"step": self.steps, **moments}
        self.begins = [self._begins[weight] for weight in shapes]  # of each product's weights
        self.products, self.product_gradients = (
            [
                flat[self._begins[weight] :][: math.prod(shape)].view(shape)
                for weight, shape in shapes.items()
            ]
            for flat in (self.copies, self.gradients)
        )

    def gradient(self, parameter: Tensor) -> Tensor:
        """Return the flat gradients from those of a parameter on."""
        return self.gradients[self._begins[parameter] :]

    def refresh(self) -> None:
        """Set the copies that enter the products from weights that somebody else may have set."""
        self.copies.copy_(self.weights)

    def clip(self, largest: float) -> None:
        """Set the factor that brings the gradient's norm down to `largest`."""
        norm = torch.linalg.vector_norm(self.gradients, dtype=torch.float32)
        self.scalars[3] = (largest / (norm + 1e-6)).clamp(max=1.0)

    def update(self, begin: int, end: int) -> None:
        """Take an optimizer's step with the numbers from `begin` to `end`."""
        optimizer_kernel[(triton.cdiv(end - begin, TILE),)](
            self.weights, self.copies, self.gradients, self.first, self.second, self.scalars,
            *self.betas, self.eps, self.decay, begin, end, KIND=self.kind, BLOCK=TILE,
        )  # fmt: skip

    def tensors(self) -> list[Tensor]:
        """Return the flat arrays."""
        return [self.weights, self.first, self.second, self.copies, self.gradients]
