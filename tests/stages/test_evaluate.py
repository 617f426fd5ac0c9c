"""Evaluate: scores to compare in evaluate.json, their intervals in tables, and plain refusals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from helpers import run_stages
from pipeline.bad_data import get_ready_to_train

from phonemes.inference.device import choose_device
from phonemes.model.store import TrainedNetwork, load_model, save_model
from phonemes.scoring.predictions import read_predictions
from phonemes.storage.layout import (
    CORPUS,
    FRAME_PREDICTIONS,
    MODEL,
    PREDICTIONS,
    SCORES,
    TABLES,
)

COMPARED = {
    "accuracy",
    "macro_f1",
    "cross_entropy",
    "top3_accuracy",
    "folded_accuracy",
    "accuracy_without_sil",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a small project with a model."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        get_ready_to_train()
        run_stages("train")
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """Enter a copy of the small project."""
    folder = tmp_path / "project"
    shutil.copytree(trained, folder, symlinks=True)
    monkeypatch.chdir(folder)


def speak(*speakers, split="dev"):
    """Have the utterances of a split be spoken by some speakers, one after the other."""
    path = CORPUS / f"utterances/{split}.csv"
    table = pd.read_csv(path, dtype=str)
    table["speaker"] = [speakers[u % len(speakers)] for u in range(len(table))]
    table.to_csv(path, index=False)


def scores_of(split):
    return pd.read_csv(TABLES / split / "scores.csv", index_col="score")


def stopped(*names):
    """Run stages that must fail and return the message."""
    with pytest.raises(SystemExit) as stop:
        run_stages(*names)
    return stop.value.code


def overflow():
    """Make weights of the model so large that their products are infinite."""
    bundle = load_model(MODEL, choose_device("cpu"))
    (classifier,) = bundle.model.base
    state = classifier.network.state_dict()
    state["0.weight"].fill_(3e38)
    network = TrainedNetwork(classifier.architecture, state)
    save_model(MODEL, [network], [], bundle.purpose, bundle.phones, bundle.facts)


def test_evaluate_json_holds_what_is_compared_between_runs_and_no_more(project):
    run_stages("evaluate")
    results = json.loads(SCORES.read_text())
    assert set(results) <= {"model", "dev", "test"}
    assert set(results["model"]) == {"parameters", "epoch"}
    assert set(results["dev"]) == COMPARED
    assert all(value == round(value, 4) for value in results["dev"].values())
    values = scores_of("dev")["value"].to_dict()
    assert {*values} - COMPARED == {"calibration_error", "phone_error_rate"}
    assert results["dev"] == {name: values[name] for name in results["dev"]}


def test_tables_and_predictions_of_frames_agree_with_the_scores(project):
    speak("a", "b")
    run_stages("evaluate")
    folder, lengths = TABLES / "dev", np.load(CORPUS / "lengths/dev.npy")
    with (folder / FRAME_PREDICTIONS).open("rb") as file:
        frames = read_predictions(file, lengths.sum(), 71, "")
    assert np.array_equal(frames.labels, np.load(CORPUS / "labels/dev.npy"))
    right = frames.labels == frames.predicted
    assert scores_of("dev")["value"]["accuracy"] == pytest.approx(right.mean(), abs=1e-4)
    for name in ("phonetic_classes", "boundaries", "speakers", "utterances", "calibration"):
        assert pd.read_csv(folder / f"{name}.csv")["frames"].sum() == len(right), name
    errors = pd.read_csv(folder / "phone_errors.csv")["error_rate"][0]
    assert scores_of("dev")["value"]["phone_error_rate"] == pytest.approx(errors, abs=1e-4)


@pytest.mark.parametrize(
    ("speakers", "unit", "units"),
    [(("a", "b"), "speakers", 2), (("",), "utterances", None)],
)
def test_intervals_and_the_line_say_what_they_count(project, capsys, speakers, unit, units):
    speak(*speakers)
    units = units or len(np.load(CORPUS / "lengths/dev.npy"))
    run_stages("evaluate")
    table = scores_of("dev")
    assert set(table["unit"]) == {unit} and set(table["units"]) == {units}
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    value, low, high = table.loc["accuracy", ["value", "low", "high"]]
    printed = capsys.readouterr().out
    assert f"dev:  accuracy {value:.4f} (95 % {low:.4f} to {high:.4f}; {units} {unit})" in printed


def test_of_one_speaker_there_is_no_interval(project, capsys):
    speak("a")
    run_stages("evaluate")
    assert scores_of("dev")[["low", "high"]].isna().all(axis=None)
    assert " (no interval: 1 speaker), " in capsys.readouterr().out


def test_another_speaker_of_an_utterance_changes_the_intervals_alone(project):
    speak("a", "b")
    run_stages("evaluate")
    confusions = TABLES / "dev/confusion.csv"
    before = SCORES.read_bytes(), confusions.read_bytes(), scores_of("dev")
    speak("a", "a", "b")
    run_stages("evaluate")
    assert (SCORES.read_bytes(), confusions.read_bytes()) == before[:2]
    assert scores_of("dev")["value"].equals(before[2]["value"])
    assert not scores_of("dev")["high"].equals(before[2]["high"])


@pytest.mark.parametrize("test_is_labelled", [True, False])
def test_without_labels_of_dev_evaluate_says_what_is_missing(project, test_is_labelled):
    labels = CORPUS / "labels"
    if test_is_labelled:
        lengths = np.load(CORPUS / "lengths/test.npy")
        np.save(labels / "test.npy", np.zeros(lengths.sum(), np.int16))
    (labels / "dev.npy").unlink()
    assert stopped("evaluate") == (
        f"error: {labels / 'dev.npy'} is missing; run `dvc repro` to make it"
    )
    assert not SCORES.exists() and not TABLES.exists()


@pytest.mark.parametrize("stage", ["evaluate", "predict"])
def test_a_model_whose_products_overflow_is_refused_and_nothing_written(project, stage):
    run_stages("evaluate", "predict")
    before = {path: path.read_bytes() for path in (SCORES, PREDICTIONS)}
    overflow()
    message = stopped(stage)
    assert message.startswith(f"error: {MODEL} gives ")
    assert "frames posteriors that are NaN or infinite: its weights" in message
    assert {path: path.read_bytes() for path in before} == before
