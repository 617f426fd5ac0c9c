"""Strips show truth and prediction at their time, with the sound that the frames are of."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread
from pages.report.made import FEATURE_VALUES, Made, here, write_run

from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams, log_mel
from phonemes.features.sound import Sound
from phonemes.pages.report import utterances
from phonemes.pages.report.utterances import (
    FRAME_WIDTH,
    Segment,
    extremes,
    hertz,
    picture,
    recording,
    segments,
    ticks,
)
from phonemes.storage.layout import CORPUS, FRAME_PREDICTIONS, TABLES

FEATURES = FeatureParams(**FEATURE_VALUES)


def content(uri):
    """Return the file in a data URI."""
    return base64.b64decode(uri.partition(",")[2])


# Which utterances


def test_the_three_best_and_the_three_worst_are_shown_in_order(run):
    found = extremes(run)
    accuracies = run.dev["utterances"]["accuracy"].sort_values(ascending=False).tolist()
    assert [strip.accuracy for strip in found.best] == accuracies[:3]
    assert [strip.accuracy for strip in found.worst] == accuracies[:-4:-1]
    assert found.note == ""


def test_of_few_utterances_none_is_shown_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Made(utterances=5))
    found = extremes(here())
    names = [strip.name for strip in (*found.best, *found.worst)]
    assert len(names) == len(set(names)) == 4


def test_an_utterance_of_few_phones_is_not_shown(run):
    table = run.dev["utterances"]
    best = table["accuracy"].idxmax()
    table.loc[best, "phones"] = 4
    assert table.loc[best, "utterance"] not in {strip.name for strip in extremes(run).best}


# What a strip shows


def test_segments_are_runs_of_labels_with_what_is_never_right_marked():
    labels = np.array([1, 1, 1, 0, 0, 1])
    right = np.array([False, False, True, False, False, False])
    assert segments(labels, right, ("SIL", "AA1")) == (
        Segment(0, 3 * FRAME_WIDTH, "AA1", False, False),
        Segment(3 * FRAME_WIDTH, 2 * FRAME_WIDTH, "SIL", False, True),
        Segment(5 * FRAME_WIDTH, FRAME_WIDTH, "AA1", False, True),
    )


def test_a_name_is_drawn_where_it_has_room():
    found = segments(np.repeat([0, 1, 0], [6, 5, 5]), np.ones(16, bool), ("SIL", "T"))
    assert [(segment.label, segment.fits) for segment in found] == [
        ("SIL", True),
        ("T", True),
        ("SIL", False),
    ]


def test_a_strip_agrees_with_the_predictions_of_its_frames(run):
    with (TABLES / "dev" / FRAME_PREDICTIONS).open("rb") as file:
        stored = {name: values.copy() for name, values in np.load(file).items()}
    table = run.dev["utterances"]
    for strip in extremes(run).best:
        row = table.index[table["utterance"] == strip.name][0]
        start = table["frames"][:row].sum()
        own = slice(start, start + strip.frames)
        wrong = stored["labels"][own] != stored["predicted"][own]
        assert sum(width for _, width in strip.errors) == FRAME_WIDTH * wrong.sum()
        assert strip.width == FRAME_WIDTH * len(wrong)
        for name, row in (("labels", strip.actual), ("predicted", strip.predicted)):
            drawn = [(segment.label, segment.width // FRAME_WIDTH) for segment in row]
            expanded = [label for label, frames in drawn for _ in range(frames)]
            assert expanded == [run.phonemes[label] for label in stored[name][own]]
        heights = [float(point.split(",")[1]) for point in strip.confidence.split()]
        expected = 24 * (1 - stored["confidence"][own] / 255)
        assert heights == pytest.approx(expected, abs=0.06)


def test_a_long_utterance_is_cut(run, monkeypatch):
    monkeypatch.setattr(utterances, "MOST_FRAMES", 30)
    for strip in extremes(run).worst:
        assert strip.cut and strip.frames > 30
        assert strip.width == 30 * FRAME_WIDTH == sum(segment.width for segment in strip.actual)


def test_time_is_in_seconds_where_the_stride_is_known():
    assert [(tick.place, tick.text) for tick in ticks(110, 0.01)] == [
        (0, "0"), (50 * FRAME_WIDTH, "0.5"), (100 * FRAME_WIDTH, "1")
    ]  # fmt: skip
    assert [tick.text for tick in ticks(110, 0)] == ["0", "50", "100"]


def test_frames_of_unknown_features_are_coefficients_over_frames(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Made(mel=False))
    strip = extremes(here()).best[0]
    assert strip.mel is None and strip.clock == "frames" and strip.picture
    write_run(Made(mel=True))
    strip = extremes(here()).best[0]
    assert strip.mel == ("20 Hz", "8 kHz") and strip.clock == "s"


@pytest.mark.parametrize(("frequency", "text"), [(20, "20 Hz"), (7600, "7.6 kHz")])
def test_a_frequency_has_its_unit(frequency, text):
    assert hertz(frequency) == text


def test_a_picture_has_a_pixel_a_number_dark_where_it_is_high_low_bands_at_the_bottom():
    frames = np.zeros((30, 4), np.float32)
    frames[10:20, 0] = 5
    pixels = imread(io.BytesIO(content(picture(frames, mel=True))))[:, :, 0]
    assert pixels.shape == (4, 30)
    assert (pixels[3, 10:20] == 0).all()
    assert (pixels[0] == 1).all() and (pixels[3, :10] == 1).all()


def test_other_coefficients_have_a_scale_each():
    frames = np.zeros((30, 2), np.float32)
    frames[10:20] = [1000, 0.1]
    pixels = imread(io.BytesIO(content(picture(frames, mel=False))))[:, :, 0]
    assert (pixels[:, 10:20] == 0).all() and (pixels[:, :10] == 1).all()


# What is missing


def test_without_frames_a_strip_has_no_picture_and_the_page_says_so(run):
    (CORPUS / "frames/dev.npy").unlink()
    found = extremes(run)
    assert all(strip.picture == "" and strip.actual for strip in found.best)
    assert found.note == f"The run has no {CORPUS / 'frames/dev.npy'}: run `dvc repro`."


def test_without_predictions_of_frames_there_are_no_strips(run):
    (TABLES / "dev" / FRAME_PREDICTIONS).unlink()
    found = extremes(run)
    assert found.best == found.worst == ()
    assert found.note == f"The run has no {TABLES}/dev/predictions.npz: run `dvc repro`."


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((7, 8), np.float32), r"float32 of shape \(7, 8\)"),
        (np.zeros((990, 8)), "float64 of shape"),
        (np.zeros(990, np.float32), r"float32 of shape \(990,\)"),
    ],
)
def test_frames_of_another_corpus_are_refused(run, array, reason):
    np.save(CORPUS / "frames/dev.npy", array)
    with pytest.raises(InputError, match=f"dev.npy of workspace is damaged, .*{reason}"):
        extremes(run)


def test_frames_that_are_cut_short_are_refused(run):
    path = CORPUS / "frames/dev.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"it is cut short\); run `dvc repro`"):
        extremes(run)


# Sound


@pytest.fixture
def sound():
    """Return one and a half seconds of noise."""
    samples = 0.3 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    return Sound(samples.clip(-1, 1), 16_000)


@pytest.fixture
def heard(run, sound, tmp_path):
    """Return a run whose corpus is recordings, and the frames of its only recording, u/000."""
    folder = tmp_path / "audio/u"
    folder.mkdir(parents=True)
    soundfile.write(folder / "000.wav", sound.samples, sound.rate, subtype="FLOAT")
    audio = {"source": "audio", "path": "audio", "audio": {"layout": "textgrid"}}
    return replace(run, params=run.params | {"corpus": audio}), log_mel(sound.samples, FEATURES)


def test_a_recording_of_the_same_frames_is_the_sound(heard, sound):
    run, frames = heard
    found = recording(run, "u/000", len(frames), FEATURES, frames[:50])
    assert found.rate == sound.rate and np.array_equal(found.samples, sound.samples)
    assert recording(run, "u/000", len(frames), FEATURES, None) is not None


def test_another_recording_under_the_name_is_not_the_sound(heard):
    run, frames = heard
    assert recording(run, "u/000", len(frames) + 1, FEATURES, frames) is None
    assert recording(run, "u/000", len(frames), FEATURES, frames + 1) is None


@pytest.mark.parametrize("name", ["u/001", "/secret", "../secret", "u/../../secret"])
def test_only_recordings_below_the_corpus_are_heard(heard, name, tmp_path):
    run, frames = heard
    (tmp_path / "secret.wav").write_bytes((tmp_path / "audio/u/000.wav").read_bytes())
    assert recording(run, name, len(frames), FEATURES, frames) is None


def test_a_damaged_recording_is_no_sound(heard, tmp_path):
    run, frames = heard
    (tmp_path / "audio/u/000.wav").write_bytes(b"RIFF")
    assert recording(run, "u/000", len(frames), FEATURES, frames) is None


@pytest.mark.parametrize("source", ["arrays", "synthetic"])
def test_other_sources_have_no_sound(heard, source):
    run, frames = heard
    run.params["corpus"]["source"] = source
    assert recording(run, "u/000", len(frames), FEATURES, frames) is None


def test_the_sound_ends_with_the_frames_that_are_shown(sound):
    stored, rate = soundfile.read(io.BytesIO(content(utterances.encoded(sound, 50, FEATURES))))
    assert rate == 16_000 and len(stored) == 8000
    np.testing.assert_allclose(stored, sound.samples[:8000], atol=1e-4)


def test_the_page_says_that_recordings_were_not_found(heard):
    run, _ = heard
    assert extremes(run).note.startswith("Recordings that were not found")
