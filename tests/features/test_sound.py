"""Recordings are the same samples whatever the format, and are brought to one sample rate."""

import sys
import tracemalloc

import numpy as np
import pytest

from phonemes.errors import InputError
from phonemes.features.sound import Sound, read_sound, require_libraries, resample

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


CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("NIST", "PCM_16"),
    ("FLAC", "PCM_16"),
]


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("lost", [2, 7, 0.02, 0.5, 0.9])
def test_a_recording_that_was_cut_short_is_an_error(container, subtype, channels, lost, tmp_path):
    path = tmp_path / "a.wav"
    samples = np.stack([tone()] * channels, axis=1)
    write(path, samples, format=container, subtype=subtype)
    assert len(read_sound(path).samples) == 16000
    content = path.read_bytes()
    path.write_bytes(content[: -lost if lost > 1 else int(len(content) * (1 - lost))])
    with pytest.raises(InputError, match=r"a\.wav( is cut short: .*copy or download it again|: )"):
        read_sound(path)


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_header_written_to_a_pipe_declares_no_size(size, tmp_path):
    path = write(tmp_path / "a.wav", tone())
    content, unknown = path.read_bytes(), size.to_bytes(4, "little")
    path.write_bytes(content[:4] + unknown + content[8:40] + unknown + content[44:])
    assert len(read_sound(path).samples) == 16000


def test_chunks_around_the_sound_do_not_matter(tmp_path):
    path = write(tmp_path / "a.wav", tone())
    content, note = path.read_bytes(), b"LIST\x05\0\0\0hello\0"
    path.write_bytes(content[:36] + note * 300 + content[36:] + note)
    assert len(read_sound(path).samples) == 16000
    path.write_bytes(content[:36] + note * 300 + content[36:-5000])
    with pytest.raises(InputError, match="is cut short"):
        read_sound(path)


@pytest.mark.parametrize("container", ["MP3", "OGG", "CAF"])
def test_what_cannot_be_seen_to_be_whole_is_an_error(container, tmp_path):
    path = write(tmp_path / "a.wav", tone(), format=container)
    with pytest.raises(InputError, match=rf"a\.wav is {container} by its content; convert it"):
        read_sound(path)


@pytest.mark.parametrize("rest", [0, 0.02])
def test_channels_that_cancel_each_other_are_an_error(rest, tmp_path):
    noise = np.random.default_rng(0).normal(scale=0.1, size=16000)
    path = write(tmp_path / "a.wav", np.stack([noise, -(1 - rest) * noise], axis=1))
    with pytest.raises(InputError, match=r"a\.wav: its 2 channels cancel each other .*invert it"):
        read_sound(path)


@pytest.mark.parametrize("channels", [2, 16])
def test_channels_may_be_silent_or_unlike(channels, tmp_path):
    random = np.random.default_rng(0)
    one = np.zeros((16000, channels))
    one[:, 0] = random.normal(scale=0.1, size=16000)
    for samples in (one, random.normal(scale=0.1, size=(16000, channels))):
        found = read_sound(write(tmp_path / "a.wav", samples, subtype="FLOAT")).samples
        assert found == pytest.approx(samples.mean(axis=1), abs=1e-6)


def test_samples_that_are_no_numbers_are_an_error(tmp_path):
    path = write(tmp_path / "a.wav", np.array([0, np.nan] * 400), subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav holds samples that are no finite numbers"):
        read_sound(path)


def with_declared_samples(path, count):
    """Write another number of samples into the header of a FLAC file."""
    content = bytearray(path.read_bytes())
    at = content.index(b"fLaC") + 8 + 10  # of 64 bits, the last 36 of which are the number
    other = int.from_bytes(content[at : at + 8], "big") >> 36 << 36
    content[at : at + 8] = (other | count).to_bytes(8, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("count", [2**28, 2**36 - 1])
def test_a_header_that_declares_absurd_amounts_is_named_and_not_a_lack_of_memory(count, tmp_path):
    path = write(tmp_path / "a.flac", tone())
    with_declared_samples(path, count)
    with pytest.raises(InputError, match=r"a\.flac: its header declares [\d.]+ GiB .* damaged"):
        read_sound(path)


def test_hours_of_nothing_in_a_small_file_are_refused_before_they_fill_the_memory(tmp_path):
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 96000, 2, "PCM_16") as file:
        for _ in range(6):
            file.write(np.zeros((96000 * 60, 2), np.int16))
    assert path.stat().st_size < 2**18
    tracemalloc.start()  # numpy tells it of what it allocates
    with pytest.raises(InputError, match=r"declares 0\.3 GiB of samples, but it has 0\.1 MiB"):
        read_sound(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_flac_without_a_length_is_named(tmp_path):
    path = write(tmp_path / "a.flac", tone())
    with_declared_samples(path, 0)
    with pytest.raises(InputError, match=r"a\.flac does not declare how much .*written to a pipe"):
        read_sound(path)


def test_floats_may_exceed_full_scale_but_not_be_integers(tmp_path):
    path = write(tmp_path / "a.wav", 4 * tone(), subtype="FLOAT")
    assert read_sound(path).samples == pytest.approx(4 * tone(), abs=1e-6)
    write(path, 32767 * tone(), subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav reaches 16383\.5, .*16-bit values .*by 32,768"):
        read_sound(path)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    require_libraries("this")
    monkeypatch.setitem(sys.modules, "soxr", None)  # as if it were not there
    with pytest.raises(
        InputError, match=r"^this needs soxr \(.*\); run `pip install 'phonemes\[aud"
    ):
        require_libraries("this")
