"""Every window is a view of frames that are on the device once."""

import mmap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from inference.toys import CPU, bare, on_cpu, random_split

from phonemes.context import DataParams, window_starts
from phonemes.errors import InputError
from phonemes.inference.windows import DeviceSplit, gather, require_fit, to_device
from phonemes.storage.frames import FORMS, narrowed, widened
from phonemes.storage.layout import HostSplit

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(np.array)
contexts = st.builds(DataParams, k=st.integers(0, 4), padding=st.sampled_from(["zero", "edge"]))


@given(several_lengths, contexts)
def test_no_window_is_stored(lengths, data):
    _, _, split = random_split(lengths, data)
    rows = int(split.starts[-1]) + 2 * data.k + 1
    assert split.windows.untyped_storage().nbytes() == rows * 2 * 4
    assert len(split.windows) == rows - 2 * data.k
    assert split.bands == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_gathered_windows_are_those_of_the_frames(dtype, padding):
    lengths, k = np.array([3, 1, 4]), 2
    frames = np.arange(1, 9, dtype=np.float32)[:, None]
    split = on_cpu(frames, lengths, None, DataParams(k, padding), dtype)
    mode = {"zero": "constant", "edge": "edge"}[padding]
    expected = [
        np.pad(utterance[:, 0], k, mode)[first : first + 2 * k + 1]
        for utterance in np.split(frames, lengths.cumsum()[:-1])
        for first in range(len(utterance))
    ]
    every = gather(split, slice(None))
    assert every.dtype == dtype
    assert every.tolist() == np.array(expected).tolist()
    chosen = torch.tensor([7, 0, 3, 3])
    assert torch.equal(gather(split, chosen), every[chosen])


def test_arrays_may_be_memory_mapped(tmp_path):
    data, lengths = DataParams(k=1, padding="edge"), np.array([2, 3])
    frames, labels, split = random_split(lengths, data)
    starts = window_starts(lengths, 1, "edge")
    arrays = {"frames": frames, "starts": starts, "labels": labels.astype(np.int16)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = HostSplit(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays))
    there = to_device(mapped, data, CPU, torch.float32)
    assert all(map(torch.equal, there[:3], split[:3]))
    assert there.labels.dtype == torch.int64


def test_labels_of_several_targets_keep_their_type():
    labels = np.zeros((5, 3), np.uint8)
    split = on_cpu(np.zeros((5, 2)), np.array([5]), labels, DataParams(1, "zero"))
    assert split.labels.shape == (5, 3)
    assert split.labels.dtype == torch.uint8


def test_an_index_of_another_context_is_refused():
    split = HostSplit(np.zeros((5, 2)), window_starts(np.array([2, 3]), 1, "zero"), None)
    with pytest.raises(InputError, match="context index was made for other"):
        to_device(split, DataParams(k=2, padding="zero"), CPU, torch.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_frames_that_are_not_finite_are_refused(value):
    frames = np.zeros((5, 2), np.float32)
    frames[3, 1] = value
    with pytest.raises(InputError, match="NaN, infinity or huge numbers; delete data/normalized"):
        on_cpu(frames, np.array([5]), None, DataParams(1, "zero"))


def test_windows_or_phonemes_that_are_not_the_networks_are_refused():
    _, _, split = random_split(np.array([4]), DataParams(1, "zero"))
    require_fit(bare(3, 2, 4), split, 4)
    # the second takes windows of as many values
    for architecture in (bare(5, 2, 4), bare(1, 6, 4), bare(3, 2, 5)):
        with pytest.raises(InputError, match=r"the data have 3, 2 and 4: other data\.k, bands"):
            require_fit(architecture, split, 4)


# Frames of 16 and 8 bits

SCALES = np.array([0.03125, 0.0302734375], np.float32)  # numbers of bfloat16


def stored_split(form, lengths, data):
    """Return random frames in a form, and the same frames as float32."""
    frames = np.random.default_rng(0).normal(size=(lengths.sum(), 2)).astype(np.float32)
    scales = SCALES if form == "int8" else None
    stored = narrowed(frames, form, scales)
    starts = window_starts(lengths, data.k, data.padding)
    return (
        HostSplit(stored, starts, None, scales),
        HostSplit(widened(stored, scales), starts, None),
    )


@pytest.mark.parametrize("padding", ["zero", "edge"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_stored_frames_are_widened_in_the_windows_alone(form, dtype, padding):
    data = DataParams(k=2, padding=padding)
    stored, wide = stored_split(form, np.array([4, 1, 3]), data)
    split = to_device(stored, data, CPU, dtype)
    expected = gather(to_device(wide, data, CPU, dtype), slice(None))
    found = gather(split, slice(None))
    assert found.dtype == dtype
    assert torch.equal(found, expected)
    if form != "float32":
        rows = int(split.starts[-1]) + 2 * data.k + 1
        assert split.windows.untyped_storage().nbytes() == rows * 2 * FORMS[form].itemsize


def test_8_bits_without_scales_are_not_guessed():
    data = DataParams(k=0, padding="zero")
    stored, _ = stored_split("int8", np.array([4]), data)
    with pytest.raises(ValueError, match="need the scales"):
        to_device(stored._replace(scales=None), data, CPU, torch.float32)


@pytest.mark.parametrize("form", ["bfloat16", "int8"])
def test_stored_numbers_that_float16_cannot_hold_are_refused(form):
    scales = np.array([600, 1], np.float32) if form == "int8" else None
    stored = narrowed(np.array([[70_000, 0], [0, 1]], np.float32), form, scales)
    split = HostSplit(stored, np.arange(2), None, scales)
    data = DataParams(0, "zero")
    to_device(split, data, CPU, torch.float32)
    with pytest.raises(InputError, match="numbers that float16 cannot"):
        to_device(split, data, CPU, torch.float16)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bfloat16_that_is_no_number_is_refused(value):
    stored = narrowed(np.array([[value, 0]], np.float32), "bfloat16", None)
    split = HostSplit(stored, np.arange(1), None)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with pytest.raises(InputError, match="hold NaN"):
            to_device(split, DataParams(0, "zero"), CPU, dtype)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_windows_of_a_thousand_hours_are_found_beyond_32_bits(kind):
    rows, bands, k = 360_000_000, 40, 2  # memory that nobody writes to takes none
    frames = np.frombuffer(mmap.mmap(-1, rows * bands), np.int8).reshape(rows, bands)
    last = np.array([53_687_091, 107_374_182, rows - 2 * k - 1])  # 2**31 and 2**32 values on
    for number, row in enumerate(last, 1):
        frames[row : row + 2 * k + 1] = np.arange(2 * k + 1)[:, None] + 10 * number
    view = torch.from_numpy(frames).as_strided((rows - 2 * k, (2 * k + 1) * bands), (bands, 1))
    starts = torch.from_numpy(np.append(0, last).astype(kind))
    split = DeviceSplit(view, starts, None, torch.full((bands,), 0.5))
    found = gather(split, torch.tensor([3, 1, 0, 2])).view(4, 2 * k + 1, bands)
    expected = (np.arange(2 * k + 1) + 10 * np.array([[3], [1], [0], [2]])) / 2
    expected[2] = 0
    assert (found == torch.from_numpy(expected)[:, :, None]).all()
