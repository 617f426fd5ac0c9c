"""A training step limited by its matrix products, on an NVIDIA GPU.

Torch's own kernels spend more of a step on moving activations than on multiplying
matrices. Here the products are cuBLAS's, in bfloat16, and between two of them run one or
two Triton kernels. Weights, their bfloat16 copies and gradients each lie in one flat array,
so the optimizer is one kernel too. Products that nothing waits for, the weights' gradients,
and most of the optimizer run in parallel to the rest of the step; so does what several
processes do to average their gradients, all but those of the first layer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from phonemes.inference.windows import DeviceSplit
from phonemes.model.architecture import Architecture, Classifier
from phonemes.model.layers import ContextPooling
from phonemes.training.fused.blocks import Block
from phonemes.training.fused.gather import Pooling, gather
from phonemes.training.fused.loss import Output, loss, room
from phonemes.training.fused.norm import NormalizedBlock
from phonemes.training.fused.optimizer import FlatParameters
from phonemes.training.fused.plain import PlainBlock
from phonemes.training.fused.tiles import tiles_for
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import AugmentParams, TrainParams
from phonemes.training.seeds import derived

PART = 2**22  # gradients from which on those of the layers so far are a part of their own


def salts_of(seed: int, blocks: int) -> list[int]:
    """Return seeds of 31 bits for the windows' distortions and for each block's dropout."""
    roles = ["distortions", *(f"dropout of block {number}" for number in range(blocks))]
    return [derived(seed, role) % 2**31 for role in roles]


def _blocks(
    network: nn.Module, architecture: Architecture, salts: Sequence[int]
) -> Iterator[Block]:
    """Yield what follows each layer of a network but the last."""
    how = architecture.activation, architecture.dropout
    if architecture.norm == "batch":
        norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)]
        for norm, salt in zip(norms, salts, strict=True):
            moments = torch.zeros((2, norm.num_features), device=norm.weight.device)
            yield NormalizedBlock(norm, moments, *how, salt)
    else:
        *linears, _ = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        for linear, salt in zip(linears, salts, strict=True):
            yield PlainBlock(linear.bias, *how, salt)


class FusedStep:
    """One update of a network, with buffers of its own."""

    kernels = "triton"

    def __init__(
        self,
        classifier: Classifier,
        optimizer: Optimizer,
        split: DeviceSplit,
        batch: int,
        augment: AugmentParams,
        train: TrainParams,
    ) -> None:
        """Take over the parameters of a network for which `training.step.fuses`."""
        network, architecture = classifier
        self.split, self.augment, self.train = split, augment, train
        self.residual = architecture.residual
        self.tiles = tiles_for(batch)
        linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        self.salt, *salts = salts_of(train.seed, len(linears) - 1)
        device = split.windows.device
        first = network[0]
        pooled = first.widths if isinstance(first, ContextPooling) else (1,)
        self.pooling = Pooling.of(pooled, device)
        bias = linears[-1].bias
        padded = -(-len(bias) // 8) * 8  # cuBLAS is slow on rows that 16 bytes do not divide
        widths = [linear.out_features for linear in linears[:-1]] + [padded]
        self.flat = FlatParameters(
            network,
            optimizer,
            {
                linear.weight: (width, linear.in_features)
                for linear, width in zip(linears, widths, strict=True)
            },
        )

        def rows(width: int) -> Tensor:
            return torch.zeros((batch, width), dtype=torch.bfloat16, device=device)

        self.inputs = [rows(width) for width in (linears[0].in_features, *widths[:-1])]
        self.outputs = [rows(width) for width in widths]
        self.upstream = [rows(width) for width in widths[:-1]]
        self.sums = torch.zeros((self.tiles.parts, 2, max(widths)), device=device)
        self.blocks = [*_blocks(network, architecture, salts)]
        self.output = Output(
            self.outputs[-1],
            bias,
            self.flat.gradient(bias),
            torch.zeros((batch, architecture.targets), dtype=torch.int64, device=device),
            room(architecture.classes, architecture.targets, device),
        )
        self.side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.epoch = torch.zeros((), dtype=torch.int64, device=device)
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch, from 0, from weights that somebody else may have set."""
        self.flat.refresh()
        self.epoch.fill_(epoch)

    def memory(self) -> int:
        """Return the bytes of all that a step reads and writes, but for the split."""
        tensors = [*self.flat.tensors(), *self.inputs, *self.outputs, *self.upstream]
        return sum(tensor.nbytes for tensor in tensors)

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step; see `phonemes.training.run.Step`."""
        for _ in self.parts(order, cursor, rates, totals):
            pass

    def parts(
        self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor
    ) -> Iterator[list[Tensor]]:
        """Take one step in parts; see `phonemes.training.run.PartedStep`."""
        flat = self.flat
        gather(
            self.split, order, cursor, self.epoch, flat.steps, self.inputs[0],
            self.output.targets, self.pooling, self.augment, self.salt,
        )  # fmt: skip
        self._forward()
        loss(
            self.output, self.train.label_smoothing, cursor, rates, totals, flat.steps,
            flat.scalars, flat.betas, flat.kind,
        )  # fmt: skip
        rest = len(flat.gradients)
        for complete in self._backward():
            if rest - complete >= PART:
                yield [flat.gradients[complete:rest]]
                rest = complete
        yield from self._adjust(rest)

    def _skips_to(self, layer: int) -> bool:
        """Return whether a layer's product has that of two layers before added to it."""
        return self.residual and layer % 2 == 0 and 0 < layer < len(self.blocks)

    def _forward(self) -> None:
        for layer, block in enumerate(self.blocks):
            h = self.outputs[layer]
            weights = self.flat.products[layer].t()
            if self._skips_to(layer):
                torch.addmm(self.outputs[layer - 2], self.inputs[layer], weights, out=h)
            else:
                torch.mm(self.inputs[layer], weights, out=h)
            block.forward(h, self.inputs[layer + 1], self.sums, self.flat.steps, self.tiles)
        torch.mm(self.inputs[-1], self.flat.products[-1].t(), out=self.outputs[-1])

    @contextmanager
    def _in_parallel(self) -> Iterator[None]:
        """Do something in parallel to what follows, after all that came before."""
        if self.side is None:
            yield
            return
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            yield

    def _backward(self) -> Iterator[int]:
        """Compute the gradients of all layers but the first one's product.

        Yields:
            From which place on the gradients are complete, on the stream that is current then.
        """
        flat = self.flat
        for layer in reversed(range(1, len(self.outputs))):
            gradient, dy, block = (
                self.outputs[layer],
                self.upstream[layer - 1],
                self.blocks[layer - 1],
            )
            with self._in_parallel():
                torch.mm(gradient.t(), self.inputs[layer], out=flat.product_gradients[layer])
                if layer > 1:  # else those of the first block are about to follow
                    yield flat.begins[layer]
            torch.mm(gradient, flat.products[layer], out=dy)
            skipped = self.outputs[layer + 1] if self._skips_to(layer + 1) else None
            gradients = [flat.gradient(each) for each in block.parameters]
            block.backward(
                dy, self.outputs[layer - 1], skipped, self.sums, gradients, flat.steps, self.tiles
            )

    def _adjust(self, rest: int) -> Iterator[list[Tensor]]:
        """Complete the gradients and take the optimizer's step, for most weights in parallel.

        Args:
            rest: gradients from here on were yielded before.
        """
        flat, clips = self.flat, self.train.clip_norm > 0
        first, end = flat.product_gradients[0].numel(), len(flat.weights)
        with self._in_parallel():
            yield [flat.gradients[first:rest]]
            if not clips:
                flat.update(first, end)
        torch.mm(self.outputs[0].t(), self.inputs[0], out=flat.product_gradients[0])
        yield [flat.gradients[:first]]
        if not clips:
            flat.update(0, first)
        if self.side is not None:
            torch.cuda.current_stream().wait_stream(self.side)
        if clips:
            flat.clip(self.train.clip_norm)
            flat.update(0, end)
