"""Each layout's files are found and paired by name; what has no partner is an error."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import PARAMS

from phonemes.corpus.audio.recordings import find_recordings
from phonemes.errors import InputError
from phonemes.params import load

AUDIO = load(PARAMS).corpus.audio
SKIP = replace(AUDIO, unaligned="skip")
KINDS = ("wav", "TextGrid")
LIBRISPEECH = [
    "train-clean-100/1/2/1-2-0003",
    "dev-clean/4/5/4-5-0006",
    "test-clean/7/8/7-8-0009",
]


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def found(folder, layout="textgrid", **changes):
    splits = find_recordings(folder, replace(AUDIO, layout=layout, **changes)).splits
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
    for name in LIBRISPEECH:
        touch(tmp_path, f"{name}.flac", f"aligned/{name}.TextGrid")
    assert found(tmp_path, "librispeech", alignments="aligned") == {
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


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"alignments": "../aligned"}, r"corpus\.audio\.alignments: \.\./aligned"),
        ({"split": "list", "speakers": "../list.csv"}, r"corpus\.audio\.speakers: \.\./list\.csv"),
    ],
)
def test_what_dvc_does_not_watch_is_not_read(changes, named, tmp_path):
    touch(tmp_path / "corpus", *[f"{s}/a.{e}" for s in ["train", "dev", "test"] for e in KINDS])
    touch(tmp_path, *[f"aligned/{s}/a.TextGrid" for s in ["train", "dev", "test"]])
    (tmp_path / "list.csv").write_text("file,split\ntrain/a,train\ndev/a,dev\ntest/a,test\n")
    with pytest.raises(InputError, match=rf"{named} leads out of corpus\.path, .*move or copy"):
        find_recordings(tmp_path / "corpus", replace(AUDIO, **changes))


def test_alignments_within_the_corpus_may_be_named_by_any_path(tmp_path):
    touch(tmp_path, *[f"{s}/a.{e}" for s in ["train", "dev", "test"] for e in KINDS])
    for alignments in (str(tmp_path), f"../{tmp_path.name}", "train/.."):
        assert found(tmp_path, alignments=alignments) == found(tmp_path)


def test_names_from_a_mac_are_those_of_other_systems(tmp_path):
    recording, alignment = (unicodedata.normalize(f, "Chloé/été") for f in ("NFD", "NFC"))
    for split in ("train", "dev", "test"):
        touch(tmp_path, f"{split}/{split}{recording}.wav", f"{split}/{split}{alignment}.TextGrid")
    assert found(tmp_path)["dev"] == [(f"dev/dev{alignment}", "devChloé")]
    touch(tmp_path, f"dev/dev{alignment}.wav")
    with pytest.raises(InputError, match="are one utterance by their names; keep one"):
        find_recordings(tmp_path, AUDIO)


def test_the_entire_test_split_may_lack_alignments(tmp_path):
    touch(tmp_path, "train/1.wav", "train/1.TextGrid", "dev/1.wav", "dev/1.TextGrid")
    touch(tmp_path, "test/1.wav", "test/2.wav")
    splits, notes = find_recordings(tmp_path, AUDIO)
    assert notes == []
    assert [recording.alignment for recording in splits["test"]] == [None, None]
    assert find_recordings(tmp_path, SKIP).splits == splits
    touch(tmp_path, "test/1.TextGrid")
    with pytest.raises(
        InputError, match=r"1 of the 2 recordings in test have no .*2\.TextGrid; add"
    ):
        find_recordings(tmp_path, AUDIO)


def test_recordings_without_alignment_are_counted_and_the_first_named(tmp_path):
    touch(tmp_path, *[f"{split}/{n}.wav" for split in ["train", "dev", "test"] for n in range(5)])
    with pytest.raises(InputError, match=r"5 of the 5 .* train .*/0\.TextGrid, .* and 2 more; add"):
        find_recordings(tmp_path, AUDIO)


def test_recordings_without_alignment_are_left_out_on_request_and_counted(tmp_path):
    for split in ("train", "dev", "test"):
        touch(tmp_path, *[f"{split}/{n}.{e}" for n in range(4) for e in KINDS])
    for lacking in ("train/0", "train/2", "test/3"):
        (tmp_path / f"{lacking}.TextGrid").unlink()
    with pytest.raises(
        InputError, match=r"2 of the 4 .* train .* set corpus\.audio\.unaligned to s"
    ):
        find_recordings(tmp_path, AUDIO)
    splits, notes = find_recordings(tmp_path, SKIP)
    assert [recording.name for recording in splits["train"]] == ["train/1", "train/3"]
    assert [len(splits[split]) for split in ("dev", "test")] == [4, 3]
    assert notes == ["left out 3 recordings without alignment: 2 of train, 1 of test"]


def test_a_split_does_not_lose_all_of_its_recordings(tmp_path):
    touch(tmp_path, "train/1.wav", "dev/1.wav", "dev/1.TextGrid", "test/1.wav", "test/1.TextGrid")
    with pytest.raises(InputError, match=r"1 of the 1 recordings in train .*TextGrid; add them, m"):
        find_recordings(tmp_path, SKIP)


def test_alignments_without_recording_are_an_error(tmp_path):
    touch(tmp_path, "train/1.wav", "train/1.TextGrid", "train/2.TextGrid")
    with pytest.raises(
        InputError, match=r"1 alignment .* without recording .*: train/2\.TextGrid;"
    ):
        find_recordings(tmp_path, AUDIO)


def test_recordings_of_other_formats_are_named(tmp_path):
    touch(tmp_path, "train/2.mp3")
    with pytest.raises(InputError, match=r"layout; convert train/2\.mp3 to \.wav or \.flac$"):
        find_recordings(tmp_path, AUDIO)
    touch(tmp_path, "train/1.wav", "train/1.TextGrid", "train/2.TextGrid")
    with pytest.raises(InputError, match=r"move .* out; convert train/2\.mp3 to \.wav or \.flac$"):
        find_recordings(tmp_path, AUDIO)


def test_alignments_of_folders_that_are_not_there_are_ignored_and_counted(tmp_path):
    for name in [*LIBRISPEECH, "train-clean-360/8/9/8-9-0001", "train-clean-360/8/9/8-9-0002"]:
        touch(tmp_path, f"aligned/{name}.TextGrid")
    touch(tmp_path, *[f"{name}.flac" for name in LIBRISPEECH])
    audio = replace(AUDIO, layout="librispeech", alignments="aligned")
    splits, notes = find_recordings(tmp_path, audio)
    assert [len(recordings) for recordings in splits.values()] == [1, 1, 1]
    assert notes == ["ignored 2 alignments in folders without recordings, below train-clean-360"]


def test_alignments_in_the_wrong_folder_are_not_ignored(tmp_path):
    touch(tmp_path, *[f"{split}/{split}.wav" for split in ["train", "dev", "test"]])
    touch(tmp_path, "train/train.TextGrid", "dev/dev.TextGrid", "tests/test.TextGrid")
    with pytest.raises(InputError, match=r"1 alignment .* without .*: tests/test\.TextGrid;"):
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


@pytest.mark.parametrize("pattern", ["*.TextGrid", "*.wav", "train/"])
def test_recordings_and_alignments_that_dvc_ignores_are_refused(pattern, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split in ("train", "dev", "test"):
        touch(tmp_path, f"raw/{split}/{split}/a.wav", f"raw/{split}/{split}/a.TextGrid")
    assert found(Path("raw"))["train"] == [("train/train/a", "train")]
    (tmp_path / ".dvcignore").write_text(pattern)
    with pytest.raises(InputError, match=r"/a\.\w+ is ignored by \.dvcignore"):
        found(Path("raw"))
