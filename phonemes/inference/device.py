"""The device that a stage computes on, and the precision it computes in."""

from typing import NamedTuple

import torch

from phonemes.errors import InputError


class Compute(NamedTuple):
    """Where to compute, and in which precision."""

    device: torch.device
    dtype: torch.dtype  # of the products


def choose_device(name: str) -> torch.device:
    """Return the device of runtime.device; `auto` takes a GPU where there is one.

    Raises:
        InputError: the named device is not there.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present[name]:
        raise InputError(f"runtime.device is {name}, which this machine lacks; set it to auto")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return bfloat16 or float32; `auto` takes bfloat16 where the device multiplies it faster."""
    fast = name == "bf16" or (name == "auto" and multiplies_bfloat16(device))
    return torch.bfloat16 if fast else torch.float32


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has instructions for products in bfloat16."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cuda"
