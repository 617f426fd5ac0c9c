"""Log-mel frames equal what their definition gives when computed the long way."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import PARAMS
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.features.log_mel import label_times, log_mel, mel_filters, samples_of
from phonemes.params import load

DEFAULT = load(PARAMS).features  # 25 ms of 16 kHz every 10 ms, 40 bands
NARROW = replace(
    DEFAULT, sample_rate=8000, frame_width=32, stride=8, bands=13, low=100, high=3800, fft=300,
    floor=1e-3,
)  # fmt: skip


def noise(samples, seed=1):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def mel(hertz):
    return 1127.0104805 * np.log1p(hertz / 700)  # the HTK scale with natural logarithms


def hertz(mels):
    return 700 * np.expm1(mels / 1127.0104805)


def long_way(samples, features):
    """Return frames by a float64 DFT written out and bands summed one frequency at a time."""
    width = int(features.sample_rate * features.frame_width / 1000)
    stride = int(features.sample_rate * features.stride / 1000)
    step = (mel(features.high) - mel(features.low)) / (features.bands + 1)
    corners = [hertz(mel(features.low) + i * step) for i in range(features.bands + 2)]
    n = np.arange(width)
    hann = np.sin(np.pi * n / width) ** 2
    frames = []
    for start in range(0, len(samples) - width + 1, stride):
        frame = samples[start : start + width].astype(np.float64) * hann
        bands = np.zeros(features.bands)
        for k in range(features.fft // 2 + 1):
            angle = 2 * np.pi * k * n / features.fft
            power = (frame @ np.cos(angle)) ** 2 + (frame @ np.sin(angle)) ** 2
            frequency = k * features.sample_rate / features.fft
            for band in range(features.bands):
                weight = np.interp(frequency, corners[band : band + 3], [0, 1, 0])
                bands[band] += weight * power
        frames.append(np.log(bands + features.floor))
    return np.array(frames)


@pytest.mark.parametrize("features", [DEFAULT, NARROW])
def test_frames_equal_those_computed_the_long_way(features):
    samples = noise(1200)
    frames = log_mel(samples, features)
    assert frames.dtype == np.float32
    assert frames == pytest.approx(long_way(samples, features), abs=2e-4)


def test_a_tone_is_loudest_in_the_band_around_it():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    mels = np.linspace(mel(20), mel(8000), 42)[1:-1]
    assert (log_mel(tone, DEFAULT).argmax(axis=1) == np.abs(mels - mel(1000)).argmin()).all()


def test_digital_silence_is_the_floor():
    assert (log_mel(np.zeros(400), DEFAULT) == np.log(np.float32(1e-6))).all()


@given(st.integers(400, 3000))
def test_there_is_a_frame_for_every_stride_that_a_window_fits_into(samples):
    frames = log_mel(np.zeros(samples), DEFAULT)
    assert frames.shape == (1 + (samples - 400) // 160, 40)
    assert (len(frames) - 1) * 160 + 400 <= samples < len(frames) * 160 + 400


def test_a_frame_is_the_same_however_long_the_recording():
    samples = noise(160 * 5000)
    frames = log_mel(samples, DEFAULT)
    for frame in (0, 4095, 4096, 4990):  # on both sides of a block's edge
        cut_out = log_mel(samples[160 * frame :][:400], DEFAULT)
        assert (frames[frame] == cut_out[0]).all()


def test_no_frame_fits_into_less_than_a_window():
    with pytest.raises(InputError, match="399 samples are shorter than one frame of 400"):
        log_mel(np.zeros(399), DEFAULT)


def test_a_centre_is_half_a_window_after_the_frame_begins_and_a_label_half_a_stride():
    assert label_times(3, DEFAULT).tolist() == [0.005, 0.015, 0.025]
    window = replace(DEFAULT, label_at="window")
    assert label_times(3, window).tolist() == [0.0125, 0.0225, 0.0325]


def test_durations_are_rounded_to_whole_samples():
    assert samples_of(0.09, DEFAULT) == 1


def test_between_the_outer_centres_the_weights_of_each_frequency_sum_to_one():
    frequencies = np.fft.rfftfreq(512, 1 / 16000)
    mels = np.linspace(mel(20), mel(8000), 42)
    inside = (frequencies > hertz(mels[1])) & (frequencies < hertz(mels[-2]))
    assert mel_filters(DEFAULT).sum(axis=1)[inside] == pytest.approx(1, abs=1e-5)


def test_a_band_without_any_frequency_is_refused():
    many = replace(DEFAULT, bands=128)
    with pytest.raises(
        InputError, match=r"band \d+, .* Hz, lies between two .* raise features.fft"
    ):
        mel_filters(many)
