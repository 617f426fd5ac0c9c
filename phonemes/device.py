"""The device that a stage computes on, and the precision it computes in."""

import torch

from phonemes.errors import InputError


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
    """Return bfloat16 or float32; `auto` takes bfloat16 on a GPU."""
    fast = name == "bf16" or (name == "auto" and device.type == "cuda")
    return torch.bfloat16 if fast else torch.float32
