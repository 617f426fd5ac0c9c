"""A packed corpus says how its frames were computed, where they were."""

import json
from dataclasses import asdict

import pytest
from helpers import run_stages, set_params
from pipeline.bad_data import GRID0, PROJECTS, RAW, begin

from phonemes.params import load
from phonemes.storage.layout import DESCRIPTION


@pytest.mark.parametrize("project", ["flat", "audio"])
def test_a_corpus_says_where_it_comes_from_and_how_its_frames_were_computed(
    tmp_path, monkeypatch, project
):
    monkeypatch.chdir(tmp_path)
    begin()
    PROJECTS[project]()
    run_stages("corpus")
    given = project == "flat"
    assert json.loads(DESCRIPTION.read_text()) == {
        "source": "arrays" if given else "audio",
        "features": None if given else asdict(load().features),
        "header": ["id", "label"],
    }


def test_what_was_left_out_is_printed_with_its_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    begin()
    PROJECTS["audio"]()
    (RAW / "train-360/s9").mkdir(parents=True)
    GRID0.rename(RAW / "train-360/s9/b.TextGrid")
    set_params({"corpus": {"audio": {"unaligned": "skip"}}})
    run_stages("corpus")
    printed = capsys.readouterr().out.splitlines()
    assert "ignored 1 alignments in folders without recordings, below train-360" in printed
    assert "left out 1 recordings without alignment: 1 of train" in printed
    assert any(line.startswith("train: ") and "in 1 utterances" in line for line in printed)
