"""Recordings become utterances: the same frames and labels whatever the file's format."""

import lzma
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import PARAMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phonemes.corpus.audio import source as audio_source
from phonemes.corpus.audio.recordings import Recording
from phonemes.corpus.audio.source import in_order, open_source, utterance
from phonemes.corpus.pack import write_corpus
from phonemes.errors import InputError
from phonemes.features.log_mel import log_mel
from phonemes.features.sound import read_sound
from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, TIMIT
from phonemes.params import load

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")

AUDIO = load(PARAMS).corpus.audio
FEATURES = load(PARAMS).features
TEXTGRID = (
    '"ooTextFile"\n"TextGrid" 0 1 <exists> 1 "IntervalTier" "phones" 0 1 3 '
    '0 0.3 "" 0.3 0.6 "AA1" 0.6 1 "S"'
)


def tone(rate=16000, seconds=1.0, hertz=500):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def write(path, samples, rate=16000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def make_corpus(folder):
    """Write six recordings of two speakers in each split."""
    for number, name in enumerate(["train/a", "train/b", "dev/c", "dev/d", "test/e", "test/f"]):
        path = write(folder / name / f"{number}.wav", tone(hertz=300 + 100 * number))
        path.with_suffix(".TextGrid").write_text(TEXTGRID)
    return folder


def extract(path, tier="phones", phonemes="arpabet-stress"):
    alignment = path.with_suffix(".TextGrid")
    recording = Recording("x", "", path, alignment if alignment.exists() else None)
    return utterance(recording, tier, phonemes, FEATURES)


# From folder to utterances


def test_a_folder_becomes_labelled_utterances(tmp_path):
    source = open_source(make_corpus(tmp_path), AUDIO, FEATURES, jobs=1)
    assert source.phonemes == ARPABET_STRESS
    first, second = source.splits["train"]()
    assert (first.name, first.speaker, second.name) == ("train/a/0", "a", "train/b/1")
    assert (
        first.frames.tobytes()
        == log_mel(read_sound(tmp_path / "train/a/0.wav")[0], FEATURES).tobytes()
    )
    names = [ARPABET_STRESS[label] for label in first.labels]
    assert names == ["SIL"] * 30 + ["AA1"] * 30 + ["S"] * 38  # 98 windows fit into 1 s


def test_the_utterances_make_a_packed_corpus(tmp_path):
    source = open_source(make_corpus(tmp_path / "raw"), AUDIO, FEATURES, jobs=1)
    summaries = write_corpus(source, tmp_path / "corpus")
    assert summaries["dev"]._asdict() == {
        "utterances": 2, "frames": 196, "speakers": 2, "bands": 40, "labelled": True
    }  # fmt: skip


def test_timit_is_read_as_sphere_with_its_61_labels(tmp_path):
    for folder in ["TRAIN/DR1/FAAA0", "dev/DR1/FBBB0", "TEST/DR1/FCCC0"]:
        path = write(tmp_path / folder / "SX1.WAV", tone(), format="NIST", subtype="PCM_16")
        path.with_suffix(".PHN").write_text("0 4800 h#\n4800 9600 ix\n9600 15900 tcl\n")
    timit = replace(AUDIO, layout="timit", phonemes="timit")
    source = open_source(tmp_path, timit, FEATURES, jobs=1)
    (found,) = source.splits["test"]()
    assert source.phonemes == TIMIT
    assert found.labels.tolist() == [
        TIMIT.index(p) for p in ["h#"] * 30 + ["ix"] * 30 + ["tcl"] * 38
    ]


def test_an_unaligned_test_split_has_no_labels(tmp_path):
    make_corpus(tmp_path)
    for path in (tmp_path / "test").rglob("*.TextGrid"):
        path.unlink()
    source = open_source(tmp_path, AUDIO, FEATURES, jobs=1)
    assert [item.labels for item in source.splits["test"]()] == [None, None]


def test_what_was_left_out_is_told(tmp_path):
    make_corpus(tmp_path)
    (tmp_path / "train/a/0.TextGrid").unlink()
    source = open_source(tmp_path, replace(AUDIO, unaligned="skip"), FEATURES, jobs=1)
    assert [item.name for item in source.splits["train"]()] == ["train/b/1"]
    assert source.notes() == ["left out 1 recording without alignment: 1 of train"]


def test_phones_are_translated_by_a_table_before_any_work(tmp_path):
    make_corpus(tmp_path)
    (tmp_path / "map.tsv").write_text("phone\tphoneme\nAA1\tOW\n")
    audio = replace(AUDIO, phonemes="arpabet-plain", map="map.tsv")
    (first, _) = open_source(tmp_path, audio, FEATURES, jobs=1).splits["train"]()
    assert {ARPABET_PLAIN[label] for label in first.labels} == {"SIL", "OW", "S"}
    (tmp_path / "map.tsv").write_text("phone\tphoneme\nAA1\tOWW\n")
    with pytest.raises(InputError, match=r"map\.tsv, line 2: phone 'OWW' .*did you mean OW\?"):
        open_source(tmp_path, audio, FEATURES, jobs=1)


def test_a_recording_without_signal_is_named(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(16000))
    with pytest.raises(InputError, match=r"a\.wav has no signal: all its samples are 0"):
        extract(path)


def test_a_missing_library_is_an_error_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(InputError, match=r"audio needs soxr .*; run `pip install 'phonemes"):
        open_source(tmp_path / "missing", AUDIO, FEATURES, jobs=1)


def test_impossible_features_are_an_error_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"lower features\.bands"):
        open_source(tmp_path / "missing", AUDIO, replace(FEATURES, bands=200), jobs=1)


# One recording


def test_resampling_leaves_the_labels_in_place(tmp_path):
    frames = {}
    for rate in (16000, 44100):
        path = write(tmp_path / f"{rate}.wav", tone(rate), rate)
        path.with_suffix(".TextGrid").write_text(TEXTGRID)
        frames[rate] = extract(path)
    assert (frames[16000].labels == frames[44100].labels).all()
    loud = frames[16000].frames > 0  # elsewhere lies the noise of 16 bits
    assert frames[44100].frames[loud] == pytest.approx(frames[16000].frames[loud], abs=0.01)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_at_worst_an_input_error(suffix, data, tmp_path):
    path = write(tmp_path / f"a{suffix}", tone(seconds=0.05))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, 60) | st.integers(0, len(content) - 1))
    damage = data.draw(st.binary(max_size=8))
    content[place : place + data.draw(st.integers(0, 8))] = damage
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        extract(path)
    except InputError as error:
        assert str(path) in str(error)


def test_an_alignment_of_another_recording_is_an_error(tmp_path):
    path = write(tmp_path / "a.wav", tone(seconds=1.2))
    path.with_suffix(".TextGrid").write_text(TEXTGRID)
    with pytest.raises(InputError, match=r"a\.TextGrid: the alignment is 1\.000 s .* 1\.200 s"):
        extract(path)


# Several processes


@pytest.mark.heavy
def test_results_do_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    make_corpus(tmp_path)
    monkeypatch.setattr(audio_source, "RECORDINGS_A_PROCESS", 1)
    one, two = (
        list(open_source(tmp_path, AUDIO, FEATURES, jobs).splits["train"]()) for jobs in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        assert (a.name, a.speaker) == (b.name, b.speaker)
        assert a.frames.tobytes() == b.frames.tobytes() and a.labels.tobytes() == b.labels.tobytes()


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_results_come_in_order_and_items_are_taken_as_needed(processes):
    taken = 0

    def items():
        nonlocal taken
        for taken in range(1, 101):
            yield -taken

    results = in_order(abs, items(), processes)
    assert next(results) == 1
    assert taken <= 4 * processes + 1
    assert list(results) == list(range(2, 101))


@pytest.mark.heavy
def test_an_error_in_another_process_surfaces(tmp_path):
    missing = Recording("x", "", tmp_path / "missing.wav", None)
    extract = partial(utterance, tier="phones", phonemes="timit", features=FEATURES)
    with pytest.raises(InputError, match=r"cannot read .*missing\.wav"):
        list(in_order(extract, [missing] * 50, 2))


@pytest.mark.heavy
def test_a_killed_process_is_an_error_with_a_fix():
    with pytest.raises(InputError, match=r"lack of memory; lower runtime\.jobs"):
        list(in_order(os._exit, [1] * 50, 2))


# Real speech


@pytest.fixture(scope="module")
def speech():
    folder = os.environ.get("PHONEMES_SPEECH")
    if not folder:
        pytest.skip("PHONEMES_SPEECH names no folder of packed speech with audio/ to compare with")
    return Path(folder)


def packed(folder, split, kind):
    """Return each utterance's array of a packed split: levels (T, 40) or labels (T,)."""
    lengths = np.load(folder / f"{split}.lengths.npy")
    flat = np.frombuffer(lzma.decompress((folder / f"{split}.{kind}.xz").read_bytes()), np.uint8)
    if kind == "features":  # stored band by band as differences modulo 256
        flat = np.cumsum(flat.reshape(40, -1), axis=1, dtype=np.uint8).T
    return np.split(flat, np.cumsum(lengths)[:-1])


def test_frames_and_labels_of_real_speech_equal_the_packed_ones(speech):
    """The packed arrays keep 25 frames of silence at each edge and 8 bits a value."""
    bands = np.load(speech / "bands.npz")
    audio = replace(AUDIO, split="list", speakers="index.csv")
    source = open_source(speech / "audio", audio, FEATURES, jobs=1)
    differences, agreements = [], []
    for split in ("train", "dev", "test"):
        levels = packed(speech, split, "features")
        labels = None if split == "test" else packed(speech, split, "labels")
        for found in source.splits[split]():
            spoken = np.flatnonzero(found.labels)
            kept = slice(max(0, spoken[0] - 25), spoken[-1] + 26)
            frames = found.frames[kept]
            place = min(
                (n for n, array in enumerate(levels) if len(array) == len(frames)),
                key=lambda n: np.abs(bands["low"] + bands["step"] * levels[n] - frames).mean(),
            )
            rounded = bands["low"] + bands["step"] * levels[place]
            inside = (levels[place] > 0) & (levels[place] < 255)  # the outer levels are clipped
            rounding = bands["step"] / 2 + np.spacing(np.abs(frames).astype(np.float16)) / 2
            difference = np.abs(frames - rounded)[inside]
            assert (difference <= rounding[inside] + 1e-4).all()
            differences.append(difference)
            if labels is not None:
                agreements.append(found.labels[kept] == labels[place])
    difference, agreement = np.concatenate(differences), np.concatenate(agreements)
    print(
        f"{len(differences)} utterances: difference mean {difference.mean():.4f}, max "
        f"{difference.max():.4f}; {agreement.mean():.2%} of {len(agreement)} labels agree"
    )
    assert len(differences) == 24
    assert agreement.mean() >= 0.995
