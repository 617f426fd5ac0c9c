"""A packed corpus says how its frames were computed, where they were."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from alignment.spoken import sentences, write
from helpers import run_stages, set_params
from pipeline.bad_data import GRID0, PROJECTS, RAW, begin

from phonemes.errors import InputError
from phonemes.inventory import ARPABET_STRESS
from phonemes.params import load
from phonemes.storage.layout import CORPUS, DESCRIPTION
from stages import corpus


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
    assert "ignored 1 alignment in folders without recordings, below train-360" in printed
    assert "left out 1 recording without alignment: 1 of train" in printed
    assert [line.split() for line in printed[:2]] == [
        ["frames", "utterances", "speakers", "labels"],
        ["train", f"{len(np.load(CORPUS / 'labels/train.npy'))}", "1", "1", "yes"],
    ]


@pytest.fixture
def spoken(tmp_path, monkeypatch):
    """Enter a project whose recordings have texts alone."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/raw/mine"
    paths = [
        folder / name for name in ("train/a/1.wav", "train/a/2.wav", "dev/b/3.wav", "test/c/4.wav")
    ]
    for path, sentence in zip(paths, write(*paths), strict=True):
        path.with_suffix(".txt").write_text(" ".join(sentence.words))
    set_params(
        {"corpus": {"source": "audio", "path": str(folder), "audio": {"transcripts": "align"}}}
    )
    return folder


@pytest.mark.heavy
def test_recordings_and_texts_are_enough_for_a_labelled_corpus(spoken, capsys):
    run_stages("corpus")
    printed = capsys.readouterr().out.splitlines()
    assert "aligned the texts of 4 recordings with a network that was trained before" in printed
    lengths = np.load(CORPUS / "lengths/train.npy")
    labels = np.load(CORPUS / "labels/train.npy")[: lengths[0]]
    times = (np.arange(lengths[0]) + 0.5) / 100
    right = []
    for word in sentences()[0].truth:
        ends = [*word.times[1:], word.times[-1]]
        for phone, start, end in zip(word.phones, word.times, ends, strict=False):
            found = labels[(times >= start) & (times < end)]
            right += [ARPABET_STRESS[label].rstrip("012") == phone for label in found]
    # .80 to .81 with bfloat16 and with float32, by the kind of CPU
    assert len(right) > 200 and np.mean(right) > 0.75


@pytest.mark.heavy
def test_texts_are_not_aligned_unless_that_is_asked_for(spoken):
    set_params({"corpus": {"audio": {"transcripts": "refuse"}}})
    with pytest.raises(
        InputError, match=r"align their texts with `phonemes align .*/data/raw/mine`"
    ):
        corpus.open_source(load())


@pytest.mark.heavy
def test_a_network_for_texts_lies_in_the_corpus_where_dvc_watches_it(spoken, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"")
    set_params({"corpus": {"audio": {"model": "../../../other.safetensors"}}})
    with pytest.raises(InputError, match=r"^corpus\.audio\.model: .* leads out of corpus\.path"):
        corpus.open_source(load())
