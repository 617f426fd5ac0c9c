"""Compile the kernels of a training step for an H100, on any machine; print their names.

    python -m training.compiled

Triton compiles a kernel for what it is called with, and then starts it. Here a step calls its
kernels with tensors of the CPU, and nothing is started.
"""

from dataclasses import replace

import numpy as np
import torch
from helpers import PARAMS, changed
from triton.backends.compiler import GPUTarget
from triton.runtime import JITFunction, driver

from phonemes.context import window_starts
from phonemes.inference.outcomes_triton import score_frames
from phonemes.inference.windows import to_device
from phonemes.model.architecture import Architecture, Classifier, build, initialize
from phonemes.params import load
from phonemes.storage.layout import HostSplit
from phonemes.training.augmentation import reached_context
from phonemes.training.fused.step import FusedStep
from phonemes.training.optimizer import Optimizer
from phonemes.training.params import UNDISTORTED
from phonemes.training.targets import targets

BANDS, CLASSES, LENGTHS, BATCH = 40, 71, np.array([300, 40]), 64
H100 = GPUTarget("cuda", 90, 32)


class Driver:
    """Stands for the driver of an H100."""

    def get_current_target(self) -> GPUTarget:
        return H100

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def compile_only() -> set[str]:
    """Have Triton compile kernels and start none; return their names as they are compiled."""
    driver.set_active(Driver())
    run, names = JITFunction.run, set()

    def compiled(self, *given, **named):
        kernel = run(self, *given, **named | {"warmup": True})
        assert kernel.asm["cubin"]
        names.add(self.fn.__name__)

    JITFunction.run = compiled
    return names


def step(params) -> None:
    """Take a step of a network with these parameters, without any kernel's results."""
    random = np.random.default_rng(1)
    labels = random.integers(0, CLASSES, LENGTHS.sum())
    frames = random.standard_normal((len(labels), BANDS), np.float32)
    starts = window_starts(LENGTHS, params.data.k, params.data.padding)
    context = reached_context(params.model.target_context, params.augment)
    host = HostSplit(frames, starts, targets(labels, starts, context) if context else labels)
    split = to_device(host, params.data, torch.device("cpu"), torch.bfloat16)
    architecture = Architecture.of(params.model, 2 * params.data.k + 1, BANDS, CLASSES)
    network, architecture = build(architecture)
    initialize(network, "default", torch.Generator())
    optimizer = Optimizer(network, params.train)
    classifier = Classifier(network, architecture)
    FusedStep(classifier, optimizer, split, BATCH, params.augment, params.train).update(
        torch.arange(BATCH),
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1),
        torch.zeros(3, dtype=torch.float64),
    )


def main() -> None:
    """Compile what a plain network, one with all distortions and one without norm need."""
    names = compile_only()
    params = changed(load(PARAMS).fit, model={"hidden": (64, 48), "norm": "batch"})
    step(
        changed(
            params._replace(augment=UNDISTORTED),
            model={"activation": "relu", "dropout": 0.0, "target_context": 0},
        )
    )
    whole = {
        field: 1 if isinstance(value, int) else 0.1 for field, value in vars(UNDISTORTED).items()
    }
    step(
        changed(
            params._replace(augment=replace(UNDISTORTED, **whole)),
            model={
                "activation": "gelu", "dropout": 0.2, "target_context": 3, "residual": True,
                "full_rate_context": 4, "hidden": (64, 64, 64),
            },
        )
    )  # fmt: skip
    step(changed(params, model={"norm": "none", "dropout": 0.2}))
    score_frames(torch.zeros(BATCH, CLASSES), torch.zeros(BATCH, dtype=torch.int64))
    print(*sorted(names))


if __name__ == "__main__":
    main()
