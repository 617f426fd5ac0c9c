"""`phonemes inspect` shows what the stages wrote, and names what was planted in it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import run_stages, set_params
from pipeline.bad_data import LENGTHS, RAW, TEXTGRID, begin, utterance, write_audio, write_flat

from phonemes.commands.inspect import inspect
from phonemes.errors import InputError
from phonemes.storage.layout import CORPUS, NORMALIZED

pytestmark = pytest.mark.heavy


@pytest.fixture
def flat(tmp_path, monkeypatch):
    """Enter a small project of the course's files, packed."""
    monkeypatch.chdir(tmp_path)
    begin()
    write_flat()
    run_stages("corpus")


def run(*arguments):
    """Return what the command prints."""
    result = CliRunner().invoke(inspect, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_prints_tables_of_the_packed_corpus(flat):
    lines = [line.split() for line in run().splitlines()]
    assert ["frames", *(str(sum(LENGTHS[split])) for split in LENGTHS)] in lines
    assert ["speakers", "unknown", "unknown", "unknown"] in lines
    assert ["Findings"] in lines
    assert not any(line[:2] == ["After", "normalization"] for line in lines)


def test_normalized_frames_are_looked_at_where_there_are_any(flat):
    run_stages("normalize")
    assert "After normalization" in run("--json", "all.json")
    normalized = json.loads(Path("all.json").read_text())["normalized"]
    frames = np.load(NORMALIZED / "train.npy")
    assert normalized["train"]["mean"] == pytest.approx(frames.mean(0, dtype=float))


def test_normalized_frames_of_another_corpus_are_left_out_and_it_is_said(flat):
    run_stages("normalize")
    write_flat(LENGTHS | {"dev": (4, 4)})
    run_stages("corpus")
    text = run()
    assert "normalized frames are left out: data/normalized/dev.npy holds float32" in text
    assert "After normalization" not in text


def test_what_is_planted_is_named(flat):
    frames = np.load(RAW / "train.npy", allow_pickle=True)
    utterance("dev.npy", 1, lambda own: frames[0][: len(own)])
    utterance("train.npy", 1, lambda own: frames[0][: len(own)] + np.float32(2))
    utterance("train_labels.npy", 2, lambda own: np.full(len(own), 5))
    run_stages("corpus")
    text = run()
    assert "train train-00001 = dev dev-00001: but for a constant in each band" in text
    assert "train-00002  all 6 frames are labelled AE0" in text


def test_hours_count_the_stride_of_the_frames(flat, tmp_path, monkeypatch):
    set_params({"features": {"stride": 20}})  # of frames that were given, nothing else tells
    run("--json", "all.json")
    assert json.loads(Path("all.json").read_text())["stride_ms"] == 20
    (tmp_path / "audio").mkdir()
    monkeypatch.chdir(tmp_path / "audio")
    begin()
    write_audio("textgrid", "{split}/{speaker}/a.wav", "{split}/{speaker}/a.TextGrid", TEXTGRID)
    run_stages("corpus")
    set_params({"features": {"stride": 20}})  # not what the frames were computed with
    run("--json", "all.json")
    values = json.loads(Path("all.json").read_text())
    assert values["stride_ms"] == 10
    assert values["splits"]["train"]["speakers"] == 2


def test_minutes_of_a_small_corpus_are_not_rounded_away(flat):
    rows = {line.split()[0]: line.split()[1:] for line in run().splitlines() if line.split()}
    frames = [int(each.replace(",", "")) for each in rows["frames"]]
    assert 0 < max(frames) < 1800
    minutes = [float(each) for each in rows["minutes"]]
    assert minutes == pytest.approx([each / 6000 for each in frames], rel=0.05)


def test_a_picture_is_drawn_of_the_utterance_that_is_named_and_of_nothing_else(flat):
    assert run("--picture", "a.png", "--utterance", "dev-00001") == (
        "a.png: dev dev-00001, 0.05 s\n"
    )
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    printed = run("--picture", "b.png")
    assert "Findings" in printed
    assert printed.splitlines()[-1] == "b.png: train train-00002, 0.06 s"  # of median length


def test_an_unknown_utterance_is_refused_with_one_like_it(flat):
    with pytest.raises(InputError, match=r"no utterance 'dev-0001'; did you mean dev-0000"):
        run("--picture", "a.png", "--utterance", "dev-0001")
    assert not Path("a.png").exists()


def test_an_utterance_without_a_picture_is_refused(flat):
    result = CliRunner().invoke(inspect, ["--utterance", "dev-00001"])
    assert result.exit_code == 2
    assert "--utterance needs --picture FILE, and no --json" in result.output


def test_without_a_corpus_it_is_said_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"data/corpus/phonemes.txt .*run `dvc repro` to make it"):
        run()


@pytest.mark.parametrize("option", ["--json", "--picture"])
def test_a_folder_is_not_replaced_by_a_file(flat, option):
    result = CliRunner().invoke(inspect, [option, "data"])
    assert result.exit_code == 2
    assert "'data' is a directory" in result.output
    assert CORPUS.is_dir()


def test_a_damaged_corpus_is_refused(flat):
    lengths = np.load(CORPUS / "lengths/dev.npy")
    np.save(CORPUS / "lengths/dev.npy", lengths + 1)
    with pytest.raises(InputError, match=r"labels/dev.npy holds int16 .*delete it and run"):
        run()
