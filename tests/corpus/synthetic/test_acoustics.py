"""A recording in a noisy room keeps the length and timing of the speech, and has its level."""

import numpy as np
import pytest

from phonemes.corpus.synthetic.acoustics import coloured_noise, decibels, record, reverberate, rms

RATE = 22_050


def test_recording_changes_neither_length_nor_timing():
    click = np.zeros(RATE, np.float32)
    click[9000] = 1
    for seed in range(10):
        recorded = record(click, RATE, np.random.default_rng(seed))
        assert len(recorded) == len(click)
        assert abs(int(np.abs(recorded).argmax()) - 9000) <= 3


def test_the_level_of_a_recording_lies_between_30_and_18_db_below_full_scale():
    tone = np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)
    levels = [rms(record(tone, RATE, np.random.default_rng(seed))) for seed in range(10)]
    assert decibels(-30) <= min(levels) < max(levels) <= decibels(-18)


def test_the_direct_sound_comes_first():
    click = np.zeros(RATE)
    click[0] = 1
    recorded = reverberate(click, RATE, np.random.default_rng(1))
    assert recorded[0] == pytest.approx(1)
    assert np.abs(recorded[1:60]).max() < 1e-9
    assert np.abs(recorded[66:]).max() > 1e-3


def test_tilted_noise_is_stronger_at_low_frequencies():
    spectrum = np.abs(np.fft.rfft(coloured_noise(40_000, 0.5, np.random.default_rng(1)))) ** 2
    assert spectrum[1000:2000].mean() / spectrum[10_000:20_000].mean() == pytest.approx(10, rel=0.2)
