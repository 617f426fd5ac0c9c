"""Recordings are the same samples whatever the format, and are brought to one sample rate."""

import numpy as np
import pytest

from phonemes.errors import InputError
from phonemes.features.sound import Sound, read_sound, resample

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def tone(rate=16000, hertz=500):
    """Return one second of a sine at half of full scale, (S,)."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)


def write(path, samples, **options):
    soundfile.write(path, samples, 16000, **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "options", "error"),
    [
        (".wav", {"subtype": "PCM_U8"}, 2**-7),
        (".wav", {"subtype": "PCM_16"}, 2**-15),
        (".wav", {"subtype": "PCM_24"}, 2**-22),
        (".wav", {"subtype": "PCM_32"}, 2**-23),
        (".wav", {"subtype": "FLOAT"}, 2**-23),
        (".wav", {"subtype": "DOUBLE"}, 2**-23),
        (".flac", {"subtype": "PCM_16"}, 2**-15),
        (".flac", {"subtype": "PCM_24"}, 2**-22),
        (".WAV", {"format": "NIST", "subtype": "PCM_16"}, 2**-15),
    ],
)
def test_samples_are_full_scale_whatever_the_format(suffix, options, error, tmp_path):
    sound = read_sound(write(tmp_path / f"a{suffix}", tone(), **options))
    assert sound.rate == 16000 and sound.samples.dtype == np.float32
    assert np.abs(sound.samples - tone()).max() <= error


def test_channels_are_averaged(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([tone(), np.zeros(16000)], axis=1), subtype="FLOAT")
    assert read_sound(path).samples == pytest.approx(tone() / 2, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_sample_rates_are_resampled(rate):
    samples = resample(Sound(tone(rate).astype(np.float32), rate), 16000)
    assert len(samples) == 16000
    assert samples[800:-800] == pytest.approx(tone()[800:-800], abs=1e-3)


def test_what_would_alias_is_filtered_out():
    samples = resample(Sound(tone(48000, hertz=9000).astype(np.float32), 48000), 16000)
    assert np.abs(samples[800:-800]).max() < 1e-4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read .*a.wav"),
        (b"not audio at all", r"cannot read .*a\.wav: .*expected whole wav, flac or uncompressed"),
    ],
)
def test_a_corrupt_recording_is_named(content, message, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_sound(tmp_path / "a.wav")


def test_samples_that_are_no_numbers_are_an_error(tmp_path):
    path = write(tmp_path / "a.wav", np.array([0, np.nan] * 400), subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav holds samples that are no finite numbers"):
        read_sound(path)
