"""Stored frames come back as they went in, but for rounding, and never with others' scales."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phonemes.errors import InputError
from phonemes.storage.frames import (
    FORMS,
    HEADER,
    append_scales,
    from_bfloat16,
    narrowed,
    to_bfloat16,
    widened,
)
from phonemes.storage.read import read_stored

SCALES = np.array([0.5, 0.03125, 2], np.float32)


@given(arrays(np.float32, 20, elements=st.floats(width=32)))
def test_numbers_are_rounded_to_bfloat16_as_torch_does(values):
    expected = torch.from_numpy(values).bfloat16()
    found = torch.from_numpy(to_bfloat16(values).view(np.int16)).view(torch.bfloat16)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    again = from_bfloat16(to_bfloat16(values))
    np.testing.assert_array_equal(again, expected.float().numpy())


@pytest.mark.parametrize("form", FORMS)
def test_zero_is_stored_as_zero(form):
    stored = narrowed(np.zeros((2, 3), np.float32), form, SCALES)
    assert stored.dtype == FORMS[form]
    assert stored.tobytes() == bytes(stored.nbytes)
    assert (widened(stored, SCALES) == 0).all()


def test_float32_is_stored_as_it_is():
    frames = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert narrowed(frames, "float32", None) is frames
    assert widened(frames, None) is frames


def test_8_bits_are_multiples_of_the_scale_of_their_band():
    frames = np.array([[0.74, 0.2, 1e9], [-0.76, -9, -1e38], [63.5, 3.96875, 3]], np.float32)
    stored = narrowed(frames, "int8", SCALES)
    assert stored.tolist() == [[1, 6, 127], [-2, -127, -127], [127, 127, 2]]
    assert widened(stored, SCALES)[0].tolist() == [0.5, 0.1875, 254]


def write(path, frames, scales):
    np.save(path, frames)
    append_scales(path, scales)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read_is_what_was_written(tmp_path, form):
    frames = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    scales = SCALES if form == "int8" else None
    stored = narrowed(frames, form, scales)
    write(tmp_path / "a.npy", stored, scales)
    found = read_stored(tmp_path / "a.npy", 5)
    assert isinstance(found.frames, np.memmap)
    np.testing.assert_array_equal(found.frames, stored)
    np.testing.assert_array_equal(widened(*found), widened(stored, scales))
    assert (found.scales is None) == (scales is None)


def test_scales_are_a_second_array_of_numpy_in_the_file(tmp_path):
    write(tmp_path / "a.npy", np.ones((5, 3), np.int8), SCALES)
    with (tmp_path / "a.npy").open("rb") as file:
        assert np.load(file).tolist() == np.ones((5, 3)).tolist()
        assert np.load(file).tolist() == SCALES.tolist()
        assert not file.read()


@pytest.mark.parametrize(
    ("scales", "reason"),
    [
        (None, "the scales of its bands are not there"),
        (SCALES[:2], "the scales of its bands are not there"),
        (np.append(SCALES, SCALES), "the scales of its bands are not there"),
        (SCALES.astype(np.int32), "the scales of its bands are not those of its frames"),
        (SCALES[None], "the scales of its bands are not those of its frames"),
        (-SCALES, "a scale of its bands is no positive number"),
        (SCALES * np.float32(np.nan), "a scale of its bands is no positive number"),
        (SCALES * np.float32(2e36), "a scale of its bands is no positive number"),
    ],
)
def test_frames_of_8_bits_with_other_scales_are_refused(tmp_path, scales, reason):
    path = tmp_path / "a.npy"
    write(path, np.ones((5, 3), np.int8), scales)
    message = f"{path} is damaged ({reason}); run `phonemes repair --cache`, then `dvc repro`"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_stored(path, 5)


def test_scales_that_are_no_array_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((5, 3), np.int8))
    with (tmp_path / "a.npy").open("ab") as file:
        file.write(b"x" * (HEADER + 12))
    with pytest.raises(InputError, match="is damaged"):
        read_stored(tmp_path / "a.npy", 5)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint8, np.uint32])
def test_other_integers_are_no_frames(tmp_path, kind):
    np.save(tmp_path / "a.npy", np.ones((5, 3), kind))
    with pytest.raises(InputError, match="expected floats of shape"):
        read_stored(tmp_path / "a.npy", 5)
