"""Each layout's files are found and paired by name; what has no partner is an error."""

from dataclasses import replace

import pytest
from helpers import PARAMS

from phonemes.corpus.audio.recordings import find_recordings
from phonemes.errors import InputError
from phonemes.params import load

AUDIO = load(PARAMS).corpus.audio


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def found(folder, layout="textgrid", **changes):
    splits = find_recordings(folder, replace(AUDIO, layout=layout, **changes))
    for recordings in splits.values():
        for recording in recordings:
            assert recording.audio.is_file()
            assert recording.alignment is None or recording.alignment.is_file()
    return {
        split: [(recording.name, recording.speaker) for recording in recordings]
        for split, recordings in splits.items()
    }


def test_textgrids_lie_next_to_wav_and_flac_in_any_folder(tmp_path):
    for name in ["train/b/2", "train/b/1", "dev/c/d/1", "test/1"]:
        touch(tmp_path, f"{name}.TextGrid")
    touch(tmp_path, "train/b/2.wav", "train/b/1.FLAC", "dev/c/d/1.wav", "test/1.wav")
    touch(tmp_path, "train/b/1.txt", "notes.csv", "train/b/._1.wav", ".trash/x.wav")
    assert found(tmp_path) == {
        "train": [("train/b/1", "b"), ("train/b/2", "b")],
        "dev": [("dev/c/d/1", "d")],
        "test": [("test/1", "")],
    }


def test_librispeech_has_its_alignments_in_a_parallel_tree(tmp_path):
    for name in [
        "train-clean-100/1/2/1-2-0003",
        "dev-clean/4/5/4-5-0006",
        "test-clean/7/8/7-8-0009",
    ]:
        touch(tmp_path, f"LibriSpeech/{name}.flac", f"aligned/{name}.TextGrid")
    assert found(tmp_path / "LibriSpeech", "librispeech", alignments="../aligned") == {
        "train": [("train-clean-100/1/2/1-2-0003", "1")],
        "dev": [("dev-clean/4/5/4-5-0006", "4")],
        "test": [("test-clean/7/8/7-8-0009", "7")],
    }


def test_timit_in_upper_and_lower_case_with_and_without_riff_copies(tmp_path):
    touch(tmp_path, "TRAIN/DR1/FCJF0/SA1.WAV", "TRAIN/DR1/FCJF0/SA1.WAV.wav")
    touch(tmp_path, "TRAIN/DR1/FCJF0/SA1.PHN", "TRAIN/DR1/FCJF0/SA1.WRD")
    touch(tmp_path, "dev/dr2/mabc0/sa1.wav", "dev/dr2/mabc0/sa1.phn")
    touch(tmp_path, "TEST/DR3/MDEF0/SA2.WAV.wav", "TEST/DR3/MDEF0/SA2.PHN")
    assert found(tmp_path, "timit") == {
        "train": [("TRAIN/DR1/FCJF0/SA1", "FCJF0")],
        "dev": [("dev/dr2/mabc0/sa1", "mabc0")],
        "test": [("TEST/DR3/MDEF0/SA2", "MDEF0")],
    }


def test_arctic_has_folders_for_wav_and_lab_and_others_are_ignored(tmp_path):
    for voice in ["bdl", "slt", "rms"]:
        touch(tmp_path, f"{voice}/wav/a1.wav", f"{voice}/lab/a1.lab", f"{voice}/orig/a1.wav")
    splits = found(tmp_path, "arctic", split="share")
    everything = sorted(splits["train"] + splits["dev"] + splits["test"])
    assert everything == [(f"{voice}/wav/a1", voice) for voice in ["bdl", "rms", "slt"]]


def test_folders_may_be_links(tmp_path):
    touch(tmp_path, *[f"far/{s}/x.{e}" for s in ["tr", "de", "te"] for e in ["wav", "TextGrid"]])
    (tmp_path / "corpus").mkdir()
    for split, target in {"train": "tr", "dev": "de", "test": "te"}.items():
        (tmp_path / "corpus" / split).symlink_to(tmp_path / "far" / target)
    assert found(tmp_path / "corpus")["dev"] == [("dev/x", "")]


def test_the_entire_test_split_may_lack_alignments(tmp_path):
    touch(tmp_path, "train/1.wav", "train/1.TextGrid", "dev/1.wav", "dev/1.TextGrid")
    touch(tmp_path, "test/1.wav", "test/2.wav")
    splits = find_recordings(tmp_path, AUDIO)
    assert [recording.alignment for recording in splits["test"]] == [None, None]
    touch(tmp_path, "test/1.TextGrid")
    with pytest.raises(
        InputError, match=r"1 of the 2 recordings in test have no .*2\.TextGrid; add"
    ):
        find_recordings(tmp_path, AUDIO)


def test_recordings_without_alignment_are_counted_and_the_first_named(tmp_path):
    touch(tmp_path, *[f"{split}/{n}.wav" for split in ["train", "dev", "test"] for n in range(5)])
    with pytest.raises(InputError, match=r"5 of the 5 .* train .*/0\.TextGrid, .* and 2 more; add"):
        find_recordings(tmp_path, AUDIO)


def test_alignments_without_recording_are_an_error(tmp_path):
    touch(tmp_path, "train/1.wav", "train/1.TextGrid", "train/2.TextGrid")
    with pytest.raises(
        InputError, match=r"1 alignments .* have no recording .*: train/2\.TextGrid;"
    ):
        find_recordings(tmp_path, AUDIO)


def test_two_recordings_of_one_name_are_an_error(tmp_path):
    touch(tmp_path, "train/1.wav", "train/1.flac")
    with pytest.raises(InputError, match=r"1\.flac and .*1\.wav are one utterance by their names"):
        find_recordings(tmp_path, AUDIO)


def test_a_corpus_without_recordings_or_folder_is_an_error(tmp_path):
    with pytest.raises(
        InputError, match=r"holds no \.wav file in layout timit; check corpus\.path"
    ):
        find_recordings(tmp_path, replace(AUDIO, layout="timit"))
    with pytest.raises(InputError, match="missing is no folder"):
        find_recordings(tmp_path / "missing", AUDIO)
    touch(tmp_path, "train/1.wav")
    with pytest.raises(InputError, match=r"missing is no folder.*corpus\.audio\.alignments"):
        find_recordings(tmp_path, replace(AUDIO, alignments="missing"))
