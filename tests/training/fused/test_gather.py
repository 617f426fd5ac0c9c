"""The kernel distorts and pools the windows of a batch as torch does, given the same draws."""

import mmap
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from training.fused.interpreted import DEVICE

from phonemes.context import DataParams, window_starts
from phonemes.inference import windows as plain
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.storage.frames import narrowed
from phonemes.storage.layout import HostSplit
from phonemes.storage.scales import best_scales, magnitude_counts
from phonemes.training.augmentation import (
    Draws,
    distort,
    draws,
    reached_context,
    warped_targets,
)
from phonemes.training.fused.gather import Pooling, gather
from phonemes.training.params import UNDISTORTED

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),  # as a hash has it
]

LENGTHS = np.array([30, 1, 19])
FRAMES, BATCH = LENGTHS.sum(), 22  # no tile's rows divide a batch
EPOCH, SALT = 5, 0x12345678
ALL = {
    "mel_scale": 0.2, "mel_shift": 1.5, "time_warp": 0.3, "gain": 0.2, "spectral_tilt": 0.3,
    "noise": 0.2, "time_masks": 1, "time_mask_width": 3, "band_masks": 1, "band_mask_width": 2,
    "equalizer": 0.3, "background": 0.5,
}  # fmt: skip


def hash32(bits):
    """Return the kernels' hash, computed by numpy."""
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    return bits ^ (bits >> np.uint32(16))


def kernel_draws(augment, cursor, shape):
    """Return what the kernel draws for a batch of windows, (B, W, C)."""
    batch, width, bands = shape
    rows = np.arange(batch, dtype=np.uint32)
    one = np.ones(1, np.uint32)
    key = hash32(hash32(hash32(one * EPOCH + np.uint32(0x9E3779B9)) ^ np.uint32(SALT)) + cursor)
    numbers = np.arange(draws(augment), dtype=np.uint32) * np.uint32(0x1E3779B9)
    uniform = (hash32(hash32(rows ^ key)[:, None] + numbers) >> np.uint32(8)) / 2**24
    columns = np.arange(width * bands, dtype=np.uint32)
    noise = hash32(hash32(rows + key)[:, None] ^ columns)
    summed = sum((noise >> np.uint32(8 * byte)) & np.uint32(255) for byte in range(4))
    deviations = (summed.astype(np.float64) - 510) / 147.8
    return Draws(
        torch.tensor(uniform, dtype=torch.float32),
        torch.tensor(deviations.reshape(shape), dtype=torch.float32) if augment.noise else None,
    )


def check(change, bands, k, widths=None, targets=1, dtype=torch.float32, form="float32"):
    """Compare two batches of windows with what torch makes of the same frames.

    Args:
        change: distortions that are on.
        bands: C.
        k: context frames on each side.
        widths: frames of each mean; nothing is pooled where None.
        targets: labels of a window.
        dtype: of windows, and of frames that are float32.
        form: in which frames are stored.
    """
    augment = replace(UNDISTORTED, **change)
    widths = widths or (1,) * (2 * k + 1)
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 1, (FRAMES, bands)).astype(np.float32)
    reach = reached_context(targets // 2, augment)
    labels = rng.integers(0, 70, (FRAMES, 2 * reach + 1))
    data = DataParams(k, "zero")
    scales = best_scales(magnitude_counts([frames], bands)) if form == "int8" else None
    stored = narrowed(frames, form, scales)
    host = HostSplit(stored, window_starts(LENGTHS, k, "zero"), labels, scales)
    split = to_device(host, data, DEVICE, dtype)
    order = torch.randperm(FRAMES, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    epoch, steps = torch.tensor(EPOCH, device=DEVICE), torch.tensor(8.0, device=DEVICE)
    filled = torch.full((BATCH, len(widths) * bands), torch.nan, dtype=dtype, device=DEVICE)
    chosen = torch.full((BATCH, targets), -1, device=DEVICE)
    tolerance = 2**-7 if dtype == torch.bfloat16 else 1e-4
    seen = []
    for number in range(2):
        cursor = torch.tensor([number], device=DEVICE)
        pooling = Pooling.of(widths, DEVICE)
        gather(split, order, cursor, epoch, steps, filled, chosen, pooling, augment, SALT)
        batch = order[number * BATCH :][:BATCH]
        windows = plain.gather(split, batch).float().view(BATCH, 2 * k + 1, bands).cpu()
        drawn = kernel_draws(augment, number, windows.shape)
        windows = distort(windows, augment, drawn)
        means = [part.mean(1) for part in windows.split(widths, 1)]
        expected = torch.cat(means, 1)
        torch.testing.assert_close(filled.float().cpu(), expected, rtol=tolerance, atol=tolerance)
        stored = torch.from_numpy(labels)[batch.cpu()]
        assert torch.equal(chosen.cpu(), warped_targets(stored, targets // 2, augment, drawn))
        assert steps.item() == 9 + number
        seen.append(drawn.uniform)
    assert not torch.equal(*seen)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"mel_scale": 0.2},
        {"mel_shift": 1.5},
        {"time_warp": 0.4},
        {"gain": 0.5},
        {"spectral_tilt": 0.5},
        {"noise": 0.5},
        {"time_masks": 2, "time_mask_width": 4},
        {"band_masks": 2, "band_mask_width": 3},
        {"time_masks": 4, "time_mask_width": 1, "band_masks": 3, "band_mask_width": 1},
        {"equalizer": 0.5},
        {"background": 0.5},
        {"background": 1.0, "band_masks": 1, "band_mask_width": 3},
        ALL,
    ],
    ids=lambda change: "-".join(change),
)
def test_windows_are_distorted_as_torch_does_it(change):
    check(change, bands=4, k=3)


def test_every_distortion_is_compared():
    assert list(ALL) == [each.name for each in fields(UNDISTORTED)]


@pytest.mark.parametrize("change", [{}, {"time_masks": 1, "time_mask_width": 4}, ALL])
def test_distorted_windows_are_pooled(change):
    check(change, bands=4, k=3, widths=(3, 1, 1, 2))


@pytest.mark.parametrize(("bands", "k"), [(1, 3), (6, 2), (9, 1), (40, 2), (5, 0), (1, 0)])
def test_windows_of_any_size_are_distorted(bands, k):
    change = ALL | {"time_mask_width": 1, "band_mask_width": 1}
    check(change, bands, k)


def test_frames_are_copied_as_they_are_and_computed_on_in_float32():
    check({}, bands=4, k=1, dtype=torch.bfloat16)
    check(ALL, bands=4, k=1, dtype=torch.bfloat16)


def test_windows_come_with_the_labels_of_all_their_targets():
    check({}, bands=4, k=1, targets=5)


def test_targets_move_with_a_warped_time_axis_as_torch_moves_them():
    check({"time_warp": 0.3}, bands=4, k=3, targets=5)
    check({"time_warp": 0.17, "noise": 0.1}, bands=4, k=3, targets=7)


@pytest.mark.parametrize("form", ["bfloat16", "int8"])
@pytest.mark.parametrize("change", [{}, {"noise": 0.5}, ALL])
def test_stored_frames_are_widened_before_they_are_distorted(form, change):
    dtype = torch.bfloat16 if form == "bfloat16" else torch.float32
    check(change, bands=4, k=3, dtype=dtype, form=form)
    check(change, bands=40, k=2, widths=(2, 1, 2), dtype=dtype, form=form)


def test_windows_of_a_thousand_hours_are_found_beyond_32_bits():
    if DEVICE.type == "cuda" and torch.cuda.mem_get_info()[0] < 20 * 2**30:
        pytest.skip("needs 15 GB on the GPU")
    rows, bands, k = 360_000_000, 40, 2
    if DEVICE.type == "cuda":
        frames = torch.zeros((rows, bands), dtype=torch.int8, device=DEVICE)
    else:  # memory that nobody writes to takes none
        frames = torch.frombuffer(mmap.mmap(-1, rows * bands), dtype=torch.int8).view(rows, bands)
    last = torch.tensor([0, 53_687_091, 107_374_182, rows - 2 * k - 1], dtype=torch.int32)
    for number, row in enumerate(last.tolist()[1:], 1):
        frames[row : row + 2 * k + 1] = 10 * number
    split = DeviceSplit(
        frames.as_strided((rows - 2 * k, (2 * k + 1) * bands), (bands, 1)),
        last.to(DEVICE),
        torch.arange(4, device=DEVICE),
        torch.full((bands,), 0.5, device=DEVICE),
    )
    order, cursor = torch.tensor([3, 1, 0, 2], device=DEVICE), torch.zeros(1, dtype=torch.int64)
    epoch, steps = torch.tensor(0, device=DEVICE), torch.tensor(0.0, device=DEVICE)
    filled = torch.full((4, (2 * k + 1) * bands), torch.nan, device=DEVICE)
    chosen = torch.full((4, 1), -1, device=DEVICE)
    pooling = Pooling.of((1,) * (2 * k + 1), DEVICE)
    gather(
        split, order, cursor.to(DEVICE), epoch, steps, filled, chosen, pooling, UNDISTORTED, SALT
    )
    assert chosen.flatten().tolist() == [3, 1, 0, 2]
    assert (filled == torch.tensor([[15], [5], [0], [10]], device=DEVICE)).all()
