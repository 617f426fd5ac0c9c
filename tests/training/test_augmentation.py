"""Each window is distorted on its own, as asked, and its middle frame stays in the middle."""

import math
from dataclasses import fields

import pytest
import torch
from helpers import changed

from phonemes.training.augmentation import (
    NATS,
    Draw,
    Draws,
    Room,
    distort,
    draw,
    draws,
    first_of_room,
    reached_context,
    warped_targets,
)
from phonemes.training.params import UNDISTORTED

BATCH, WIDTH, BANDS = 500, 9, 12
DISTORTIONS = [each.name for each in fields(UNDISTORTED) if not each.name.endswith("_width")]


@pytest.fixture
def windows():
    torch.manual_seed(0)
    return torch.randn(BATCH, WIDTH, BANDS)


def augmented(**choices):
    """Return parameters by which nothing is distorted but what is chosen."""
    return changed(UNDISTORTED, **choices)


def numbers(axis):
    """Return windows whose values are their positions on an axis."""
    shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
    where = torch.arange((BATCH, WIDTH, BANDS)[axis]).float()
    return where.view(shape).expand(BATCH, WIDTH, BANDS)


def chosen(augment, columns):
    """Return draws of 0.5, which change nothing, but for some columns."""
    uniform = torch.full((BATCH, draws(augment)), 0.5)
    for column, value in columns.items():
        uniform[:, column] = value
    return Draws(uniform, None)


def distorted(windows, augment):
    torch.manual_seed(1)
    return distort(windows, augment, draw(augment, windows))


def test_without_augmentation_windows_stay_as_they_are(tiny, windows):
    for augment in (tiny.augment, UNDISTORTED):
        assert not augment.any()
        assert torch.equal(distorted(windows, augment), windows)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_every_distortion_alone_changes_every_window_in_its_own_way(name):
    augment = augmented(**{name: {"background": 1.0}.get(name, 2 if "masks" in name else 0.3)})
    torch.manual_seed(0)
    same = torch.randn(1, WIDTH, BANDS).expand(BATCH, -1, -1)
    result = distorted(same, augment)
    assert augment.any()
    assert result.shape == same.shape
    assert len(result.flatten(1).unique(dim=0)) > (10 if "masks" in name else BATCH * 0.9)


@pytest.mark.parametrize(
    ("on", "numbers"),
    [
        ({}, 5),
        (dict.fromkeys(("mel_scale", "mel_shift", "time_warp", "gain", "noise"), 0.1), 5),
        ({"time_masks": 2, "band_masks": 1}, 11),
        ({"equalizer": 0.1}, 11),
        ({"background": 0.1}, 11),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_window_needs_as_many_random_numbers_as_in_trainings_before(on, numbers):
    assert draws(augmented(**on)) == numbers  # of another count, torch draws others


def test_the_mel_axis_is_scaled_and_shifted_as_drawn():
    augment = augmented(mel_scale=0.2, mel_shift=2)
    drawn = chosen(augment, {Draw.MEL_SCALE: 1.0, Draw.MEL_SHIFT: 0.0})
    expected = (torch.arange(BANDS) * 1.2 - 2).clamp(0, BANDS - 1)
    torch.testing.assert_close(
        distort(numbers(2), augment, drawn), expected.expand(BATCH, WIDTH, -1)
    )


def test_time_is_scaled_about_the_middle_frame():
    augment = augmented(time_warp=0.5)
    slower = distort(numbers(1), augment, chosen(augment, {Draw.TIME_WARP: 0.0}))[0, :, 0]
    torch.testing.assert_close(slower, 4 + (torch.arange(9.0) - 4) / 2)
    faster = distort(numbers(1), augment, chosen(augment, {Draw.TIME_WARP: 1.0}))[0, :, 0]
    assert faster.tolist() == [0, 0, 1, 2.5, 4, 5.5, 7, 8, 8]  # nothing beyond the window


@pytest.mark.parametrize("time_warp", [0.1, 0.5])
def test_the_middle_frame_stays(windows, time_warp):
    result = distorted(windows, augmented(time_warp=time_warp))
    assert torch.equal(result[:, WIDTH // 2], windows[:, WIDTH // 2])


def test_level_and_slope_are_added_as_drawn(windows):
    augment = augmented(gain=0.3, spectral_tilt=0.5)
    drawn = chosen(augment, {Draw.GAIN: 1.0, Draw.SPECTRAL_TILT: 0.0})
    added = distort(windows, augment, drawn) - windows
    expected = 0.3 - 0.5 * torch.linspace(-1, 1, BANDS)
    torch.testing.assert_close(added, expected.expand_as(windows), atol=1e-5, rtol=0)


def test_a_smooth_curve_over_the_bands_is_added_as_drawn(windows):
    augment = augmented(equalizer=0.3, band_masks=1, band_mask_width=1)
    first = first_of_room(augment)
    drawn = chosen(augment, {first: 1.0, first + 2: 0.25, Draw.MASKS: 0.0})  # a mask of no band
    added = distort(windows, augment, drawn) - windows
    middles = (torch.arange(BANDS) + 0.5) / BANDS
    expected = 0.3 * torch.cos(2 * math.pi * middles) - 0.15 * torch.cos(4 * math.pi * middles)
    torch.testing.assert_close(added, expected.expand_as(windows), atol=1e-5, rtol=0)


def test_background_noise_adds_to_the_power_of_a_share_of_the_windows(windows):
    augment = augmented(background=0.4)
    drawn = draw(augment, windows)
    room = drawn.uniform[:, first_of_room(augment) :, None, None].double()
    noisy = room[:, Room.BACKGROUND, 0, 0] < 0.4
    result = distort(windows, augment, drawn)
    assert torch.equal(result[~noisy], windows[~noisy])
    assert 0.3 < noisy.float().mean() < 0.5
    slope = torch.linspace(-1, 1, BANDS)
    level = -3 + 2.7 * room[:, Room.BACKGROUND_LEVEL]
    level = level + 0.5 * (2 * room[:, Room.BACKGROUND_SLOPE] - 1) * slope
    power = torch.exp(NATS * windows.double()) + torch.exp(NATS * level)
    torch.testing.assert_close(result[noisy], (power.log() / NATS)[noisy].float())


def test_noise_has_the_standard_deviation_asked_for(windows):
    noise = distorted(windows, augmented(noise=0.3)) - windows
    assert abs(noise.std() - 0.3) < 0.01
    assert abs(noise.mean()) < 0.01


@pytest.mark.parametrize(("axis", "name"), [(1, "time"), (2, "band")])
def test_masks_are_runs_of_every_length_up_to_the_widest(axis, name):
    augment = augmented(**{f"{name}_masks": 1, f"{name}_mask_width": 4})
    zeroed = distorted(torch.ones(BATCH, WIDTH, BANDS), augment) == 0
    other = 3 - axis
    assert torch.equal(zeroed.any(other), zeroed.all(other))  # all of a frame, all of a band
    lines = zeroed.all(other)
    lengths = lines.sum(1)
    assert sorted(lengths.unique().tolist()) == [0, 1, 2, 3, 4]
    assert ((lines[:, 1:] & ~lines[:, :-1]).sum(1) + lines[:, 0] <= 1).all()  # one run
    assert lines.any(0).all()  # at every place


def test_masks_wider_than_the_window_zero_all_of_it_at_most(windows):
    result = distorted(windows, augmented(time_masks=1, time_mask_width=50))
    assert result.isfinite().all()
    assert (result == 0).all((1, 2)).any()


def test_windows_of_one_frame_and_one_band_can_be_distorted():
    augment = augmented(
        mel_scale=0.2, mel_shift=1, time_warp=0.3, gain=0.1, spectral_tilt=0.1, noise=0.1,
        time_masks=1, band_masks=1, equalizer=0.1, background=0.5,
    )  # fmt: skip
    assert distorted(torch.ones(BATCH, 1, 1), augment).isfinite().all()


@pytest.mark.parametrize(("context", "time_warp"), [(3, 0.3), (3, 0.17), (4, 0.5)])
def test_targets_are_the_labels_of_the_frames_that_a_warped_window_shows(context, time_warp):
    k = 8  # the window is wide enough for the farthest target
    augment = augmented(time_warp=time_warp)
    reach = reached_context(context, augment)
    torch.manual_seed(0)
    codes = torch.randint(0, 1000, (BATCH, 2 * k + 1))  # what each frame is
    drawn = draw(augment, codes[:, :, None].float())
    positions = torch.arange(2 * k + 1.0).expand(BATCH, -1)[:, :, None]
    shown = distort(positions, augment, drawn)[:, k - context : k + context + 1, 0]
    expected = codes.gather(1, (shown + 0.5).floor().long())
    stored = codes[:, k - reach : k + reach + 1]
    assert torch.equal(warped_targets(stored, context, augment, drawn), expected)
    assert not torch.equal(expected, codes[:, k - context : k + context + 1])


def test_without_a_warp_targets_reach_no_farther_than_they_are():
    assert [reached_context(n, augmented(gain=0.3)) for n in (0, 1, 15)] == [0, 1, 15]
    assert [reached_context(n, augmented(time_warp=0.3)) for n in (0, 1, 5, 15)] == [0, 1, 7, 20]
