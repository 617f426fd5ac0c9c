"""`phonemes check` ends with 1 where predictions are not to be uploaded, and writes metadata."""

import json
import sys
from pathlib import Path

import pytest
from helpers import run_stages, set_params
from pipeline.bad_data import get_ready_to_train

from phonemes.commands.main import main
from phonemes.storage.layout import CORPUS, MODEL, PREDICTIONS, SCORES

METADATA = Path("model_metadata.json")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a small project with a trained model."""
    monkeypatch.chdir(tmp_path)
    get_ready_to_train()
    set_params({"train": {"epochs": 1}})
    run_stages("train", "evaluate", "predict")
    return tmp_path


@pytest.fixture
def check(capsys, monkeypatch):
    """Return a function that runs the command; it returns exit code or message, and results."""

    def run(*arguments) -> tuple[object, dict[str, str]]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["phonemes", "check", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        run.printed = capsys.readouterr().out.splitlines()
        rows = [line.split() for line in run.printed]
        results = {" ".join(row[:-1]): row[-1] for row in map(up_to_result, rows) if row}
        return end.value.code, results

    return run


def up_to_result(words):
    places = [place for place, word in enumerate(words) if word in ("pass", "warn", "fail")]
    return words[: places[0] + 1] if places else []


def test_what_the_pipeline_wrote_passes(project, check):
    code, results = check()
    assert code == 0
    assert list(results) == [
        "encoding", "line ends", "header", "rows", "ids", "label type", "labels", "content",
    ]  # fmt: skip
    assert "fail" not in results.values()
    warned = "warn" in results.values()
    ending = "look at the warnings before you upload" if warned else "you can upload"
    assert check.printed[-1] == f"no check failed; next: {ending} predictions.csv"


def test_a_file_that_is_wrong_ends_with_what_to_do(project, check):
    text = PREDICTIONS.read_text()
    other = Path("mine.csv")
    other.write_text(text.replace("\n1,", "\n2,"))
    code, results = check(str(other))
    assert code == (
        "error: 1 of 8 checks failed; do not upload mine.csv: `dvc repro predict` writes "
        "predictions.csv again"
    )
    assert [name for name, result in results.items() if result == "fail"] == ["ids"]


def test_the_type_of_label_is_what_params_ask_for(project, check):
    spelling = CORPUS / "spelling.txt"
    spelling.write_text(spelling.read_text().replace("integers", "text", 1))
    assert check()[1]["label type"] == "fail"  # integers for an edition of phonemes
    set_params({"predict": {"label": "int"}})
    assert check()[0] == 0


def test_metadata_are_those_of_the_model(project, check):
    code, results = check("--metadata", str(METADATA))
    assert (code, results["parameters"]) == (0, "pass")
    metadata = json.loads(METADATA.read_text())
    assert list(metadata) == ["parameter_count", "model_architecture"]
    assert metadata["parameter_count"] == json.loads(SCORES.read_text())["model"]["parameters"]
    assert metadata["model_architecture"].startswith("Sequential(\n")


def test_a_model_above_the_limit_fails(project, check):
    set_params({"model": {"max_parameters": 100}})
    code, results = check()
    assert str(code).startswith("error: 1 of 9 checks failed")
    assert results["parameters"] == "fail"


def test_without_a_model_there_are_no_metadata(project, check):
    METADATA.write_text("before")
    MODEL.unlink()
    code, _ = check("--metadata", str(METADATA))
    assert code == "error: models/model.safetensors is missing; run `dvc repro` to make it"
    assert METADATA.read_text() == "before"


def test_without_a_corpus_it_says_how_to_make_one(tmp_path, monkeypatch, check):
    monkeypatch.chdir(tmp_path)
    set_params({})
    code, _ = check()
    assert str(code).startswith("error: cannot read data/corpus/phonemes.txt")
