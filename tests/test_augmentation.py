"""Each window is distorted on its own, as asked, and its middle frame stays in the middle."""

from dataclasses import replace

import pytest
import torch

from phonemes.augmentation import Draws, distort, draw, draws

BATCH, WIDTH, BANDS = 500, 9, 12


@pytest.fixture(scope="session")
def quiet(tiny):
    """Return parameters with which nothing is distorted."""
    return tiny.augment


@pytest.fixture
def windows():
    torch.manual_seed(0)
    return torch.randn(BATCH, WIDTH, BANDS)


def ramp(axis):
    """Return windows whose values tell where they lie on an axis."""
    where = torch.arange(WIDTH if axis == 1 else BANDS).float()
    return where.view(1, -1, 1).expand(BATCH, -1, BANDS) if axis == 1 else where.expand(
        BATCH, WIDTH, -1
    )  # fmt: skip


def given(augment, **columns):
    """Return draws of 0.5, which change nothing, but for some columns by number."""
    uniform = torch.full((BATCH, draws(augment)), 0.5)
    for column, value in columns.items():
        uniform[:, int(column[1:])] = value
    return Draws(uniform, None)


def distorted(windows, augment):
    torch.manual_seed(1)
    return distort(windows, augment, draw(augment, windows))


def test_without_augmentation_windows_stay_as_they_are(quiet, windows):
    assert not quiet.any()
    assert torch.equal(distorted(windows, quiet), windows)


@pytest.mark.parametrize(
    "name",
    ["mel_scale", "mel_shift", "speed", "gain", "tilt", "noise", "time_masks", "band_masks"],
)
def test_every_distortion_alone_changes_every_window_in_its_own_way(quiet, name):
    augment = replace(quiet, **{name: 2 if "masks" in name else 0.3})
    torch.manual_seed(0)
    same = torch.randn(1, WIDTH, BANDS).expand(BATCH, -1, -1)
    result = distorted(same, augment)
    assert augment.any()
    assert result.shape == same.shape
    assert len(result.flatten(1).unique(dim=0)) > (10 if "masks" in name else BATCH * 0.9)


def test_the_mel_axis_is_scaled_and_shifted_as_drawn(quiet):
    augment = replace(quiet, mel_scale=0.2, mel_shift=2)
    result = distort(ramp(2), augment, given(augment, u0=1.0, u1=0.0))
    expected = (torch.arange(BANDS) * 1.2 - 2).clamp(0, BANDS - 1)
    torch.testing.assert_close(result, expected.expand(BATCH, WIDTH, -1))


def test_time_is_scaled_about_the_middle_frame(quiet):
    augment = replace(quiet, speed=0.5)
    result = distort(ramp(1), augment, given(augment, u2=0.0))[:, :, 0]
    torch.testing.assert_close(result[0], 4 + (torch.arange(9.0) - 4) / 2)
    faster = distort(ramp(1), augment, given(augment, u2=1.0))[0, :, 0]
    assert faster.tolist() == [0, 0, 1, 2.5, 4, 5.5, 7, 8, 8]  # nothing beyond the window


@pytest.mark.parametrize("change", [0.1, 0.5])
def test_the_middle_frame_stays(quiet, windows, change):
    result = distorted(windows, replace(quiet, speed=change))
    assert torch.equal(result[:, WIDTH // 2], windows[:, WIDTH // 2])


def test_level_and_slope_are_added_as_drawn(quiet, windows):
    augment = replace(quiet, gain=0.3, tilt=0.5)
    result = distort(windows, augment, given(augment, u3=1.0, u4=0.0))
    expected = 0.3 - 0.5 * torch.linspace(-1, 1, BANDS)
    torch.testing.assert_close(result - windows, expected.expand_as(windows), atol=1e-5, rtol=0)


def test_noise_has_the_standard_deviation_asked_for(quiet, windows):
    noise = distorted(windows, replace(quiet, noise=0.3)) - windows
    assert abs(noise.std() - 0.3) < 0.01
    assert abs(noise.mean()) < 0.01


@pytest.mark.parametrize(("axis", "name"), [(1, "time"), (2, "band")])
def test_masks_are_runs_of_every_length_up_to_the_widest(quiet, axis, name):
    augment = replace(quiet, **{f"{name}_masks": 1, f"{name}_mask": 4})
    zeroed = distorted(torch.ones(BATCH, WIDTH, BANDS), augment) == 0
    other = 3 - axis
    assert torch.equal(zeroed.any(other), zeroed.all(other))  # whole frames, whole bands
    lines = zeroed.all(other)
    lengths = lines.sum(1)
    assert sorted(lengths.unique().tolist()) == [0, 1, 2, 3, 4]
    assert ((lines[:, 1:] & ~lines[:, :-1]).sum(1) + lines[:, 0] <= 1).all()  # one run
    assert lines.any(0).all()  # at every place


def test_masks_wider_than_the_window_zero_all_of_it_at_most(quiet, windows):
    augment = replace(quiet, time_masks=1, time_mask=50)
    result = distorted(windows, augment)
    assert result.isfinite().all()
    assert (result == 0).all((1, 2)).any()


def test_windows_of_one_frame_and_one_band_can_be_distorted(quiet):
    augment = replace(
        quiet, mel_scale=0.2, mel_shift=1, speed=0.3, gain=0.1, tilt=0.1, noise=0.1,
        time_masks=1, band_masks=1,
    )  # fmt: skip
    assert distorted(torch.ones(BATCH, 1, 1), augment).isfinite().all()
