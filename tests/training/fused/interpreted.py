"""Triton for the tests of kernels: on an NVIDIA GPU compiled, elsewhere interpreted on the CPU.

Triton reads TRITON_INTERPRET when a kernel is defined, so test modules import this module before
any that defines kernels.
"""

import os

import pytest
import torch
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

triton = pytest.importorskip("triton", reason="Triton, which comes with torch for CUDA, is missing")

from phonemes.inference import outcomes_triton  # noqa: E402

if DEVICE.type == "cpu" and isinstance(outcomes_triton.score, triton.JITFunction):
    pytest.skip("kernels were defined before TRITON_INTERPRET was set", allow_module_level=True)


def relative(actual: Tensor, expected: Tensor) -> float:
    """Return how far values are from those expected, as a share of these."""
    return ((actual - expected).norm() / expected.norm()).item()
