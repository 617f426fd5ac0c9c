"""The device that a stage computes on, and the precision it computes in."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
import torch

from phonemes.errors import InputError

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# first compute capabilities of NVIDIA GPUs, by which each choice is made
FP16_FROM = (7, 0)  # Volta: products in float16 are fast, those in bfloat16 are emulated
BF16_FROM = (8, 0)  # Ampere: bfloat16 is as fast, and overflows no sooner than float32
TRITON_FROM = (8, 0)  # the oldest that Triton compiles for
# limit and use of a container's memory, in cgroups of version 2 and 1
CONTAINER_MEMORY = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


class Compute(NamedTuple):
    """Where to compute, and in which precision."""

    device: torch.device
    dtype: torch.dtype  # of the products


def choose_device(name: str, gpu: int | None = None) -> torch.device:
    """Return the device of runtime.device; `auto` takes a GPU where there is one.

    Args:
        name: auto, cpu, cuda or mps.
        gpu: which GPU, where several processes have one each; None: torch's current one.

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
    if name != "cuda" or gpu is None:
        return torch.device(name)
    if gpu >= (count := torch.cuda.device_count()):
        raise InputError(f"there is no GPU for process {gpu + 1} of this host, which has {count}")
    return torch.device(name, gpu)


def choose_devices(name: str, gpus: int | Literal["auto"]) -> list[torch.device]:
    """Return the devices that share the frames of a split to label: the first of runtime.gpus.

    It is one device unless several GPUs are asked for.

    Raises:
        InputError: the named device is not there, or not so many GPUs.
    """
    device = choose_device(name)
    if device.type != "cuda" or gpus == "auto" or gpus == 1:
        return [device]
    require_devices(gpus, device)
    return [torch.device("cuda", number) for number in range(gpus)]


def device_count(device: torch.device) -> int:
    """Return the GPUs of this host, or on a CPU the cores that this process may use."""
    if device.type == "cuda":
        return torch.cuda.device_count()
    if device.type != "cpu":
        return 1
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require_devices(gpus: int, device: torch.device) -> None:
    """Refuse a runtime.gpus that is more than there are.

    Raises:
        InputError: there are not as many GPUs, or cores.
    """
    if gpus <= (there := device_count(device)):
        return
    kind = "core" if device.type == "cpu" else "GPU"
    raise InputError(
        f"runtime.gpus is {gpus}, but there {'is' if there == 1 else 'are'} {there} "
        f"{kind}{'s' * (there != 1)}; set it to auto, or to at most {there}"
    )


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type of products; `auto` takes the one that `fast_precision` does."""
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        return fast_precision("cuda", capability=torch.cuda.get_device_capability(device))
    instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return fast_precision(device.type, bf16_instructions=instructions)


def choose_compute(device: str, precision: str, gpu: int | None = None) -> Compute:
    """Return what runtime.device and model.precision ask for; see `choose_device`.

    Raises:
        InputError: the named device is not there.
    """
    chosen = choose_device(device, gpu)
    return Compute(chosen, choose_precision(precision, chosen))


def fast_precision(
    kind: str, *, capability: tuple[int, int] = (0, 0), bf16_instructions: bool = False
) -> torch.dtype:
    """Return the fastest type of products that a network learns in as well as in float32.

    Args:
        kind: of device: cuda, mps or cpu.
        capability: of an NVIDIA GPU, major and minor.
        bf16_instructions: whether a CPU has instructions for products in bfloat16.
    """
    if kind == "cuda" and FP16_FROM <= capability < BF16_FROM:
        return torch.float16
    fast = capability >= BF16_FROM if kind == "cuda" else kind == "cpu" and bf16_instructions
    return torch.bfloat16 if fast else torch.float32


def runs_triton(device: torch.device) -> bool:
    """Return whether kernels of Triton can be compiled for a device."""
    if device.type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= TRITON_FROM


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a GPU, else in main memory or in this container of it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = [psutil.virtual_memory().available]
    for limit, used in CONTAINER_MEMORY:
        with suppress(OSError, ValueError):  # there is none, or it says "max"
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, min(free))
