"""Through all stages: dev and test teach nothing, and utterances know nothing of each other."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bad_data import BANDS, RAW, SMALL, ragged, set_params, write_flat

import stages
from stages import CONTEXT, CORPUS, MODEL, NORMALIZED, PREDICTIONS

LENGTHS = {"train": (30, 17, 24), "dev": (12, 9), "test": (15, 8, 11, 1)}


def run(*names: str) -> None:
    for name in names:
        stages.run(importlib.import_module(f"stages.{name}").main)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project in which nothing ran."""
    monkeypatch.chdir(tmp_path)
    set_params(SMALL)
    set_params({"train": {"hidden": [64, 64], "lr": 1e-2}})
    write_flat(LENGTHS)
    return tmp_path


def change(name: str, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace every utterance of one of the course's files by what `edit` makes of it."""
    utterances = np.load(RAW / name, allow_pickle=True)
    np.save(RAW / name, ragged([edit(utterance) for utterance in utterances]), allow_pickle=True)


def shout(frames: np.ndarray) -> np.ndarray:
    return 50 - 9 * frames


def relabel(labels: np.ndarray) -> np.ndarray:
    return (labels + 1) % 71


def learnt() -> tuple[bytes, bytes, list[torch.Tensor]]:
    """Return what train was trained on, and what came of it."""
    state = torch.load(MODEL, weights_only=True)["first"][0]["state"]
    frames, starts = (folder / "train.npy" for folder in (NORMALIZED, CONTEXT))
    return frames.read_bytes(), starts.read_bytes(), [*state.values()]


@pytest.mark.parametrize(
    ("over", "prior"), [("utterance", 0), ("utterance", 9), ("corpus", 0), ("none", 0)]
)
def test_what_is_learnt_is_the_same_whatever_dev_and_test_hold(project, over, prior):
    set_params({"normalize": {"over": over, "prior": prior}})
    run("corpus", "normalize", "context", "train")
    *before, weights = learnt()
    change("dev.npy", shout)
    change("test.npy", shout)
    change("dev_labels.npy", relabel)
    shutil.rmtree(stages.checkpoint_folder())
    run("corpus", "normalize", "context", "train")
    *after, others = learnt()
    assert after == before
    assert all(map(torch.equal, weights, others))


def test_train_alone_decides_how_dev_and_test_are_normalized(project):
    set_params({"normalize": {"over": "corpus"}})
    run("corpus", "normalize")
    frames = {split: np.load(CORPUS / f"frames/{split}.npy") for split in LENGTHS}
    mean, deviation = frames["train"].mean(0, float), frames["train"].std(0, float)
    for split, raw in frames.items():
        normalized = np.load(NORMALIZED / f"{split}.npy")
        np.testing.assert_allclose(normalized, (raw - mean) / deviation, atol=1e-5)


@pytest.mark.parametrize("sequence", [0, 1])
@pytest.mark.parametrize("k", [2, 40])
def test_a_test_utterance_is_labelled_as_if_it_were_alone(project, k, sequence):
    set_params({"data": {"k": k}, "smooth": {"sequence": sequence}, "normalize": {"prior": 9}})
    set_params({"train": {"epochs": 3, "neighbours": 3}})
    run("corpus", "normalize", "context", "train", "predict")
    together = pd.read_csv(PREDICTIONS).label.tolist()
    alone = []
    for utterance in range(len(LENGTHS["test"])):
        write_flat(LENGTHS)
        kept = np.load(RAW / "test.npy", allow_pickle=True)[utterance : utterance + 1]
        np.save(RAW / "test.npy", kept, allow_pickle=True)
        run("corpus", "normalize", "context", "predict")
        alone += pd.read_csv(PREDICTIONS).label.tolist()
    assert len(set(together)) > 1
    assert alone == together


@pytest.mark.parametrize("smooth", [{"sequence": 1}, {"prior": 1}])
def test_other_labels_of_dev_change_no_prediction_not_even_a_smoothed_one(project, smooth):
    set_params({"smooth": smooth})
    run("corpus", "normalize", "context", "train", "predict")
    before = Path(PREDICTIONS).read_bytes()
    change("dev_labels.npy", relabel)
    run("corpus", "normalize", "context", "train", "predict")
    assert Path(PREDICTIONS).read_bytes() == before


@pytest.mark.parametrize("neighbours", [0, 1])
def test_a_frame_decides_the_labels_of_those_around_it_and_of_no_other(project, neighbours):
    k, changed = 2, 19  # in the second utterance, of 8 frames
    set_params({"data": {"k": k}, "normalize": {"over": "none"}})
    set_params({"train": {"epochs": 3, "neighbours": neighbours}})
    run("corpus", "normalize", "context", "train", "predict")
    before = pd.read_csv(PREDICTIONS).label.to_numpy()
    test = np.load(RAW / "test.npy", allow_pickle=True)
    test[1][changed - LENGTHS["test"][0]] += 100 * np.sign(np.arange(BANDS) - BANDS / 2)
    np.save(RAW / "test.npy", test, allow_pickle=True)
    run("corpus", "normalize", "context", "predict")
    moved = np.flatnonzero(pd.read_csv(PREDICTIONS).label.to_numpy() != before)
    assert len(moved) > 0
    reach = k + neighbours
    assert {*moved} <= {*range(changed - reach, changed + reach + 1)} & {*range(15, 23)}
