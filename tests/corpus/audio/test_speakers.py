"""Every recording has one speaker and one split, by its folders, a list or a seeded draw."""

import os
import shlex
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from helpers import PARAMS, ROOT
from hypothesis import given
from hypothesis import strategies as st

from phonemes.corpus.audio import speakers
from phonemes.corpus.audio.speakers import (
    PATTERN_EXAMPLE,
    Place,
    places,
    share_speakers,
    speaker_of,
    speakers_of,
)
from phonemes.errors import InputError
from phonemes.params import load

AUDIO = load(PARAMS).corpus.audio
SHARE = replace(AUDIO, split="share")


def files(*paths):
    return {path.removesuffix(".wav"): PurePosixPath(path) for path in paths}


@pytest.mark.parametrize(
    ("path", "layout", "speaker"),
    [
        ("train/ann/x/a.wav", "textgrid", "x"),
        ("train/ann/a.wav", "textgrid", "ann"),
        ("train/a.wav", "textgrid", ""),  # the folder of a split is no speaker
        ("train-clean-100/103/1240/103-1240-0000.flac", "librispeech", "103"),
        ("TRAIN/DR1/FCJF0/SA1.WAV", "timit", "FCJF0"),
        ("train/cmu_us_bdl_arctic/wav/arctic_a0001.wav", "arctic", "cmu_us_bdl_arctic"),
    ],
)
def test_a_speaker_is_the_folder_of_the_layout(path, layout, speaker):
    assert speaker_of(PurePosixPath(path), replace(AUDIO, layout=layout)) == speaker


def test_without_split_folders_the_first_folder_can_be_a_speaker():
    assert speaker_of(PurePosixPath("ann/a.wav"), SHARE) == "ann"
    assert speaker_of(PurePosixPath("a.wav"), SHARE) == ""


def test_a_speaker_can_be_searched_in_the_path():
    audio = replace(AUDIO, speaker=r"/([a-z]+)_\d+\.wav$")
    assert speaker_of(PurePosixPath("train/x/ann_12.wav"), audio) == "ann"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (r"([a-z]+", "corpus.audio.speaker is .*: missing \\)"),
        (r"(a{99999999999})", "the repetition number is too large; expected folder or"),
        ("(" * 3000 + "a" + ")" * 3000, r"corpus.audio.speaker is '\({200}…': .*; expected folder"),
        (r"[a-z]+_", "it has no group; expected folder or a regular expression whose group 1"),
        (r"([A-Z]+)_", r"finds no speaker in 'train/ann_12\.wav'"),
        (r"([A-Z]*)ann_", r"finds no speaker in 'train/ann_12\.wav'"),
    ],
)
def test_a_search_that_cannot_find_a_speaker_is_an_error(expression, message):
    with pytest.raises(InputError, match=message):
        speaker_of(PurePosixPath("train/ann_12.wav"), replace(AUDIO, speaker=expression))


def test_a_pattern_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(speakers, "PATTERN_SECONDS", 0.1)
    audio = replace(AUDIO, speaker="^(a+)+$")
    with pytest.raises(InputError, match=r"'\^\(a\+\)\+\$' takes longer than 0\.1 s; avoid"):
        speakers_of(files("a" * 60 + "/b.wav"), audio)


def test_a_speaker_is_found_in_either_form_of_unicode():
    file = PurePosixPath(unicodedata.normalize("NFD", "train/é_1.wav"))
    assert speaker_of(file, replace(AUDIO, speaker="/(.)_")) == "é"
    pattern = unicodedata.normalize("NFD", "/(é)_")
    assert speaker_of(file, replace(AUDIO, speaker=pattern)) == "é"


@pytest.mark.heavy
@pytest.mark.parametrize(
    "pattern", [PATTERN_EXAMPLE, """-S "corpus.audio.speaker='^[^/]+/([^/]+)/'\""""]
)
def test_the_quotes_that_messages_and_params_yaml_show_are_right_for_dvc(pattern, tmp_path):
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides

    (option, value) = shlex.split(pattern)
    assert option == "-S"
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text("utf-8"), "utf-8")
    (overrides,) = to_path_overrides([value]).values()
    apply_overrides(path, overrides)
    assert load(path).corpus.audio.speaker == value.partition("=")[2].strip("'")


def test_params_yaml_shows_the_quotes_that_messages_show():
    assert PATTERN_EXAMPLE in (ROOT / "params.yaml").read_text("utf-8")


# Folders of one name


SESSIONS = [f"{who}/Session{n}/x.wav" for who in ("F01", "F03", "M01") for n in (1, 2)]


@pytest.mark.parametrize(
    ("paths", "audio", "folders", "pattern"),
    [
        (SESSIONS, SHARE, "F01/Session1 and F03/Session1", "^([^/]+)/"),
        (
            [f"train/{path}" for path in SESSIONS],
            AUDIO,
            "F01/Session1 and F03/Session1",
            "^[^/]+/([^/]+)/",
        ),
        (
            ["a/ann/wav/1.wav", "b/ann/wav/1.wav"],
            replace(SHARE, layout="arctic"),
            "a/ann and b/ann",
            "^([^/]+)/",
        ),
    ],
)
def test_folders_of_one_name_in_different_folders_are_not_one_speaker(
    paths, audio, folders, pattern
):
    with pytest.raises(InputError, match=f"corpus.audio.speaker: folder takes {folders}") as raised:
        speakers_of(files(*paths), audio)
    assert f"-S \"corpus.audio.speaker='{pattern}'\"" in str(raised.value)


def test_the_setting_that_is_shown_tells_speakers_of_sessions_apart():
    found = speakers_of(files(*SESSIONS), replace(SHARE, speaker="^([^/]+)/"))
    assert sorted(found.values()) == ["F01", "F01", "F03", "F03", "M01", "M01"]


@pytest.mark.parametrize(
    ("paths", "audio"),
    [
        (["train/ann/1.wav", "dev/ann/1.wav"], AUDIO),  # which `pack` refuses or allows
        (["train-a/ann/1.wav", "train-b/ann/1.wav"], AUDIO),
        (
            ["train-clean-100/1/2/a.flac", "train-clean-360/1/3/b.flac"],
            replace(SHARE, layout="librispeech"),
        ),
        (["TRAIN/DR1/FAAA0/a.WAV", "TEST/DR1/FAAA0/b.WAV"], replace(SHARE, layout="timit")),
    ],
)
def test_a_speaker_may_be_in_several_parts_of_a_corpus(paths, audio):
    assert len(set(speakers_of(files(*paths), audio).values())) == 1


def test_sessions_are_not_taken_for_the_speakers_of_a_list(tmp_path):
    (tmp_path / "list.csv").write_text("speaker,split\nSession1,train\nSession2,dev\n")
    audio = replace(AUDIO, split="list", speakers="list.csv")
    with pytest.raises(InputError, match="folder takes F01/Session1 and F03/Session1"):
        places(files(*SESSIONS), tmp_path, audio)


# Splits


def test_librispeech_without_its_folders_is_an_error():
    with pytest.raises(
        InputError, match=r"1/a\.flac: layout librispeech expects SUBSET/SPEAKER/CHAP"
    ):
        speaker_of(PurePosixPath("1/a.flac"), replace(SHARE, layout="librispeech"))


def test_the_first_folder_names_the_split(tmp_path):
    paths = ["train-clean-100/1/a.wav", "TRAIN/2/a.wav", "Dev-other/3/a.wav", "val/4/a.wav"]
    paths += ["validation/5/a.wav", "TEST/6/a.wav"]
    found = places(files(*paths), tmp_path, AUDIO)
    assert [place.split for place in found.values()] == ["train"] * 2 + ["dev"] * 3 + ["test"]


@pytest.mark.parametrize("stray", ["misc/x.wav", "train.wav", "a/train/x.wav"])
def test_recordings_in_no_split_folder_are_an_error(stray, tmp_path):
    paths = files("train/1/a.wav", "dev/2/a.wav", "test/3/a.wav", stray)
    with pytest.raises(InputError, match=rf"1 recording in no folder train.*: {stray};"):
        places(paths, tmp_path, AUDIO)


def test_a_missing_dev_folder_suggests_shares(tmp_path):
    with pytest.raises(InputError, match=r"is in the dev split; .*corpus\.audio\.split to share"):
        places(files("TRAIN/1/a.wav", "TEST/2/a.wav"), tmp_path, AUDIO)


@given(
    st.sets(st.text(min_size=1), min_size=4, max_size=40),
    st.integers(0, 99),
    st.floats(0, 0.4),
    st.floats(0, 0.4),
    st.randoms(),
)
def test_shares_depend_on_the_speakers_and_the_seed_alone(names, seed, dev, test, random):
    audio = replace(SHARE, seed=seed, dev_share=dev, test_share=test)
    shuffled = list(names) * 2
    random.shuffle(shuffled)
    splits = share_speakers(shuffled, audio)
    assert splits == share_speakers(sorted(names), audio)
    count = Counter(splits.values())
    assert count["dev"] == max(1, round(dev * len(names)))
    assert count["test"] == max(1, round(test * len(names)))
    assert count["train"] > 0


def test_another_seed_draws_other_speakers():
    names = [str(n) for n in range(100)]
    assert share_speakers(names, SHARE) != share_speakers(names, replace(SHARE, seed=2))


def test_shares_need_known_speakers_and_one_for_each_split():
    with pytest.raises(
        InputError, match="train no speaker: dev takes 1 and test 1 of 2 \\(a, b\\)"
    ):
        share_speakers(["a", "b"], SHARE)
    with pytest.raises(InputError, match="share needs the speaker of every recording"):
        share_speakers(["a", "b", "c", ""], SHARE)


def listed(folder, text, **changes):
    (folder / "list.csv").write_text(text, "utf-8")
    audio = replace(AUDIO, split="list", speakers="list.csv", **changes)
    return places(files("a/1.wav", "a/2.wav", "b/1.wav", "c/1.wav"), folder, audio)


def test_a_list_can_give_the_split_of_each_speaker(tmp_path):
    found = listed(tmp_path, "speaker,split\na,train\nb,val\nc,TEST\n", speaker="^(.)/")
    places = [("a", "train"), ("a", "train"), ("b", "dev"), ("c", "test")]
    assert list(found.values()) == places


def test_a_list_can_give_the_split_and_speaker_of_each_file(tmp_path):
    rows = "\ufefffile,age,speaker,split\na/1.wav,9,007,train\na\\2,9,007,dev\n./b/1.WAV,9,,dev\n"
    found = listed(tmp_path, rows + '"c/1",9,"c, d",test\n')
    assert found == {
        "a/1": Place("007", "train"),
        "a/2": Place("007", "dev"),
        "b/1": Place("", "dev"),
        "c/1": Place("c, d", "test"),
    }


def test_a_list_of_files_without_speakers_leaves_these_to_the_folders(tmp_path):
    rows = "file,split\na/1,train\na/2,train\nb/1,dev\nc/1,test\n"
    assert listed(tmp_path, rows, speaker="^(.)/")["b/1"] == ("b", "dev")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,part\na,train\n", "list.csv has the columns name, part; expected split and file or"),
        (
            "speaker,split\na,train\nb,validate\n",
            "line 3: split is 'validate'; expected train, dev",
        ),
        ("file,split\na/1,train\na/1.wav,dev\n", "line 3: file a/1.wav has another place above"),
        (
            "file,split\na/1,train\nb/1,dev\nd/1,test\n",
            r"2 rec.*listed \(a/2, c/1\), 1 row .*\(d/1\)",
        ),
        ("", "cannot read corpus.audio.speakers, .*list.csv: No columns"),
        ("file,split\na,b,c\n1,2,3,4\n", "cannot read corpus.audio.speakers"),
        (
            "speaker,split,split\na,train,dev\nb,dev,train\nc,test,test\n",
            "list.csv: it has 2 columns named 'split'",
        ),
        ("file,split\n1,dev\n", r"listed \(a/1, a/2.*agree, a file by its path below /"),
        ('"file",file,split\na,b,c\n', "list.csv: it has 2 columns named 'file'"),
        (
            "file,split\na/1,train\na/2,train\nb/1,dev\nc/1,dev\n",
            "no recording .* in the test split",
        ),
    ],
)
def test_a_list_that_does_not_fit_is_an_error(text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        listed(tmp_path, text)


def test_spaces_around_the_values_of_a_list_do_not_count(tmp_path):
    rows = "file,speaker,split\na/1 ,ann,train\n a/2,bo, dev\nb/1,ann ,TEST \nc/1,\u00a0ann,dev\n"
    found = listed(tmp_path, rows)
    assert [*found.values()] == [
        Place("ann", "train"), Place("bo", "dev"), Place("ann", "test"), Place("ann", "dev")
    ]  # fmt: skip


def test_a_list_may_be_written_in_either_form_of_unicode(tmp_path):
    rows = unicodedata.normalize("NFD", "file,speaker,split\né/1,é,train\nb/1,b,dev\nc/1,c,test\n")
    (tmp_path / "list.csv").write_text(rows, "utf-8")
    audio = replace(AUDIO, split="list", speakers="list.csv")
    assert places(files("é/1.wav", "b/1.wav", "c/1.wav"), tmp_path, audio)["é/1"] == ("é", "train")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_list_in_another_encoding_is_an_error(encoding, tmp_path):
    (tmp_path / "list.csv").write_text("speaker,split\né,train\n", encoding)
    with pytest.raises(InputError, match=r"list\.csv: 'utf-8' codec .*; expected CSV in UTF-8"):
        places(files("a.wav"), tmp_path, replace(AUDIO, split="list", speakers="list.csv"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(InputError, match=r"speakers, .*list\.csv: it is not a file; expected CSV"):
        places(files("a.wav"), tmp_path, replace(AUDIO, split="list", speakers="list.csv"))


def test_a_missing_list_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*missing\.csv; write it with the col"):
        places(files("a.wav"), tmp_path, replace(AUDIO, split="list", speakers="missing.csv"))
