"""A recording gets the labels that the pipeline would give it."""

import shutil

import numpy as np
import pandas as pd
import pytest
from helpers import run_stages, set_params
from pipeline.bad_data import PROJECTS, begin, get_ready_to_train
from transcription.speech import sound

from phonemes.errors import InputError
from phonemes.features.log_mel import log_mel
from phonemes.features.sound import read_sound
from phonemes.storage.layout import MODEL, PREDICTIONS
from phonemes.transcription.recognizer import ENGLISH, choose_model, open_recognizer
from phonemes.transcription.transcribe import transcribe_pieces

pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def english():
    return open_recognizer()


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Enter a project in which a model was trained on recordings."""
    monkeypatch.chdir(tmp_path)
    begin()
    PROJECTS["audio"]()
    set_params({"model": {"precision": "auto", "target_context": 1}})
    return tmp_path


@pytest.mark.parametrize(
    "normalize",
    [
        {"over": "utterance", "relevance": 50},
        {"over": "corpus", "relevance": 0},
        {"over": "none"},
    ],
)
@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_recordings_get_the_labels_of_the_predict_stage(trained, normalize, padding):
    set_params({"normalize": normalize, "data": {"padding": padding}})
    run_stages("corpus", "normalize", "context", "train", "predict")
    recognizer = open_recognizer(str(MODEL), "cpu")
    paths = sorted((trained / "data/raw/mine/test").rglob("*.wav"))
    assert len(paths) > 1
    frames = [log_mel(read_sound(path).samples, recognizer.features) for path in paths]
    labels = [each.argmax(1) for each in recognizer.log_posteriors(frames)]
    expected = pd.read_csv(PREDICTIONS).label
    names = np.array(recognizer.phonemes)[np.concatenate(labels)]
    assert [*names] == [*expected]


def test_a_recording_is_labelled_as_if_it_were_alone(english):
    frames = [log_mel(sound(seconds, seed=seconds), english.features) for seconds in (1, 3, 2)]
    together = english.smoothed(english.log_posteriors(frames))
    for each, found in zip(frames, together, strict=True):
        (alone,) = english.smoothed(english.log_posteriors([each]))
        np.testing.assert_allclose(found, alone, atol=1e-4)
        np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-4)


def test_the_model_that_comes_with_the_package_is_for_english(english):
    assert len(english.phonemes) == 71
    assert (english.rate, english.stride, english.start) == (16_000, 0.01, 0.0)


def test_the_time_of_a_frame_follows_where_its_label_is_read(trained):
    set_params({"features": {"label_at": "window"}})
    run_stages("corpus", "normalize", "context", "train")
    recognizer = open_recognizer(str(MODEL))
    # a frame of 25 ms stands for the 10 ms in its middle
    assert recognizer.start == pytest.approx(0.0075)
    transcript = transcribe_pieces([sound(1)], recognizer, None)
    inner = [phone.start for phone in transcript.phones[1:]]
    assert all(abs((time - 0.0075) * 100 % 1 - 0.5) > 0.49 for time in inner)


# Which model is taken


def test_without_a_project_english_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert choose_model(None) == (
        ENGLISH,
        "comes with the package; no network was trained here",
    )


def test_a_model_that_was_trained_on_recordings_here_is_taken(trained):
    run_stages("corpus", "normalize", "context", "train")
    assert choose_model(None) == (str(MODEL), "trained here on recordings")
    assert choose_model(ENGLISH).name == ENGLISH


def test_a_model_of_arrays_is_not_taken_and_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    get_ready_to_train()
    run_stages("train")
    assert choose_model(None) == (ENGLISH, f"{MODEL} was trained on frames that were given")
    with pytest.raises(InputError, match=f"{MODEL} was trained on frames that were given as arr"):
        open_recognizer(str(MODEL))


def test_a_missing_or_damaged_model_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no model other\.safetensors"):
        open_recognizer("other.safetensors")
    (tmp_path / "other.safetensors").write_bytes(b"hello")
    with pytest.raises(InputError, match=r"other\.safetensors is damaged"):
        open_recognizer("other.safetensors")
    MODEL.parent.mkdir()
    shutil.copy("other.safetensors", MODEL)
    with pytest.raises(InputError, match=f"{MODEL} is damaged.*, or take --model english"):
        choose_model(None)
