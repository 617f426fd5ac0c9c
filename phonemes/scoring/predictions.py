"""What was predicted of each frame of a split, in a small file.

An .npz file without pickles: labels and predicted, (N,) int16, and confidence, (N,) uint8, the
posterior of what was predicted in steps of 1 / 255.
"""

import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError, raise_true_cause
from phonemes.scoring.scores import Predictions

TYPES = {"labels": np.int16, "predicted": np.int16, "confidence": np.uint8}
MOST_OF_HEADER = 4096  # bytes of an array's description, at most


class FramePredictions(NamedTuple):
    """Label and prediction of each frame, as they are stored."""

    labels: NDArray[np.int16]  # (N,) in [0, P)
    predicted: NDArray[np.int16]  # (N,) in [0, P)
    confidence: NDArray[np.uint8]  # (N,), 255 is a posterior of 1


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write labels, predictions and confidences; the same bytes for the same values."""
    np.savez_compressed(
        path,
        labels=predictions.labels.astype(np.int16),
        predicted=predictions.predicted.astype(np.int16),
        confidence=np.rint(255 * predictions.confidence).astype(np.uint8),
    )


def read_predictions(file: BinaryIO, count: int, classes: int, name: str) -> FramePredictions:
    """Read what `save_predictions` wrote; no more memory is taken than its arrays need.

    Args:
        file: opened.
        count: N, of its frames.
        classes: P, of its phonemes.
        name: of the file, for messages.

    Raises:
        InputError: it is damaged or of another split.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for key, kind in TYPES.items():
                member = archive.getinfo(f"{key}.npy")
                if member.file_size > count * np.dtype(kind).itemsize + MOST_OF_HEADER:
                    raise ValueError(f"{key} is too long")
                with archive.open(member) as stored:
                    array = np.lib.format.read_array(stored, allow_pickle=False)
                if array.dtype != kind or array.shape != (count,):
                    raise ValueError(f"{key} is {array.dtype} of shape {array.shape}")
                if key != "confidence" and not 0 <= array.min() <= array.max() < classes:
                    raise ValueError(f"{key} are not all in 0 to {classes - 1}")
                arrays[key] = array
    except Exception as error:  # zipfile and numpy raise many kinds on a damaged file
        raise_true_cause(error, name)
        raise InputError(
            f"{name} is damaged, or of another corpus ({error}); delete it and run `dvc repro`"
        ) from None
    return FramePredictions(**arrays)
