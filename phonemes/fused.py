"""A training step limited by its matrix products, on an NVIDIA GPU.

Torch's own kernels spend more of a step on moving activations than on multiplying
matrices. Here the products are cuBLAS's, in bfloat16, and between two of them run one or
two kernels of phonemes/kernels.py. Weights, their bfloat16 copies and gradients each lie
in one flat array, so the optimizer is one kernel too. Products that nothing waits for,
the weights' gradients, and most of the optimizer run beside the rest of the step.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import NamedTuple

import torch
import triton
from torch import Tensor, nn

from phonemes import kernels
from phonemes.inference import Outcomes, Split
from phonemes.layers import Thinning
from phonemes.optimizer import Optimizer
from phonemes.params import Train

LARGE = 8192  # rows of a batch from which on other tiles are faster


class Tiles(NamedTuple):
    """How the kernels share out a batch; found by trying, on an H100.

    A kernel has the rows and columns of a program's tile, its warps, and how many tiles it
    goes through, 0 for those of a part.
    """

    parts: int  # into which the rows are divided for sums over them
    moments: tuple[int, int, int, int]
    forward: tuple[int, int, int, int]
    gradient_sums: tuple[int, int, int, int]
    backward: tuple[int, int, int, int]


SMALL_TILES = Tiles(16, (32, 32, 2, 0), (32, 64, 2, 1), (64, 64, 4, 0), (32, 64, 2, 1))
LARGE_TILES = Tiles(32, (256, 32, 8, 0), (64, 64, 4, 1), (128, 32, 4, 0), (64, 64, 4, 1))
LOSS_PARTS = 128
LOSS_TILE = 16  # rows
GATHER_TILE = (2, 32)  # rows, units of bands
GATHER_WARPS = 2
OPTIMIZER_TILE = 1024


def judge(logits: Tensor, labels: Tensor) -> Outcomes:
    """Return the outcome of some frames with logits (B, P) and labels (B,), in one pass."""
    rows, classes = logits.shape
    outcomes = Outcomes(
        torch.empty_like(labels),
        torch.empty(rows, device=logits.device),
        torch.empty(rows, dtype=torch.bool, device=logits.device),
    )
    bias = torch.zeros(classes, device=logits.device)
    kernels.score[(triton.cdiv(rows, LOSS_TILE),)](
        logits, bias, labels, *outcomes, rows, classes, logits.stride(0), LOSS_TILE,
        triton.next_power_of_2(classes),
    )  # fmt: skip
    return outcomes


class FusedStep:
    """One update of a network from the batch under a cursor, with buffers of its own.

    The parameters of the network become views into `weights`; their bfloat16 `copies`
    enter the products. The state that `optimizer` keeps is shared, its step() never called.
    """

    def __init__(
        self,
        network: nn.Sequential,
        optimizer: Optimizer,
        split: Split,
        batch: int,
        params: Train,
    ) -> None:
        """Take over the parameters of a network whose blocks are normalized over the batch."""
        self.split, self.batch, self.params = split, batch, params
        self.tiles = LARGE_TILES if batch >= LARGE else SMALL_TILES
        linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        self.norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)]
        self.salt, *self.salts = (  # of the windows' distortions, and of each block's dropout
            (64 * params.seed + each) * 0x9E3779B1 % 2**31 for each in range(len(self.norms) + 1)
        )
        first = network[0]
        averaged = torch.tensor(first.widths if isinstance(first, Thinning) else [1])
        self.most = int(averaged.max())  # frames of an average
        self.thinned = torch.stack([averaged.cumsum(0) - averaged, averaged]).int()
        self.thinned = self.thinned.to(split.windows.device)  # first frame and frames of each
        self.bias = linears[-1].bias
        self.told = 2 * params.neighbours + 1  # labels of a window
        self.classes = len(self.bias) // self.told
        padded = -(-len(self.bias) // 8) * 8  # cuBLAS is slow on rows that 16 bytes do not divide
        widths = [linear.out_features for linear in linears[:-1]] + [padded]
        shapes = {
            linear.weight: (width, linear.in_features)
            for linear, width in zip(linears, widths, strict=True)
        }
        self._flatten(network, optimizer, shapes)
        self.products, self.slopes = (
            [
                flat[self.begins[weight] :][: math.prod(shape)].view(shape)
                for weight, shape in shapes.items()
            ]
            for flat in (self.copies, self.gradients)
        )
        device = split.windows.device

        def rows(width: int) -> Tensor:
            return torch.zeros((batch, width), dtype=torch.bfloat16, device=device)

        self.inputs = [rows(width) for width in (linears[0].in_features, *widths[:-1])]
        self.outputs = [rows(width) for width in widths]
        self.upstream = [rows(width) for width in widths[:-1]]
        self.moments = [torch.zeros((2, width), device=device) for width in widths[:-1]]
        self.sums = torch.zeros((self.tiles.parts, 2, max(widths)), device=device)
        columns = max(8, triton.next_power_of_2(self.classes))
        self.loss_sums = torch.zeros((LOSS_PARTS, columns * self.told + 2), device=device)
        self.targets = torch.zeros((batch, self.told), dtype=torch.int64, device=device)
        self.scalars = torch.ones(4, device=device)  # rate, corrections of both moments, clipping

    def _flatten(
        self,
        network: nn.Sequential,
        optimizer: Optimizer,
        shapes: dict[Tensor, tuple[int, int]],
    ) -> None:
        """Lay parameters, copies, gradients and the optimizer's state out flat.

        A weight gets room for its shape in `shapes`, padding included.
        """
        parameters: list[Tensor] = list(network.parameters())
        device = parameters[0].device
        sizes = [math.prod(shapes.get(each, each.shape)) for each in parameters]
        ends = list(accumulate(-(-size // 64) * 64 for size in sizes))  # cuBLAS wants them aligned
        self.begins = dict(zip(parameters, [0, *ends[:-1]], strict=True))
        self.weights, self.first, self.second = torch.zeros((3, ends[-1]), device=device)
        self.copies, self.gradients = torch.zeros(
            (2, ends[-1]), dtype=torch.bfloat16, device=device
        )
        self.steps = torch.zeros((), device=device)
        self.betas, self.eps = optimizer.betas, optimizer.eps
        for parameter, begin in self.begins.items():
            weight, first, second = (
                flat[begin : begin + parameter.numel()].view_as(parameter)
                for flat in (self.weights, self.first, self.second)
            )
            weight.copy_(parameter.detach())
            parameter.data = weight
            moments = (
                {"momentum_buffer": first}
                if self.params.optimizer == "sgd"
                else {"exp_avg": first, "exp_avg_sq": second}
            )
            optimizer.state[parameter] = {"step": self.steps, **moments}
        self.side = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.epoch = torch.zeros((), dtype=torch.int64, device=device)
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch, from 0, from weights that somebody else may have set."""
        self.copies.copy_(self.weights)
        self.epoch.fill_(epoch)

    def bytes(self) -> int:
        """Return the memory of all that a step reads and writes, the split apart."""
        flat = [self.weights, self.first, self.second, self.copies, self.gradients]
        tensors = [*flat, *self.inputs, *self.outputs, *self.upstream]
        return sum(tensor.nbytes for tensor in tensors)

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step.

        Args:
            order: (S B,) int64, the frames of an epoch's S steps.
            cursor: (1,) int64, the step of the epoch; raised by one.
            rates: (S,) the learning rate of each step.
            totals: (3,) float64; the batch's loss, correct frames and 1 if finite are added.
        """
        self._gather(order, cursor)
        self._forward()
        self._loss(cursor, rates, totals)
        self._backward()
        self._adjust()

    def _grid(self, kernel: str, columns: int) -> tuple[tuple[int, int], dict[str, int]]:
        """Return the programs of a kernel over rows and columns, and its constants."""
        parts = self.tiles.parts
        tile, width, warps, tiles = getattr(self.tiles, kernel)
        part = tile * tiles or triton.cdiv(triton.cdiv(self.batch, parts), tile) * tile
        programs = triton.cdiv(self.batch, part) if tiles else parts
        return (triton.cdiv(columns, width), programs), {
            "PART": part, "R": tile, "C": width, "num_warps": warps,
        }  # fmt: skip

    def _skips_to(self, layer: int) -> bool:
        """Tell whether a layer's product has that of two layers before added to it."""
        return self.params.residual and layer % 2 == 0 and 0 < layer < len(self.norms)

    def _block(self) -> dict[str, str | bool]:
        """Return the constants of kernels that go through a block's activation and dropout."""
        return {"KIND": self.params.activation, "DROP": self.params.dropout > 0}

    def _gather(self, order: Tensor, cursor: Tensor) -> None:
        windows, augment = self.inputs[0], self.params.augment
        bands = self.split.windows.stride(0)
        kernels.gather[(triton.cdiv(self.batch, GATHER_TILE[0]),)](
            self.split.windows, self.split.starts, self.split.labels, order, cursor, self.epoch,
            self.steps, windows, self.targets, self.batch, self.salt, augment.mel_scale,
            augment.mel_shift, augment.speed, augment.gain, augment.tilt, augment.noise,
            augment.time_mask, augment.band_mask, *self.thinned, bands,
            self.split.windows.shape[1] // bands, windows.shape[1],
            self.most, self.targets.shape[1], *GATHER_TILE, math.gcd(8, bands),
            AUGMENT=augment.any(),
            WARP=augment.mel_scale + augment.mel_shift + augment.speed > 0,
            COLOUR=augment.gain + augment.tilt > 0,
            NOISE=augment.noise > 0, TIME_MASKS=augment.time_masks,
            BAND_MASKS=augment.band_masks,
            num_warps=GATHER_WARPS,
        )  # fmt: skip

    def _forward(self) -> None:
        for layer, norm in enumerate(self.norms):
            h = self.outputs[layer]
            columns = h.shape[1]
            weights = self.products[layer].t()
            if self._skips_to(layer):
                torch.addmm(self.outputs[layer - 2], self.inputs[layer], weights, out=h)
            else:
                torch.mm(self.inputs[layer], weights, out=h)
            grid, constants = self._grid("moments", columns)
            kernels.moments[grid](h, self.sums, self.batch, columns, **constants)
            grid, constants = self._grid("forward", columns)
            kernels.forward[grid](
                h, self.inputs[layer + 1], self.sums, norm.weight, norm.bias, norm.running_mean,
                norm.running_var, self.moments[layer], self.steps, self.salts[layer],
                self.params.dropout, norm.momentum, norm.eps, self.batch, columns,
                PARTS=self.tiles.parts, **self._block(), **constants,
            )  # fmt: skip
        torch.mm(self.inputs[-1], self.products[-1].t(), out=self.outputs[-1])

    def _loss(self, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        z = self.outputs[-1]
        columns = max(8, triton.next_power_of_2(self.classes))
        part = triton.cdiv(self.batch, LOSS_PARTS)
        tile = min(LOSS_TILE, triton.next_power_of_2(part))
        kernels.loss[(LOSS_PARTS,)](
            z, self.bias, self.targets, self.loss_sums, self.batch, self.classes,
            self.params.label_smoothing, z.shape[1], self.told,
            triton.cdiv(part, tile) * tile, tile, columns,
        )  # fmt: skip
        begin = self.begins[self.bias]
        kernels.finish[(1,)](
            self.loss_sums, self.gradients[begin:], totals, rates, cursor, self.steps,
            self.scalars, self.classes, *self.betas, self.params.optimizer, self.told, LOSS_PARTS,
            columns, num_warps=8,
        )  # fmt: skip

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Do something in parallel with what follows, after all that came before."""
        if self.side is None:
            yield
            return
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            yield

    def _backward(self) -> None:
        for layer in reversed(range(1, len(self.outputs))):
            slope = self.outputs[layer]
            with self._beside():
                torch.mm(slope.t(), self.inputs[layer], out=self.slopes[layer])
            dy = self.upstream[layer - 1]
            torch.mm(slope, self.products[layer], out=dy)
            norm, h = self.norms[layer - 1], self.outputs[layer - 1]
            columns = h.shape[1]
            common = self.moments[layer - 1], self.steps, self.salts[layer - 1], self.params.dropout
            grid, constants = self._grid("gradient_sums", columns)
            kernels.gradient_sums[grid](
                dy, h, self.sums, norm.weight, norm.bias, *common, self.batch, columns,
                **self._block(), **constants,
            )  # fmt: skip
            dgamma, dbeta = (
                self.gradients[self.begins[each] :] for each in (norm.weight, norm.bias)
            )
            grid, constants = self._grid("backward", columns)
            skips = self._skips_to(layer + 1)
            kernels.backward[grid](
                dy, h, self.outputs[layer + 1] if skips else h, self.sums, norm.weight,
                norm.bias, dgamma, dbeta, *common, self.batch, columns, SKIPS=skips,
                **self._block(), PARTS=self.tiles.parts, **constants,
            )  # fmt: skip

    def _adjust(self) -> None:
        """Complete the gradients and take the optimizer's step, for most weights in parallel."""
        first = self.slopes[0].numel()
        if self.params.clip_norm == 0:
            with self._beside():
                self._optimize(first, len(self.weights))
        torch.mm(self.outputs[0].t(), self.inputs[0], out=self.slopes[0])
        if self.params.clip_norm == 0:
            self._optimize(0, first)
        if self.side is not None:
            torch.cuda.current_stream().wait_stream(self.side)
        if self.params.clip_norm > 0:
            norm = torch.linalg.vector_norm(self.gradients, dtype=torch.float32)
            self.scalars[3] = (self.params.clip_norm / (norm + 1e-6)).clamp(max=1.0)
            self._optimize(0, len(self.weights))

    def _optimize(self, begin: int, end: int) -> None:
        kernels.optimize[(triton.cdiv(end - begin, OPTIMIZER_TILE),)](
            self.weights, self.copies, self.gradients, self.first, self.second, self.scalars,
            *self.betas, self.eps, self.params.weight_decay, begin, end,
            KIND=self.params.optimizer, BLOCK=OPTIMIZER_TILE,
        )  # fmt: skip
