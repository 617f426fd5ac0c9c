"""A recording becomes frames, unless it holds no signal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import PARAMS

from phonemes.corpus.audio.frames import frames_of
from phonemes.errors import InputError
from phonemes.features.log_mel import log_mel
from phonemes.features.sound import Sound
from phonemes.params import load

pytest.importorskip("soxr")

FEATURES = load(PARAMS).features
PATH = Path("a.wav")
NOISE = 0.1 * np.random.default_rng(0).normal(size=16000).astype(np.float32)
FULL_SCALE = np.float32(2**-15)  # of 16 bits in 32: what was 1 is this


def frames(samples, rate=16000, **changes):
    sound = Sound(np.asarray(samples, np.float32), rate)
    return frames_of(sound, replace(FEATURES, **changes), PATH)


def test_frames_are_those_of_the_samples():
    assert frames(NOISE).tobytes() == log_mel(NOISE, FEATURES).tobytes()
    assert np.abs(frames(np.repeat(NOISE, 3), 48000).shape[0] - 98) <= 1


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(44100), "all its samples are 0;"),
        (np.full(44100, 0.5), "all its samples are 0.5;"),
        (NOISE.repeat(3) * FULL_SCALE, "16-bit values written as 32-bit integers"),
        (0.3 + NOISE.repeat(3) * FULL_SCALE, "no frame does a band reach features.floor, 1e-06"),
    ],
)
def test_a_recording_without_signal_is_named_with_advice(samples, reason, rate):
    with pytest.raises(InputError, match=rf"a\.wav has no signal: .*{reason}.*drop the recording"):
        frames(samples, rate)


@pytest.mark.parametrize("samples", [NOISE * 1e-3, 0.3 + NOISE * 1e-2])
def test_a_quiet_recording_is_taken(samples):
    assert len(frames(samples)) == 98


def test_speech_between_silences_is_a_signal():
    samples = np.zeros(16000)
    samples[8000:8400] = NOISE[:400]
    assert len(frames(samples)) == 98


def test_a_lower_floor_resolves_a_lower_level():
    assert len(frames(NOISE * FULL_SCALE, floor=1e-20)) == 98


@pytest.mark.parametrize("count", [0, 399])
def test_a_recording_shorter_than_a_frame_is_named(count):
    with pytest.raises(InputError, match=rf"a\.wav: {count} samples are shorter than one frame"):
        frames(NOISE[:count])
