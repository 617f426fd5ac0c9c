"""How long a training step takes, from what a machine can do: kernels, bytes, latency, all-reduce.

A step's matrix products take their operations over the rate of products of these shapes. Between
them normalization, activation and dropout take a measured time for each activation, and the loss
for each logit. Windows are gathered, and the optimizer passes over the weights, at the rate of
copying; every kernel waits a moment. The times add up: products fill the GPU, and what runs at
the same time takes a share of it.

Gradients are averaged in parts, each as soon as it is complete (phonemes/training/fused/step.py):
a part waits for its gradients and for the part before, and the first layer's comes last, when
nothing is left to hide it.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

GATHER_BYTES = 2 + 2  # of a number of a window, read and written as bfloat16
OPTIMIZER_BYTES = 2 + 3 * 4 + 3 * 4 + 2  # gradient; weight and moments, read and written; copy
FORWARD_KERNELS, BACKWARD_KERNELS, LOSS_KERNELS = 2, 2, 2  # of a layer, and of a step
KERNELS = 3 + FORWARD_KERNELS + BACKWARD_KERNELS  # of a layer, its products included
OTHER_KERNELS = 3 + LOSS_KERNELS  # gather, optimizer in two parts
GRADIENT = 2  # bytes
# of what is not measured, but assumed
HOST = 8  # GPUs of a host
NETWORK_BANDWIDTH = 50e9  # bytes a second between hosts, of each GPU: 400 Gbit/s
NETWORK_LATENCY = 20e-6  # s


class Net(NamedTuple):
    """The widths of a network."""

    inputs: int
    hidden: tuple[int, ...]
    outputs: int

    @property
    def products(self) -> list[int]:
        """Return the weights of each layer."""
        return [a * b for a, b in pairwise((self.inputs, *self.hidden, self.outputs))]

    @property
    def operations(self) -> int:
        """Return the operations of a frame in the products of a step."""
        return 2 * (3 * sum(self.products) - self.products[0])


class Rates(NamedTuple):
    """What one GPU can do."""

    products: float  # operations a second, in products of the step's shapes
    copied: float  # bytes a second, read and written
    latency: float  # s, from the end of a kernel to the begin of the next
    forward: float  # s an activation, from a product to the next: normalization to dropout
    backward: float  # s an activation, on the way back
    loss: float  # s a logit, of the loss and its gradient


Reduce = Callable[[float], float]  # bytes -> s


def alone(net: Net, batch: int, rates: Rates) -> float:
    """Return the seconds of a step of one GPU with B = `batch` frames."""
    between = sum(net.hidden) * (rates.forward + rates.backward) + net.outputs * rates.loss
    moved = batch * GATHER_BYTES * net.inputs + OPTIMIZER_BYTES * sum(net.products)
    kernels = KERNELS * len(net.products) + OTHER_KERNELS
    return (
        batch * (net.operations / rates.products + between)
        + moved / rates.copied
        + kernels * rates.latency
    )


def parts(net: Net, smallest: int) -> list[tuple[int, int]]:
    """Return the gradients of each part, and the layer with which it is complete, the last first.

    Args:
        net: whose gradients they are.
        smallest: numbers from which on those of the layers so far are a part of their own.
    """
    found: list[tuple[int, int]] = []
    held = 0
    for layer in reversed(range(1, len(net.products))):
        held += net.products[layer]
        if held >= smallest or layer == 1:
            found.append((held, layer))
            held = 0
    return [*found, (net.products[0], 0)]


def together(net: Net, batch: int, rates: Rates, reduce: Reduce, smallest: int) -> float:
    """Return the seconds of a step of several GPUs, each with B = `batch` frames.

    Args:
        net: that all have.
        batch: B.
        rates: of each.
        reduce: how long an all-reduce of some bytes takes.
        smallest: as in `parts`.
    """
    whole, done = alone(net, batch, rates), 0.0
    *early, (last, _) = parts(net, smallest)
    for numbers, layer in early:
        done = max(done, whole - _left(net, layer, batch, rates)) + reduce(GRADIENT * numbers)
    return max(whole, done) + reduce(GRADIENT * last)


def _left(net: Net, layer: int, batch: int, rates: Rates) -> float:
    """Return the seconds of work that are left once the gradients of a layer are complete."""
    before = 2 * net.products[:layer]
    operations = 2 * (sum(before) - net.products[0] + net.products[layer])
    return batch * (operations / rates.products + sum(net.hidden[:layer]) * rates.backward)


class Line(NamedTuple):
    """How long an all-reduce takes, as a line over its bytes."""

    latency: float  # s
    bandwidth: float  # bytes a second
    gpus: int

    @classmethod
    def through(cls, measured: Mapping[int, float], gpus: int) -> "Line":
        """Return the line through measured seconds, by bytes, with the least relative errors."""
        sizes, seconds = (np.array([*each], float) for each in zip(*measured.items(), strict=True))
        terms = np.stack([np.ones_like(sizes), sizes], 1) / seconds[:, None]
        latency, each = np.linalg.lstsq(terms, np.ones_like(sizes), rcond=None)[0]
        return cls(max(float(latency), 0.0), 1 / max(float(each), 1e-15), gpus)

    def on(self, gpus: int) -> Reduce:
        """Return how long it takes on another number of GPUs; on hosts of eight beyond that.

        A ring sends 2 (n - 1) / n of the bytes; latency grows with the logarithm of n. Of several
        hosts each GPU sends its eighth over the network.
        """
        inside = min(gpus, HOST)
        hosts = math.ceil(gpus / HOST)
        ring = self.bandwidth * (self.gpus - 1) / self.gpus

        def seconds(count: float) -> float:
            if gpus == 1:
                return 0.0
            found = self.latency * math.log2(inside) / math.log2(self.gpus)
            found += count * (inside - 1) / inside / ring
            if hosts > 1:
                found += NETWORK_LATENCY * math.log2(hosts)
                found += 2 * (hosts - 1) / hosts * count / HOST / NETWORK_BANDWIDTH
            return found

        return seconds


def interpolated(measured: Mapping[int, float]) -> Reduce:
    """Return how long an all-reduce takes between measured sizes, in bytes."""
    sizes = sorted(measured)
    seconds = [measured[size] for size in sizes]
    return lambda count: float(np.interp(count, sizes, seconds))
