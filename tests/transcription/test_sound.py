"""Recordings of any kind are read piece by piece; what cannot be used is named."""

import io
import sys

import numpy as np
import pytest
from transcription.speech import sound

from phonemes.errors import InputError
from phonemes.features.sound import read_sound, resample
from phonemes.transcription.sound import PIECE, pieces, sound_file

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
LONG = sound(2.5 * PIECE)  # three pieces


def read(path, rate=16_000):
    return [*pieces(path, rate)]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_pieces_are_the_recording(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, LONG, 16_000)
    found = read(path)
    assert len(found) == 3
    np.testing.assert_array_equal(np.concatenate(found), read_sound(path).samples)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_pieces_are_resampled_as_the_whole_recording(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.column_stack([sound(25, rate), sound(25, rate, 1)]), rate)
    whole = resample(read_sound(path), 16_000)
    found = np.concatenate(read(path))
    assert len(found) == len(whole)
    np.testing.assert_allclose(found, whole, atol=1e-5)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_lossy_sound_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, LONG, 16_000)
    found = np.concatenate(read(path))
    assert abs(len(found) - len(LONG)) < 3000  # an encoder may pad
    assert np.corrcoef(found[: len(LONG) - 3000], LONG[: len(LONG) - 3000])[0, 1] > 0.9


def test_nist_sphere_is_read(tmp_path):
    path = tmp_path / "a.sph"
    soundfile.write(path, LONG, 16_000, format="NIST", subtype="PCM_16")
    assert np.abs(np.concatenate(read(path)) - LONG).max() < 2**-14


class Stdin:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)


def test_standard_input_is_a_recording(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, LONG, 16_000)
    monkeypatch.setattr(sys, "stdin", Stdin(path.read_bytes()))
    with sound_file("-") as held:
        np.testing.assert_array_equal(np.concatenate(read(held)), read_sound(path).samples)
    assert not held.exists()


def test_a_wav_from_a_pipe_whose_header_knows_no_length_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, LONG, 16_000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    monkeypatch.setattr(sys, "stdin", Stdin(bytes(content)))
    with sound_file("-") as held:
        assert len(np.concatenate(read(held))) == len(LONG)


def refusal(path):
    with pytest.raises(InputError) as refused:
        read(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_nothing_on_standard_input_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(b""))
    with pytest.raises(InputError, match="standard input is empty"), sound_file("-"):
        pass


def test_a_missing_recording_is_named():
    reason = r"there is no recording nowhere\.wav"
    with pytest.raises(InputError, match=reason), sound_file("nowhere.wav"):
        pass


def test_what_is_no_sound_is_named(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("hello")
    assert f"cannot read {path}" in refusal(path)


def test_a_recording_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, LONG, 16_000)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "is cut short" in refusal(path)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(16_000), "has no signal: all its samples are 0"),
        (np.full(16_000, 0.25), "has no signal: all its samples are 0.25"),
        (np.zeros(0), "holds no samples"),
        (np.full(16_000, np.nan), "no finite numbers"),
        (32_767 * LONG, "were 16-bit values written as floats?"),
        (np.column_stack([LONG, -LONG]), "its 2 channels cancel each other"),
    ],
)
def test_sound_without_signal_is_refused(tmp_path, samples, reason):
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    assert reason in refusal(path)


def test_flac_that_was_written_to_a_pipe_is_named(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, LONG, 16_000)
    content = bytearray(path.read_bytes())
    at = content.index(b"fLaC") + 8 + 10  # of 64 bits, the last 36 of which are the samples
    declared = int.from_bytes(content[at : at + 8], "big") >> 36 << 36
    content[at : at + 8] = declared.to_bytes(8, "big")
    path.write_bytes(content)
    assert "does not declare how much sound it holds" in refusal(path)
