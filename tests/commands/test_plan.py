"""`phonemes plan` says before training what a model will be, on one screen, and writes nothing."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from helpers import run_stages, set_params
from pipeline.bad_data import begin, get_ready_to_train

from phonemes.commands.main import main
from phonemes.model.architecture import describe
from phonemes.model.store import load_model
from phonemes.storage.layout import CONTEXT, CORPUS, MODEL, NORMALIZED, SCORES


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project that is ready to train."""
    monkeypatch.chdir(tmp_path)
    get_ready_to_train()
    return tmp_path


@pytest.fixture
def plan(capsys, monkeypatch):
    """Return a function that runs the command in this process and returns what it printed."""

    def run(*options) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["phonemes", "plan", *options])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0, end.value.code
        return capsys.readouterr().out

    return run


def test_what_is_planned_is_what_is_trained(project, plan):
    set_params({"stacking": {"folds": 2, "networks": 1}, "train": {"batch_size": 8}})
    planned = json.loads(plan("--json"))
    run_stages("train", "evaluate")
    assert planned["parameters"] == json.loads(SCORES.read_text())["model"]["parameters"]
    trained = load_model(MODEL, torch.device("cpu")).model
    for network, kind in zip(planned["networks"], (trained.base, trained.stacked), strict=True):
        assert network["number"] == len(kind)
        assert network["layers"] == describe(kind[0].architecture).splitlines()


def test_the_facts_are_those_of_the_training_set(project, plan):
    facts = json.loads(plan("--json"))
    lengths = np.load(CORPUS / "lengths/train.npy")
    labels = np.split(np.load(CORPUS / "labels/train.npy"), np.cumsum(lengths)[:-1])
    phones = sum(1 + (utterance[1:] != utterance[:-1]).sum() for utterance in labels)
    frames = sum(map(len, labels))
    assert facts["training_set"] == {
        "frames": frames, "bands": 40, "utterances": 3, "speakers": None, "phonemes": 71,
        "phones": phones,
    }  # fmt: skip
    k = facts["window"]["k"]
    assert facts["window"]["phones"] == pytest.approx((2 * k + 1) * phones / frames, abs=0.01)
    assert facts["steps_per_epoch"] == -(-frames // facts["batch_size"])
    assert facts["missing"] is None


def test_another_k_is_planned_though_the_index_is_of_the_old_one(project, plan):
    set_params({"data": {"k": 9}})
    shutil.rmtree(CONTEXT)
    shutil.rmtree(NORMALIZED)
    facts = json.loads(plan("--json"))
    assert facts["window"]["frames"] == 19
    assert facts["networks"][0]["layers"][0] == "input: window of 19 frames x 40 bands"
    assert facts["run_seconds"] > 0


@pytest.mark.parametrize("columns", [60, 80])
def test_it_fits_one_screen(project, plan, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = plan().splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) <= 24
    assert lines[0].startswith("training set")
    assert any(line.startswith("largest batch") for line in lines)


def test_networks_of_a_kind_are_shown_once_with_their_number(project, plan):
    set_params({"stacking": {"folds": 2, "networks": 4}})
    text = plan()
    assert text.count("input: window of") == 2
    assert "\n3 base networks, 1,187 parameters each\n" in text
    assert "\n4 stacked networks, " in text
    assert " = 3 x 1,187 + 4 x " in text


def test_a_batch_that_does_not_fit_is_told(project, plan, monkeypatch):
    monkeypatch.setattr("phonemes.training.estimate.free_memory", lambda device: 1)
    batch = json.loads(plan("--json"))["batch_size"]
    assert f"none fits, computed from this memory; {batch} is too large\n" in plan()


def test_a_pipe_gets_no_control_characters(project, plan):
    assert plan().replace("\n", "").isprintable()


def test_more_parameters_than_the_limit_are_told(project, plan):
    set_params({"model": {"max_parameters": 100}})
    assert "more than model.max_parameters, 100; the train stage will refuse\n" in plan()
    set_params({"model": {"max_parameters": 10**6}})
    assert "of 1,000,000 that model.max_parameters allows\n" in plan()


def test_before_the_corpus_is_packed_the_network_is_that_of_params(tmp_path, monkeypatch, plan):
    monkeypatch.chdir(tmp_path)
    begin()
    set_params({"corpus": {"source": "synthetic"}, "features": {"bands": 20}})
    facts = json.loads(plan("--json"))
    assert facts["networks"][0]["layers"][0].endswith("x 20 bands")
    assert "71 phonemes" in facts["networks"][0]["layers"][-1]
    assert "run_seconds" not in facts
    assert plan().endswith(
        "\nthe corpus is not packed yet: run `dvc repro normalize context`, then this again, for "
        "time, memory and the largest batch\n"
    )
    set_params({"corpus": {"source": "audio", "audio": {"phonemes": "arpabet-plain"}}})
    assert "40 phonemes" in json.loads(plan("--json"))["networks"][0]["layers"][-1]


def test_what_only_the_files_of_the_course_say_is_not_known_before(tmp_path, monkeypatch, plan):
    monkeypatch.chdir(tmp_path)
    begin()
    assert "parameters" not in json.loads(plan("--json"))
    assert "for the network, its parameters, time, memory and" in plan()


def test_a_corpus_of_other_parameters_is_not_taken_for_this_one(project, plan):
    set_params({"corpus": {"source": "synthetic"}})
    facts = json.loads(plan("--json"))
    assert (
        facts["missing"] == "the corpus was packed with other values of corpus.source or features"
    )
    assert "training_set" not in facts


def test_it_writes_nothing(project, plan):
    def files():
        return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}

    before = files()
    plan()
    assert files() == before
