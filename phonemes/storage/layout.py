"""Where the files lie that stages write for each other, and the arrays in them.

dvc.yaml declares the same paths. All are relative to the project's folder, in which
stages and commands run. N frames, U utterances, C coefficients and P phonemes of a split:

    data/corpus/
      frames/{split}.npy      (N, C) float32
      lengths/{split}.npy     (U,) int64, frames of each utterance; their sum is N
      labels/{split}.npy      (N,) int16 in [0, P); no file where test has no labels
      utterances/{split}.csv  name,speaker of each utterance, in order
      phonemes.txt            the P phonemes, one a line, in label order
      spelling.txt            "integers" or "text", as the labels of the training set were given;
                              then, one a line, how the user's data spell each phoneme
      description.json        "source" of the utterances, the section "features" of computed
                              frames, null for frames given, and the "header" of predictions
    data/normalized/
      {split}.npy             (N, C) in the form of normalize.storage: see `storage.frames`
      normalization.json      the section `normalize` without the form
      statistics.npy          (2, C) float64 mean and deviation of the training set's frames
    data/context/{split}.npy     (N,) int32 or int64, where each frame's window starts

Arrays are plain .npy files: no pickles.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "dev", "test")
UTTERANCE_COLUMNS = ("name", "speaker")
MOST_PHONEMES = 2**15  # labels are stored as int16

CORPUS = Path("data/corpus")
NORMALIZED = Path("data/normalized")
CONTEXT = Path("data/context")
DESCRIPTION = Path("data/corpus/description.json")
NORMALIZATION = Path("data/normalized/normalization.json")
STATISTICS = Path("data/normalized/statistics.npy")
WINDOW = Path("metrics/context.json")
MODEL = Path("models/model.safetensors")
HISTORY = Path("metrics/history.csv")
RATES = Path("metrics/rate.csv")
SCORES = Path("metrics/evaluate.json")
TABLES = Path("metrics/tables")
FRAME_PREDICTIONS = "predictions.npz"  # in the folder of a split in TABLES
PREDICTIONS = Path("predictions.csv")
LOCK = Path("data/.lock")

Frames = NDArray[np.float32]
StoredFrames = NDArray  # of float32, or of 16 or 8 bits: see `storage.frames`
Scales = NDArray[np.float32]  # (C,) of the bands of frames of 8 bits
Labels = NDArray[np.integer]
Starts = NDArray[np.integer]


class Spelling(NamedTuple):
    """How the user's data write labels."""

    text: bool  # the training set's labels were given as text, not as integers
    phonemes: tuple[str, ...]  # (P,), as the data spell them; nothing else depends on it

    def predicted_as_text(self, label: str) -> bool:
        """Return whether predictions are phonemes, not integers, for predict.label = `label`."""
        return self.text if label == "auto" else label == "phoneme"


class HostSplit(NamedTuple):
    """One split in host memory, utterances end to end."""

    frames: StoredFrames  # (N, C) normalized
    starts: Starts  # (N,) from `context.window_starts`
    labels: Labels | None  # (N,); None where the split has none
    scales: Scales | None = None  # (C,) of frames of 8 bits


def checkpoint_folder() -> Path:
    """Return the folder of checkpoints, which DVC's temporary copies of a project share.

    DVC runs queued experiments in copies under .dvc/tmp/exps and removes them in the end.
    """
    parts = Path.cwd().parts
    root = parts[: parts.index(".dvc")] if ".dvc" in parts else parts
    return Path(*root, ".dvc/tmp/checkpoints")
