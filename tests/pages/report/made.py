"""Runs that tests of reports share: what the stages leave behind, of random predictions."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from phonemes.inventory import ARPABET_STRESS
from phonemes.pages.report.run import Run, WorkspaceFiles, read_run
from phonemes.scoring.breakdowns import breakdowns
from phonemes.scoring.predictions import save_predictions
from phonemes.scoring.scores import Predictions, independent_units, intervals, unit_sums
from phonemes.scoring.tables import confusion_counts, confusion_table, phoneme_table, score_table
from phonemes.storage.layout import (
    CORPUS,
    DESCRIPTION,
    FRAME_PREDICTIONS,
    HISTORY,
    SCORES,
    TABLES,
)

FEATURE_VALUES = {
    "sample_rate": 16000, "frame_width": 25.0, "stride": 10.0, "bands": 8, "low": 20.0,
    "high": 8000.0, "fft": 512, "floor": 1e-6, "label_at": "stride",
}  # fmt: skip
HISTORY_ROWS = [
    (1, 2.5, 1.5, 0.4, 0.50, 2e-3),
    (2, 2.0, 1.2, 0.5, 0.60, 1e-3),
    (3, 1.9, 1.1, 0.55, 0.601, 1e-4),
]


class Made(NamedTuple):
    """What a run is made of."""

    phonemes: tuple[str, ...] = ARPABET_STRESS
    speakers: tuple[str, ...] = ("ann", "bob", "cat", "dan")
    utterances: int = 12
    skill: float = 0.7  # share of frames that are right
    seed: int = 0
    mel: bool = True  # frames are computed, and features known
    truth: int = 0  # seed of the labels, which two runs share


def predictions_of(made: Made) -> tuple[Predictions, np.ndarray, list[tuple[str, str]]]:
    """Return predictions, lengths and utterances of dev."""
    truth, random = np.random.default_rng(made.truth), np.random.default_rng(made.seed + 1)
    lengths = truth.integers(40, 120, made.utterances)
    count, classes = lengths.sum(), len(made.phonemes)
    labels = np.repeat(truth.integers(0, classes, count // 6 + 1), 6)[:count].astype(np.int16)
    right = random.random(count) < made.skill
    predicted = np.where(right, labels, random.integers(0, classes, count)).astype(np.int16)
    confidence = random.random(count).astype(np.float32)
    loss = -np.log(np.where(right, 0.8, 0.05))
    spoken = [(f"u/{n:03d}", made.speakers[n % len(made.speakers)]) for n in range(made.utterances)]
    return Predictions(labels, predicted, loss, right, confidence), lengths, spoken


DEFAULT = Made()


def write_run(made: Made = DEFAULT, folder: Path = Path()) -> None:
    """Write what the stages leave behind into a folder."""
    predictions, lengths, spoken = predictions_of(made)
    units = independent_units([speaker for _, speaker in spoken])
    counts = confusion_counts(predictions.labels, predictions.predicted, len(made.phonemes))
    scores = intervals(unit_sums(predictions, lengths, units, made.phonemes))
    tables = {
        "scores": score_table(scores, units),
        "confusion": confusion_table(counts, made.phonemes),
        "phonemes": phoneme_table(counts, made.phonemes),
    } | breakdowns(predictions, lengths, spoken, counts, made.phonemes)
    for split in ("dev", "test"):
        place = folder / TABLES / split
        place.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            table.to_csv(place / f"{name}.csv", index=False)
    save_predictions(folder / TABLES / "dev" / FRAME_PREDICTIONS, predictions)
    columns = ["epoch", "train_loss", "dev_loss", "train_accuracy", "dev_accuracy", "lr"]
    pd.DataFrame(HISTORY_ROWS, columns=columns).to_csv(folder / HISTORY, index=False)
    model = {"parameters": 12345, "epoch": 3}
    (folder / SCORES).write_text(json.dumps({"model": model}))
    (folder / "params.yaml").write_text(
        "corpus: {source: arrays, path: data/raw/mine}\n"
        "train: {lr: 0.002, class_weights: none, label_smoothing: 0.1}\n"
        "model: {dropout: 0.2}\naugment: {mel_scale: 0.12, band_mask_width: 8}\n"
        "smooth: {lm_scale: 0}\nruntime: {jobs: 0}\n"
    )
    (folder / CORPUS / "frames").mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(0).normal(size=(lengths.sum(), 8)).astype(np.float32)
    np.save(folder / CORPUS / "frames/dev.npy", frames)
    described = {"source": "arrays", "features": FEATURE_VALUES if made.mel else None}
    (folder / DESCRIPTION).write_text(json.dumps(described))


def here() -> Run:
    """Return the run of the current folder."""
    return read_run(WorkspaceFiles())
