"""Normalized frames come with how they were made, so that a model can be used elsewhere."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from helpers import run_stages, set_params
from pipeline.bad_data import begin, write_flat

from phonemes.normalize import Normalizer, group_utterances, split_statistics
from phonemes.params import load
from phonemes.storage import parts
from phonemes.storage.frames import FORMS, narrowed, widened
from phonemes.storage.layout import (
    CORPUS,
    HISTORY,
    MODEL,
    NORMALIZATION,
    NORMALIZED,
    PREDICTIONS,
    SPLITS,
    STATISTICS,
)
from phonemes.storage.read import read_lengths, read_stored


@pytest.mark.parametrize("over", ["utterance", "corpus", "none"])
def test_statistics_of_the_training_set_are_written_whatever_frames_are_normalized_over(
    tmp_path, monkeypatch, over
):
    monkeypatch.chdir(tmp_path)
    begin()
    set_params({"normalize": {"over": over, "relevance": 9}})
    write_flat()
    run_stages("corpus", "normalize")
    mean, deviation = np.load(STATISTICS)
    frames = np.load(CORPUS / "frames/train.npy").astype(np.float64)
    if over == "none":
        assert (mean == 0).all() and (deviation == 1).all()
    else:
        assert np.allclose(mean, frames.mean(0))
    if over == "corpus":
        assert np.allclose(deviation, frames.std(0))
    assert json.loads(NORMALIZATION.read_text()) == asdict(load().normalize.normalization)


def normalize_as(form, jobs=1, **values):
    """Run the stage; return the stored frames of each split."""
    set_params({"normalize": {"storage": form, **values}, "runtime": {"jobs": jobs}})
    run_stages("normalize")
    lengths = {split: read_lengths(CORPUS, split).sum() for split in SPLITS}
    return {split: read_stored(NORMALIZED / f"{split}.npy", lengths[split]) for split in SPLITS}


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """Make the current folder a small project in which the corpus is packed."""
    monkeypatch.chdir(tmp_path)
    begin()
    write_flat()
    run_stages("corpus")


@pytest.mark.parametrize("form", FORMS)
def test_frames_of_all_forms_are_those_of_float32_but_for_rounding(packed, form):
    wide = {split: np.array(found.frames) for split, found in normalize_as("float32").items()}
    seen = normalize_as(form)
    for split, (frames, scales) in seen.items():
        assert frames.dtype == FORMS[form]
        assert frames.tobytes() == narrowed(wide[split], form, scales).tobytes()
    if form == "int8":  # all have the scales of the training set
        scales = [found.scales.tobytes() for found in seen.values()]
        assert len({*scales}) == 1
        error = np.abs(widened(*seen["train"]) - wide["train"]).max(0)
        assert (error < wide["train"].std(0) / 20).all()
    assert "storage" not in json.loads(NORMALIZATION.read_text())


@pytest.mark.parametrize("over", ["utterance", "corpus"])
@pytest.mark.parametrize("form", FORMS)
def test_any_number_of_threads_writes_the_same_bytes(packed, monkeypatch, form, over):
    written = []
    for most, jobs in ((10**9, 1), (8, 1), (8, 2), (8, 5)):
        monkeypatch.setattr(parts.parts, "__defaults__", (most,))
        normalize_as(form, jobs, over=over)
        files = sorted(NORMALIZED.iterdir())
        written.append({file.name: file.read_bytes() for file in files})
    assert all(each == written[0] for each in written)


def test_scales_are_chosen_for_every_so_many_parts_of_a_large_training_set(packed, monkeypatch):
    monkeypatch.setattr(parts.parts, "__defaults__", (1,))  # an utterance is a part
    frames = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    lengths = np.full(8, 5)
    frames[5:10] *= 30  # the second utterance
    params = load().normalize
    params = type(params)("none", True, 0, "int8")
    groups = group_utterances("none", [""] * 8)
    given, _ = split_statistics(frames, lengths, groups, params, None)
    of_all, of_some = [], []
    for most, found in ((40, of_all), (20, of_some)):  # all, and every second utterance
        monkeypatch.setattr("phonemes.normalize.SAMPLE", most)
        found.append(Normalizer(frames, lengths, groups, given, params).scales())
    assert (of_all[0] > 8 * of_some[0]).all()


@pytest.mark.heavy
@pytest.mark.parametrize(("form", "folds"), [("bfloat16", 0), ("int8", 0), ("int8", 2)])
def test_a_network_learns_what_it_learns_of_the_same_frames_in_float32(packed, form, folds):
    set_params({"model": {"precision": "fp32"}, "stacking": {"folds": folds, "networks": 1}})
    stored = normalize_as(form)
    run_stages("context", "train", "evaluate", "predict")
    history = HISTORY.read_text().splitlines()[-1].split(",")[:5]
    outputs = MODEL.read_bytes(), PREDICTIONS.read_bytes(), history
    for split, found in stored.items():
        wide = np.array(widened(*found))
        (NORMALIZED / f"{split}.npy").unlink()
        np.save(NORMALIZED / f"{split}.npy", wide)
    run_stages("train", "evaluate", "predict")
    history = HISTORY.read_text().splitlines()[-1].split(",")[:5]
    assert (MODEL.read_bytes(), PREDICTIONS.read_bytes(), history) == outputs
