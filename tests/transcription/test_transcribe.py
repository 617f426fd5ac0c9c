"""A transcript covers its recording, whatever its length and form."""

import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from transcription.speech import sound

import phonemes
from phonemes.errors import InputError
from phonemes.features.log_mel import log_mel
from phonemes.transcription.recognizer import SMOOTH, open_recognizer
from phonemes.transcription.segments import runs
from phonemes.transcription.transcribe import transcribe_pieces

SAMPLES = sound(3)


@pytest.fixture(scope="module")
def english():
    return open_recognizer()


def phones(transcript):
    return [phone.label for phone in transcript.phones]


def covers(transcript, duration):
    starts, ends, _, confidences = zip(*transcript.phones, strict=True)
    labels = phones(transcript)
    return (
        starts[0] == 0
        and ends[-1] == transcript.duration == duration
        and starts[1:] == ends[:-1]
        and all(0 < each <= 1.0001 for each in confidences)
        and all(a != b for a, b in pairwise(labels))
    )


def test_phones_are_the_runs_of_the_likeliest_label(english):
    posteriors = english.log_posteriors([log_mel(SAMPLES, english.features)])
    (smoothed,) = english.smoothed(posteriors)
    for smooth, each in ((None, posteriors[0]), (SMOOTH, smoothed)):
        transcript = transcribe_pieces([SAMPLES], english, smooth)
        label = each.argmax(1)
        expected = [(english.phonemes[label[a]], a * 0.01) for a, _ in runs(label)]
        assert [
            (phone.label, pytest.approx(phone.start)) for phone in transcript.phones
        ] == expected
        first = runs(label)[0]
        confidence = np.exp(each[slice(*first), label[0]]).mean()
        assert transcript.phones[0].confidence == pytest.approx(confidence, rel=1e-4)


def test_smoothing_leaves_fewer_phones(english):
    raw = transcribe_pieces([SAMPLES], english, None)
    assert len(transcribe_pieces([SAMPLES], english, SMOOTH).phones) < len(raw.phones)


@pytest.mark.parametrize("size", [400, 16_000, 48_000])
def test_the_size_of_the_pieces_is_no_matter(english, size):
    pieces = [SAMPLES[at : at + size] for at in range(0, len(SAMPLES), size)]
    expected = transcribe_pieces([SAMPLES], english, SMOOTH)
    assert transcribe_pieces(pieces, english, SMOOTH) == expected


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_side_by_side_change_nothing(english, workers):
    pieces = np.array_split(sound(200), 9)
    expected = transcribe_pieces(pieces, english, None)
    assert transcribe_pieces(pieces, english, None, workers=workers) == expected


def test_an_error_in_a_worker_ends_the_transcription(english):
    def pieces():
        yield sound(150)
        raise InputError("cut short")

    with pytest.raises(InputError, match="cut short"):
        transcribe_pieces(pieces(), english, None, workers=2)


def test_a_long_recording_is_covered_without_a_seam_at_its_blocks(english):
    samples = sound(40)
    transcript = transcribe_pieces([samples], english, None, keep=True)
    assert covers(transcript, 40.0)
    assert transcript.track.frames.shape == (3998, 40)
    np.testing.assert_array_equal(transcript.track.frames, log_mel(samples, english.features))
    assert transcript.track.log_posteriors.shape == (3998, 71)


@pytest.mark.parametrize("count", [400, 401, 559, 560])
def test_the_shortest_recordings_have_a_phone(english, count):
    assert covers(transcribe_pieces([SAMPLES[:count]], english, SMOOTH), count / 16_000)


def test_a_recording_shorter_than_a_frame_is_refused(english):
    with pytest.raises(InputError, match="has 399 samples at 16000 Hz, less than one frame of 400"):
        transcribe_pieces([SAMPLES[:399]], english, SMOOTH)


def test_memory_does_not_grow_with_the_length_of_the_recording(english, monkeypatch):
    monkeypatch.setattr("phonemes.transcription.transcribe.BATCH", 8)  # half a minute

    def peak(minutes):
        pieces = (sound(10, seed=seed) for seed in range(6 * minutes))
        tracemalloc.start()
        transcribe_pieces(pieces, english, None)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(9) < 1.1 * peak(4) + 2**20


# From Python


def test_samples_may_be_of_any_form():
    expected = phonemes.transcribe(SAMPLES, 16_000)
    assert covers(expected, 3.0)
    for same in (
        SAMPLES.astype(np.float64),
        np.column_stack([SAMPLES, SAMPLES]),
        SAMPLES.tolist(),
    ):
        assert phones(phonemes.transcribe(same, 16_000)) == phones(expected)
    whole = np.round(SAMPLES * 32_767).astype(np.int16)
    rounded = phonemes.transcribe(whole.astype(np.float32) / 32_768, 16_000)
    assert phones(phonemes.transcribe(whole, 16_000)) == phones(rounded)


def test_other_rates_are_resampled():
    assert covers(phonemes.transcribe(sound(2, 44_100), 44_100), 2.0)


def test_a_notebook_shows_a_picture():
    transcript = phonemes.transcribe(SAMPLES, 16_000)
    assert transcript._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (SAMPLES, 10, "rate is 10; expected Hz"),
        (np.array(["a"]), 16_000, "expected numbers"),
        (np.zeros((2, 2, 2)), 16_000, r"shape \(2, 2, 2\); expected numbers"),
        (np.full(16_000, np.nan), 16_000, "NaN"),
        (np.zeros(0), 16_000, "less than one frame"),
    ],
)
def test_what_is_no_recording_is_refused(samples, rate, reason):
    with pytest.raises(InputError, match=reason):
        phonemes.transcribe(samples, rate)


def test_the_package_itself_is_imported_without_torch():
    code = "import sys, phonemes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'transcribed'"):
        phonemes.transcribed  # noqa: B018
