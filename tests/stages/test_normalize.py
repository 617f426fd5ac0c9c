"""Normalized frames come with how they were made, so that a model can be used elsewhere."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from helpers import run_stages, set_params
from pipeline.bad_data import begin, write_flat

from phonemes.params import load
from phonemes.storage.layout import CORPUS, NORMALIZATION, STATISTICS


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
