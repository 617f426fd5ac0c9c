"""A stage computes on the device that is asked for, and in bfloat16 where that is faster."""

import pytest
import torch

from phonemes.errors import InputError
from phonemes.inference.device import choose_device, choose_precision

CPU = torch.device("cpu")


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
    ("name", "device", "dtype"),
    [
        ("fp32", "cpu", torch.float32),
        ("auto", "mps", torch.float32),
        ("auto", "cuda", torch.bfloat16),
        ("fp32", "cuda", torch.float32),
        ("bf16", "cpu", torch.bfloat16),
    ],
)
def test_precision_is_halved_on_an_nvidia_gpu_or_where_asked_for(name, device, dtype):
    assert choose_precision(name, torch.device(device)) == dtype


@pytest.mark.parametrize(("bf16", "amx"), [(0, 0), (0, 1), (1, 0)])
def test_precision_is_halved_on_a_cpu_with_instructions_for_it(monkeypatch, bf16, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(bf16))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    dtype = torch.bfloat16 if bf16 or amx else torch.float32
    assert choose_precision("auto", CPU) == dtype
