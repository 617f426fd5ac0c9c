"""Predictions of frames come back as they were; a damaged file is refused."""

import io
import zipfile

import numpy as np
import pytest

from phonemes.errors import InputError
from phonemes.scoring.predictions import read_predictions, save_predictions
from phonemes.scoring.scores import Predictions

COUNT, CLASSES = 5000, 71


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    labels, predicted = np.repeat(random.integers(0, CLASSES, (2, COUNT // 10)), 10, axis=1)
    confidence = random.random(COUNT, np.float32)
    return Predictions(labels, predicted, confidence, confidence > 0, confidence)


@pytest.fixture
def path(predictions, tmp_path):
    save_predictions(tmp_path / "predictions.npz", predictions)
    return tmp_path / "predictions.npz"


def read(path, count=COUNT, classes=CLASSES):
    with path.open("rb") as file:
        return read_predictions(file, count, classes, str(path))


def test_predictions_come_back_with_confidences_in_steps_of_a_255th(path, predictions):
    labels, predicted, confidence = read(path)
    assert np.array_equal(labels, predictions.labels)
    assert np.array_equal(predicted, predictions.predicted)
    np.testing.assert_allclose(confidence / 255, predictions.confidence, atol=0.5 / 255 + 1e-6)


def test_the_file_is_small_and_the_same_bytes_each_time(path, predictions, tmp_path):
    save_predictions(tmp_path / "again.npz", predictions)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert path.stat().st_size < 2 * COUNT


@pytest.mark.parametrize(
    ("count", "classes", "reason"),
    [
        (COUNT + 1, CLASSES, r"labels is int16 of shape \(5000,\)"),
        (100, CLASSES, "labels is too long"),
        (COUNT, 10, "labels are not all in 0 to 9"),
    ],
)
def test_predictions_of_another_corpus_are_refused(path, count, classes, reason):
    with pytest.raises(InputError, match=f"predictions.npz is damaged, or of another .*{reason}"):
        read(path, count, classes)


def test_a_file_that_is_cut_anywhere_is_refused(path):
    whole = path.read_bytes()
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"predictions\.npz is damaged"):
            read(path)


def test_a_pickle_is_not_run(path, tmp_path):
    np.savez(path, labels=np.array([print], object), predicted=1, confidence=1)
    with pytest.raises(InputError, match="Object arrays cannot be loaded"):
        read(path)


def test_an_array_that_unpacks_to_more_than_it_says_takes_no_memory(path, predictions):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", bytes(10**8))
    path.write_bytes(stream.getvalue())
    with pytest.raises(InputError, match="labels is too long"):
        read(path)
