"""The benchmark of accuracy normalizes, trains and scores as the stages do."""

import json
import sys

import numpy as np
import pytest
from helpers import changed, run_stages

from benchmarks import accuracy
from benchmarks.accuracy import CorpusSplit, normalized_splits, part, trained
from benchmarks.studies import Row
from phonemes.params import load
from phonemes.storage.layout import HISTORY, NORMALIZED

LEARNING = {"data": {"k": 0}, "train": {"epochs": 20, "batch_size": 60, "lr": 0.5}}


def test_a_share_of_the_utterances_is_a_run_of_them_and_another_with_another_seed():
    lengths = np.arange(1, 21)
    frames = np.repeat(np.arange(20.0), lengths)[:, None]
    labels = np.repeat(np.arange(20), lengths)
    split = CorpusSplit(frames, lengths, labels, [f"s{number}" for number in range(20)])
    assert part(split, 1, 0) is split
    begins = set()
    for seed in range(9):
        taken = part(split, 0.3, seed)
        first = int(taken.labels[0])
        assert taken.lengths.tolist() == list(range(first + 1, first + 7))
        assert taken.labels.tolist() == taken.frames[:, 0].tolist()
        assert taken.labels.tolist() == np.repeat(range(first, first + 6), taken.lengths).tolist()
        assert taken.speakers == [f"s{number}" for number in range(first, first + 6)]
        begins.add(first)
    assert len(begins) > 3


@pytest.fixture
def corpus():
    """Return frames that are codes of their labels, which stay for ten frames, with noise."""
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 4, 60), 10)
    frames = (np.eye(4)[labels] + random.normal(0, 0.7, (600, 4))).astype(np.float32)
    return CorpusSplit(frames, np.array([200, 400]), labels, ["", ""])


def test_speakers_are_normalized_each_on_their_own(corpus, params):
    speakers = corpus._replace(speakers=["a", "b"])
    alone = changed(params.normalize, over="speaker", relevance=0.0)
    for split in normalized_splits((speakers, speakers), alone):
        for frames in np.split(split.frames, [200]):
            assert frames.mean(0) == pytest.approx(0, abs=1e-6)
            assert frames.std(0) == pytest.approx(1, rel=1e-5)


def test_a_training_is_scored_at_its_best_epoch_with_and_without_smoothing(corpus, params):
    [result] = trained(corpus, corpus, changed(params, **LEARNING), 4)
    assert result.accuracy == max(epoch["dev_accuracy"] for epoch in result.history)
    assert 0.5 < result.accuracy < result.smoothed
    assert 0 < result.seconds < result.elapsed


def test_what_is_stacked_is_scored_before_and_after(corpus, params):
    base = changed(params, **LEARNING)
    stacking = {"folds": 2, "networks": 2, "context": 3, "hidden": (16, 16), "epochs": 20}
    further = {
        "two": changed(base, stacking=stacking),
        "one": changed(base, stacking=stacking | {"networks": 1}),
        "sharp": changed(base, smooth={"lm_scale": 1.0, "acoustic_scale": 1.0}),
    }
    single, two, one, sharp = trained(corpus, corpus, base, 4, further)
    assert 0.5 < single.accuracy < two.accuracy  # its windows of posteriors are wider
    assert single.accuracy < one.accuracy != two.accuracy
    assert single.history == two.history == one.history
    assert sharp.accuracy == single.accuracy
    assert sharp.smoothed != single.smoothed
    assert single.seconds == sharp.seconds < min(one.seconds, two.seconds)
    for result in (single, two, one, sharp):
        assert result.seconds < result.elapsed


def test_normalization_and_training_are_those_of_the_stages(project, params):
    train, dev = (accuracy.read_labelled(split, project) for split in ("train", "dev"))
    for split, name in zip(
        normalized_splits((train, dev), params.normalize), ("train", "dev"), strict=True
    ):
        assert np.array_equal(split.frames, np.load(NORMALIZED / f"{name}.npy"))
    run_stages("train")
    [result] = trained(train, dev, load(), 40)
    header, *lines = HISTORY.read_text().splitlines()
    stored = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    for kept, epoch in zip(stored, result.history, strict=True):
        assert float(kept["train_loss"]) == pytest.approx(epoch["train_loss"], rel=1e-5)
        assert float(kept["dev_accuracy"]) == pytest.approx(epoch["dev_accuracy"], rel=1e-5)


def test_what_the_file_holds_is_not_trained_again(project, params, monkeypatch, capsys):
    stacking = {"folds": 2, "networks": 1, "hidden": (4, 4)}
    further = {"stacked": changed(params, stacking=stacking)}
    row = Row("a row", params, share=0.5, further=further)
    monkeypatch.setattr(accuracy, "rows", lambda study: [row])
    file, picture = project / "found.json", project / "curves.png"
    command = ["accuracy", ".", "recipes", "--epochs", "1", "--json", str(file)]

    def printed(*more):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [*command, *more])
        accuracy.main()
        return capsys.readouterr().out.splitlines()[2:]

    once = printed("--seeds", "1")
    assert [line.split(" | ")[0] for line in once] == ["| a row", "| a row, stacked"]
    first = json.loads(file.read_text())
    assert [len(run["history"]) for run in first["a row"]] == [1]
    assert printed("--seeds", "1", "--plot", str(picture)) == once
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed("--seeds", "2")
    second = json.loads(file.read_text())
    for name in ("a row", "a row, stacked"):
        assert second[name][:1] == first[name]
        assert len(second[name]) == 2
    assert second["a row"][0]["history"] != second["a row"][1]["history"]
