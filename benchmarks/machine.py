"""What a machine can do at best: large matrix products and copying."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from phonemes.inference.device import choose_precision

PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}

Measure = Callable[[float], float]  # seconds to spend -> frames, or something else, a second


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(step: Callable[[], int], device: torch.device) -> Measure:
    """Return how to measure the frames a second of steps that return their frames."""

    def measure(seconds: float) -> float:
        step()
        wait_for(device)
        frames, started = 0, time.perf_counter()
        while not frames or time.perf_counter() - started < seconds:
            for _ in range(10 if device.type == "cuda" else 1):
                frames += step()
            wait_for(device)
        return frames / (time.perf_counter() - started)

    return measure


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of a large square matrix product."""
    size = 8192 if device.type == "cuda" else 2048
    first, second = torch.randn(2, size, size, device=device).to(dtype)
    out = torch.empty_like(first)

    def step() -> int:
        torch.mm(first, second, out=out)
        return 2 * size**3

    return timed(step, device)(1.0)


def copy_rate(device: torch.device) -> float:
    """Return the bytes a second, read and written, of copying on the device."""
    source = torch.randn(2**28 if device.type == "cuda" else 2**25, device=device)
    target = torch.empty_like(source)

    def step() -> int:
        target.copy_(source)
        return 2 * source.nbytes

    return max(timed(step, device)(0.5) for _ in range(3))


def precisions(device: torch.device) -> list[torch.dtype]:
    """Return float32 and, where the device multiplies it faster, bfloat16."""
    return [*dict.fromkeys((torch.float32, choose_precision("auto", device)))]


@dataclass
class Machine:
    """The device, and the highest rates measured on it."""

    device: torch.device
    name: str
    copied: float  # bytes a second, read and written
    peaks: dict[torch.dtype, float]  # operations a second of a large matrix product

    @classmethod
    def of(cls, device: torch.device) -> "Machine":
        """Measure a device."""
        cuda = device.type == "cuda"
        name = torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} CPU threads"
        peaks = {dtype: matrix_rate(device, dtype) for dtype in precisions(device)}
        return cls(device, name, copy_rate(device), peaks)

    def measure_again(self) -> None:
        """Raise the peaks where products are faster now: the speed of a machine may vary."""
        for dtype, peak in self.peaks.items():
            self.peaks[dtype] = max(peak, matrix_rate(self.device, dtype))
