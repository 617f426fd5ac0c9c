"""Through all stages: dev and test teach nothing, and no utterance depends on another."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ragged, run_stages, set_params
from pipeline.bad_data import BANDS, RAW, begin, write_flat

from phonemes.model.tensor_file import read_tensors
from phonemes.storage.layout import (
    CONTEXT,
    CORPUS,
    MODEL,
    NORMALIZED,
    PREDICTIONS,
    checkpoint_folder,
)

LENGTHS = {"train": (30, 17, 24), "dev": (12, 9), "test": (15, 8, 11, 1)}
SMOOTHED = {"lm_scale": 0.5, "acoustic_scale": 1, "prior_scale": 1}
TO_PREDICT = ("corpus", "normalize", "context", "train", "predict")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Enter a small project in which nothing ran, whose training uses what could leak."""
    monkeypatch.chdir(tmp_path)
    begin()
    set_params(
        {
            "model": {"hidden": [64, 64], "dropout": 0.2, "target_context": 2},
            "augment": {"mel_scale": 0.12, "mel_shift": 1.5},
            "train": {"optimizer": "adamw", "lr": 1e-2},
        }
    )
    write_flat(LENGTHS)
    return tmp_path


def change(name: str, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace every utterance of one of the course's files by what `edit` makes of it."""
    utterances = np.load(RAW / name, allow_pickle=True)
    np.save(RAW / name, ragged([edit(utterance) for utterance in utterances]), allow_pickle=True)


def louder(frames: np.ndarray) -> np.ndarray:
    return 50 - 9 * frames


def relabel(labels: np.ndarray) -> np.ndarray:
    return (labels + 1) % 71


def learnt() -> tuple[bytes, bytes, list[torch.Tensor]]:
    """Return what the network was trained on, and its weights."""
    tensors = read_tensors(MODEL).tensors
    frames, starts = (folder / "train.npy" for folder in (NORMALIZED, CONTEXT))
    return frames.read_bytes(), starts.read_bytes(), [*tensors.values()]


@pytest.mark.parametrize(
    ("over", "relevance"), [("utterance", 0), ("utterance", 9), ("corpus", 0), ("none", 0)]
)
def test_what_is_learnt_is_the_same_for_any_dev_and_test(project, over, relevance):
    set_params({"normalize": {"over": over, "relevance": relevance}})
    run_stages("corpus", "normalize", "context", "train")
    *before, weights = learnt()
    change("dev.npy", louder)
    change("test.npy", louder)
    change("dev_labels.npy", relabel)
    shutil.rmtree(checkpoint_folder())
    run_stages("corpus", "normalize", "context", "train")
    *after, others = learnt()
    assert after == before
    assert all(map(torch.equal, weights, others))


def test_the_training_set_alone_decides_how_dev_and_test_are_normalized(project):
    set_params({"normalize": {"over": "corpus"}})
    run_stages("corpus", "normalize")
    frames = {split: np.load(CORPUS / f"frames/{split}.npy") for split in LENGTHS}
    mean, deviation = frames["train"].mean(0, float), frames["train"].std(0, float)
    for split, raw in frames.items():
        normalized = np.load(NORMALIZED / f"{split}.npy")
        np.testing.assert_allclose(normalized, (raw - mean) / deviation, atol=1e-5)


@pytest.mark.parametrize("smooth", [{}, SMOOTHED], ids=["plain", "smoothed"])
@pytest.mark.parametrize("k", [2, 40])
def test_a_test_utterance_is_labelled_as_if_it_were_alone(project, k, smooth):
    set_params({"data": {"k": k}, "smooth": smooth, "normalize": {"relevance": 9}})
    set_params({"train": {"epochs": 12}, "model": {"target_context": 3, "dropout": 0}})
    run_stages(*TO_PREDICT)
    together = pd.read_csv(PREDICTIONS).label.tolist()
    utterances = np.load(RAW / "test.npy", allow_pickle=True)
    alone = []
    for number in range(len(utterances)):
        np.save(RAW / "test.npy", utterances[number : number + 1], allow_pickle=True)
        run_stages("corpus", "normalize", "context", "predict")
        alone += pd.read_csv(PREDICTIONS).label.tolist()
    assert len(set(together)) > 2
    assert alone == together


@pytest.mark.parametrize("smooth", [{"lm_scale": 1}, {"prior_scale": 1}])
def test_other_labels_of_dev_change_no_prediction_not_even_a_smoothed_one(project, smooth):
    set_params({"smooth": smooth})
    run_stages(*TO_PREDICT)
    before = PREDICTIONS.read_bytes()
    assert pd.read_csv(PREDICTIONS).label.nunique() > 1
    change("dev_labels.npy", relabel)
    run_stages(*TO_PREDICT)
    assert PREDICTIONS.read_bytes() == before


@pytest.mark.parametrize("target_context", [0, 1])
def test_a_frame_decides_the_labels_of_those_around_it_and_of_no_other(project, target_context):
    k, changed = 2, 19  # in the second utterance, of 8 frames
    set_params({"data": {"k": k}, "normalize": {"over": "none"}})
    set_params({"train": {"epochs": 3}, "model": {"target_context": target_context}})
    run_stages(*TO_PREDICT)
    before = pd.read_csv(PREDICTIONS).label.to_numpy()
    test = np.load(RAW / "test.npy", allow_pickle=True)
    test[1][changed - LENGTHS["test"][0]] += 100 * np.sign(np.arange(BANDS) - BANDS / 2)
    np.save(RAW / "test.npy", test, allow_pickle=True)
    run_stages("corpus", "normalize", "context", "predict")
    moved = np.flatnonzero(pd.read_csv(PREDICTIONS).label.to_numpy() != before)
    assert len(moved) > 0
    reach = k + target_context
    assert {*moved} <= {*range(changed - reach, changed + reach + 1)} & {*range(15, 23)}
