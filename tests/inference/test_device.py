"""A stage computes on the device that is asked for, and in the precision that is fast there."""

import psutil
import pytest
import torch

from phonemes.errors import InputError
from phonemes.inference import device
from phonemes.inference.device import (
    choose_device,
    choose_devices,
    choose_precision,
    fast_precision,
    free_memory,
    runs_triton,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(0, 0, "cpu"), (1, 1, "cuda"), (1, 0, "cuda"), (0, 1, "mps")]
)
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert choose_device("auto").type == chosen
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_missing_gpu_is_named(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"runtime.device is {name}, .* set it to auto"):
        choose_device(name)


@pytest.mark.parametrize(
    ("capability", "dtype", "triton"),
    [
        ((6, 0), torch.float32, False),  # P100
        ((6, 1), torch.float32, False),  # GTX 1080
        ((7, 0), torch.float16, False),  # V100
        ((7, 5), torch.float16, False),  # T4
        ((8, 0), torch.bfloat16, True),  # A100
        ((8, 6), torch.bfloat16, True),
        ((8, 9), torch.bfloat16, True),
        ((9, 0), torch.bfloat16, True),  # H100
        ((10, 0), torch.bfloat16, True),
        ((12, 0), torch.bfloat16, True),
    ],
)
def test_an_nvidia_gpu_gets_what_its_capability_multiplies_fast(
    monkeypatch, capability, dtype, triton
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert fast_precision("cuda", capability=capability) == dtype
    assert choose_precision("auto", CUDA) == dtype
    assert runs_triton(CUDA) == triton


@pytest.mark.parametrize(
    ("kind", "instructions", "dtype"),
    [
        ("cpu", False, torch.float32),
        ("cpu", True, torch.bfloat16),
        ("mps", False, torch.float32),
        ("mps", True, torch.float32),
    ],
)
def test_other_devices_get_bfloat16_where_a_cpu_has_instructions_for_it(kind, instructions, dtype):
    assert fast_precision(kind, bf16_instructions=instructions) == dtype
    assert not runs_triton(torch.device(kind))


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_precision_that_is_asked_for_is_taken_on_any_device(name, dtype, device):
    assert choose_precision(name, torch.device(device)) == dtype


@pytest.mark.parametrize(("bf16", "amx"), [(0, 0), (0, 1), (1, 0)])
def test_precision_is_halved_on_a_cpu_with_instructions_for_it(monkeypatch, bf16, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(bf16))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    dtype = torch.bfloat16 if bf16 or amx else torch.float32
    assert choose_precision("auto", CPU) == dtype


def test_free_memory_is_what_the_system_or_the_container_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "CONTAINER_MEMORY", ((tmp_path / "max", tmp_path / "used"),))
    free = psutil.virtual_memory().available
    assert free_memory(CPU) == pytest.approx(free, rel=0.5)  # no such files
    (tmp_path / "used").write_text("400\n")
    for limit, left in (("max\n", free), ("1000\n", 600), ("300\n", 0)):
        (tmp_path / "max").write_text(limit)
        assert free_memory(CPU) == pytest.approx(left, rel=0.5)


def test_the_free_memory_of_a_gpu_is_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda of: (123, 456))
    assert free_memory(CUDA) == 123


# Several GPUs


@pytest.mark.parametrize(("gpus", "count"), [("auto", 1), (1, 1), (3, 3)])
def test_frames_are_labelled_by_as_many_gpus_as_are_asked_for(monkeypatch, gpus, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    devices = choose_devices("auto", gpus)
    assert [device.type for device in devices] == ["cuda"] * count
    assert count == 1 or [device.index for device in devices] == [*range(count)]
    assert choose_devices("cpu", gpus) == [torch.device("cpu")]


def test_more_gpus_than_there_are_cannot_label_frames(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    message = "runtime.gpus is 2, but there is 1 GPU; set it to auto, or to at most 1"
    with pytest.raises(InputError, match=message):
        choose_devices("cuda", 2)
