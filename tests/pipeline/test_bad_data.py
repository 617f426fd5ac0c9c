"""Bad input ends in one line that says what, where and the fix; nothing made before is touched.

Every kind of `bad_data.KINDS` breaks a good project whose stages have run, and runs the
stage that must notice. What works although it looks odd is run to the end.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from helpers import ENVIRONMENT, PARAMS, STAGES, changed, run_stages, set_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline.bad_data import (
    BANDS,
    KINDS,
    LAB,
    LENGTHS,
    PHN,
    PROJECTS,
    RATE,
    RAW,
    TEXTGRID,
    TRAIN0,
    begin,
    sound,
    utterance,
    write_flat,
)

from phonemes.corpus.arrays import safe_numpy
from phonemes.corpus.arrays.source import open_source
from phonemes.corpus.audio.alignments import frame_labels, read_alignment
from phonemes.corpus.audio.speakers import places
from phonemes.corpus.params import ArraysParams
from phonemes.errors import InputError
from phonemes.features.sound import read_sound
from phonemes.inventory import ARPABET_STRESS
from phonemes.model.store import load_model
from phonemes.params import load
from phonemes.storage.layout import CORPUS, MODEL, PREDICTIONS, SCORES, SPLITS
from phonemes.storage.read import read_array, read_lengths

pytestmark = pytest.mark.heavy
ARRAYS = ArraysParams(dev_share=0.1, seed=1)


def refused(stage: str) -> str:
    """Run a stage that must refuse its input; return the message."""
    with pytest.raises(SystemExit) as refusal:
        run_stages(stage)
    assert isinstance(refusal.value.code, str)  # printed to stderr, with exit code 1
    assert refusal.value.code.startswith("error: ")
    return refusal.value.code.removeprefix("error: ")


def contents(folder: Path = Path()) -> dict[str, bytes | str]:
    """Return everything below a folder: bytes of files, targets of links."""
    return {
        str(path): path.readlink().name if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    } | {str(path): "folder" for path in folder.rglob("*") if path.is_dir()}


def copied(project: Path, folder: Path) -> Path:
    return shutil.copytree(project, folder, symlinks=True)


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> dict[str, Path]:
    """Return one good project of each kind; all stages have run in `flat`, `corpus` in others."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, write in PROJECTS.items():
            made[name] = tmp_path_factory.mktemp("projects") / name
            made[name].mkdir()
            patch.chdir(made[name])
            begin()
            write()
            run_stages(*(STAGES if name == "flat" else ["corpus"]))
    return made


@pytest.fixture
def flat(projects, tmp_path, monkeypatch) -> Path:
    """Enter a copy of the good project with the course's files."""
    monkeypatch.chdir(copied(projects["flat"], tmp_path / "flat"))
    return tmp_path / "flat"


@pytest.fixture
def tree(projects, tmp_path, monkeypatch) -> Path:
    """Enter a copy of the good project with a newer edition of the course's files."""
    monkeypatch.chdir(copied(projects["tree"], tmp_path / "tree"))
    return tmp_path / "tree"


# What is refused


def matches(expected: str, message: str) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, message, re.DOTALL) is not None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.stage}-{kind.name}")
def test_bad_input_is_refused_and_leaves_no_trace(kind, projects, tmp_path, monkeypatch, tally):
    monkeypatch.chdir(copied(projects[kind.project], tmp_path / "project"))
    kind.spoil()
    before = contents()
    message = refused(kind.stage)
    assert matches(kind.message, message), message
    assert contents() == before
    tally["kinds refused"] += 1


def test_at_least_sixty_kinds_of_bad_data_are_tried():
    names = [(kind.stage, kind.project, kind.name) for kind in KINDS]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[-1]], ids=lambda kind: kind.stage)
def test_a_refused_stage_is_a_failed_command_without_a_traceback(
    kind, projects, tmp_path, monkeypatch
):
    monkeypatch.chdir(copied(projects[kind.project], tmp_path / "project"))
    kind.spoil()
    command = [sys.executable, "-m", f"stages.{kind.stage}"]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert matches(kind.message, result.stderr.removeprefix("error: ").rstrip("\n"))


# A disk that takes no more


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder that is a disk of 4 MiB; skip where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk needs Linux and root: {error}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # an error may hold a file open


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_reported_and_leaves_what_was_there(
    stage, projects, small_disk, monkeypatch, tally
):
    monkeypatch.chdir(copied(projects["flat"], small_disk / "project"))
    with Path("ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="space"):
        while True:
            ballast.write(bytes(4096))
    before = contents()
    assert "No space left on device" in refused(stage)
    assert contents() == before
    tally["kinds refused"] += 1


@pytest.mark.parametrize("stage", STAGES)
def test_a_read_only_folder_is_reported(stage, projects, small_disk, monkeypatch, tally):
    monkeypatch.chdir(copied(projects["flat"], small_disk / "project"))
    before = contents()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "Read-only file system" in refused(stage)
    assert contents() == before
    tally["kinds refused"] += 1


# What looks odd and works


def rows() -> dict[str, int]:
    """Return the frames of each split, after checking that everything has as many."""
    counts = {split: int(read_lengths(CORPUS, split).sum()) for split in SPLITS}
    for split in SPLITS:
        assert read_array(CORPUS / f"frames/{split}.npy").shape == (counts[split], BANDS)
    predictions = pd.read_csv(PREDICTIONS)
    assert predictions["id"].tolist() == list(range(counts["test"]))
    scores = yaml.safe_load(SCORES.read_text())
    assert 0 <= scores["dev"]["accuracy"] <= 1
    return counts


def every_label(label: int) -> None:
    for split in ("train", "dev"):
        for number in range(len(LENGTHS[split])):
            utterance(f"{split}_labels.npy", number, lambda labels: np.full(len(labels), label))


def one_phoneme() -> None:
    every_label(0)
    (RAW / "phonemes.txt").write_text("SIL\n")


ODD = {
    "a context wider than every utterance": lambda: set_params({"data": {"k": 60}}),
    "the same with edges": lambda: set_params({"data": {"k": 60, "padding": "edge"}}),
    "utterances of one frame": lambda: write_flat({"train": (1,) * 9, "dev": (1, 1), "test": (1,)}),
    "one utterance of one frame in dev": lambda: write_flat(LENGTHS | {"dev": (1,)}),
    "a single class in use": lambda: every_label(70),
    "a single class in all": one_phoneme,
    "a last batch of one frame": lambda: set_params({"train": {"batch_size": 17}}),
    "a batch larger than train": lambda: set_params({"train": {"batch_size": 4096}}),
    "batches of one frame without batch normalization": lambda: set_params(
        {"train": {"batch_size": 1}, "model": {"norm": "layer"}}
    ),
    "frames that never change": lambda: [
        utterance(f"{split}.npy", number, np.zeros_like)
        for split in SPLITS
        for number in range(len(LENGTHS[split]))
    ],
    "float32 and float64 in one file": lambda: utterance(
        "train.npy", 1, lambda frames: frames.astype(np.float64)
    ),
    "phonemes.txt by Windows": lambda: (RAW / "phonemes.txt").write_bytes(
        "\r\n".join(ARPABET_STRESS).encode("utf-8-sig")
    ),
    "params.yaml by Windows": lambda: Path("params.yaml").write_bytes(
        Path("params.yaml").read_bytes().replace(b"\n", b"\r\n")
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_looks_odd_works(odd, flat, tally):
    ODD[odd]()
    run_stages()
    counts = rows()
    if "one frame in dev" in odd:
        assert counts["dev"] == 1
    if "one frame" in odd and odd.startswith("utterances"):
        assert counts == {"train": 9, "dev": 2, "test": 1}
    if "class" in odd:
        assert set(read_array(CORPUS / "labels/train.npy").tolist()) <= {0, 70}
    tally["kinds that work"] += 1


FORMATS = {
    "stereo": lambda: soundfile.write(TRAIN0, np.stack([sound(300)] * 2, 1), RATE),
    "eight channels": lambda: soundfile.write(TRAIN0, np.stack([sound(300)] * 8, 1), RATE),
    "8 kHz": lambda: soundfile.write(TRAIN0, sound(300, 8000), 8000),
    "44.1 kHz": lambda: soundfile.write(TRAIN0, sound(300, 44100), 44100),
    "8 bit": lambda: soundfile.write(TRAIN0, sound(300), RATE, subtype="PCM_U8"),
    "24 bit": lambda: soundfile.write(TRAIN0, sound(300), RATE, subtype="PCM_24"),
    "float": lambda: soundfile.write(TRAIN0, sound(300), RATE, subtype="FLOAT"),
    "flac": lambda: (
        TRAIN0.unlink(),
        soundfile.write(TRAIN0.with_suffix(".flac"), sound(300), RATE),
    ),
    "a TextGrid in UTF-16": lambda: TRAIN0.with_suffix(".TextGrid").write_bytes(
        TEXTGRID.encode("utf-16")
    ),
    "other files next to it": lambda: (RAW / "train/s0/notes.txt").write_text("cold"),
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_recording_in_any_format_gives_the_frames_and_labels_of_the_plain_one(
    format, projects, tmp_path, monkeypatch, tally
):
    monkeypatch.chdir(copied(projects["audio"], tmp_path / "project"))
    plain = {
        kind: np.array(read_array(CORPUS / f"{kind}/train.npy")) for kind in ("frames", "labels")
    }
    FORMATS[format]()
    run_stages("corpus")
    assert np.array_equal(read_array(CORPUS / "labels/train.npy"), plain["labels"])
    low = slice(0, 20)  # bands that 8 kHz has too
    difference = np.abs(read_array(CORPUS / "frames/train.npy") - plain["frames"])[:, low]
    assert np.median(difference) < (1.0 if format == "8 bit" else 0.2)
    tally["kinds that work"] += 1


def test_a_speaker_in_two_splits_works_where_it_is_allowed(projects, tmp_path, monkeypatch, tally):
    (spoil,) = [kind.spoil for kind in KINDS if kind.name == "a speaker in two splits"]
    monkeypatch.chdir(copied(projects["tree"], tmp_path / "project"))
    spoil()
    set_params({"corpus": {"allow_shared_speakers": True}})
    run_stages("corpus")
    assert len(read_lengths(CORPUS, "dev")) == len(LENGTHS["dev"])
    tally["kinds that work"] += 1


# Parsers, fed with damage

MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEWER = settings(MANY, max_examples=60)


@st.composite
def damaged(draw, good: bytes, words: tuple[bytes, ...] = ()) -> bytes:
    """Cut, repeat, overwrite or insert at up to four places."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = start + draw(st.sampled_from([0, 0, 1, 1, 2, 10, 100_000]))
        choices = st.binary(max_size=6)
        if words:
            choices |= st.sampled_from(words)
        content[start:stop] = draw(choices) * draw(st.sampled_from([1, 1, 1, 2, 50]))
    return bytes(content)


WORDS = (
    b"\n",
    b"0",
    b"-1",
    b"nan",
    b"1e999",
    b'"',
    b"inf",
    b"\xff\xfe",
    b"\0",
    b"#",
    b",",
    b" ",
    b"\r",
)


@MANY
@given(damaged(TEXTGRID.encode(), WORDS) | st.binary(max_size=60))
def test_no_textgrid_brings_down_its_reader(fuzzed, tally, content):
    read_anything(fuzzed / "a.TextGrid", content, "arpabet-stress", tally)


@MANY
@given(damaged(PHN.encode(), WORDS) | st.binary(max_size=60))
def test_no_phn_brings_down_its_reader(fuzzed, tally, content):
    read_anything(fuzzed / "a.PHN", content, "timit", tally)


@MANY
@given(damaged(LAB.encode(), WORDS) | st.binary(max_size=60))
def test_no_lab_brings_down_its_reader(fuzzed, tally, content):
    read_anything(fuzzed / "a.lab", content, "arpabet-plain", tally)


@pytest.fixture
def fuzzed(tmp_path, monkeypatch):
    """Return a folder for a file of which hypothesis writes many versions."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def survives(function, tally) -> object:
    """Return what `function` gives, or None where it refuses with the project's own error."""
    tally["inputs fuzzed"] += 1
    try:
        return function()
    except InputError as error:
        assert str(error)
        return None


def read_anything(path: Path, content: bytes, phonemes: str, tally) -> None:
    """Label ten frames with whatever `content` says; every label must be a phoneme."""
    path.write_bytes(content)
    times = np.arange(10) * 0.03

    def label() -> np.ndarray:
        alignment = read_alignment(path, "phones", RATE)
        return frame_labels(alignment, times, 0.3, phonemes, str(path))

    labels = survives(label, tally)
    assert labels is None or (labels.shape == (10,) and labels.min() >= 0)


def npy(array: np.ndarray) -> bytes:
    np.save("good.npy", array)
    return Path("good.npy").read_bytes()


@MANY
@given(st.data())
def test_no_transcript_brings_down_its_reader(fuzzed, tally, data):
    good = npy(np.array(["<sos>", "SIL", "AA1", "<eos>"]))
    Path("a.npy").write_bytes(data.draw(damaged(good)))
    survives(lambda: safe_numpy.load(Path("a.npy")), tally)


@FEWER
@given(st.data())
def test_no_damage_to_a_split_brings_down_the_corpus_stage(flat, tally, data):
    name = data.draw(st.sampled_from(["train.npy", "train_labels.npy", "dev.npy", "test.npy"]))
    good = (RAW / name).read_bytes()
    (RAW / name).write_bytes(data.draw(damaged(good, WORDS)))

    def read() -> None:
        source = open_source(RAW, ARRAYS)
        for split in SPLITS:
            list(source.splits[split]())

    survives(read, tally)
    (RAW / name).write_bytes(good)


@FEWER
@given(st.data())
def test_no_list_of_phonemes_brings_down_its_reader(flat, tally, data):
    good = "\n".join(ARPABET_STRESS).encode()
    (RAW / "phonemes.txt").write_bytes(data.draw(damaged(good, WORDS)))
    survives(lambda: list(open_source(RAW, ARRAYS).splits["train"]()), tally)


@MANY
@given(content=damaged(b"speaker,split\na,train\nb,dev\nc,test\n", WORDS))
def test_no_list_of_speakers_brings_down_its_reader(fuzzed, tally, params, content):
    Path("speakers.csv").write_bytes(content)
    audio = changed(params.corpus.audio, split="list", speakers="speakers.csv")
    files = {f"{name}/1": PurePosixPath(f"{name}/1.wav") for name in "abc"}
    survives(lambda: places(files, Path(), audio), tally)


@FEWER
@given(content=damaged(b"id\ntest0-1-0000\ntest1-1-0000\n", WORDS))
def test_no_order_of_test_files_brings_down_its_reader(tree, tally, content):
    (RAW / "test_order.csv").write_bytes(content)
    survives(lambda: open_source(RAW, ARRAYS), tally)


@FEWER
@given(content=damaged(b"id,label\n" + b"0,2\n" * sum(LENGTHS["test"]), WORDS))
def test_no_table_of_labels_brings_down_its_reader(flat, tally, content):
    (RAW / "phoneme_labels_for_test_data.csv").write_bytes(content)
    survives(lambda: list(open_source(RAW, ARRAYS).splits["test"]()), tally)


@MANY
@given(st.data())
def test_no_parameters_bring_down_their_check(fuzzed, tally, data):
    good = PARAMS.read_bytes()
    Path("params.yaml").write_bytes(data.draw(damaged(good, (*WORDS, b": ", b"- ", b"{", b"!!"))))
    survives(load, tally)


@MANY
@given(st.data())
def test_no_recording_brings_down_its_reader(fuzzed, tally, data):
    soundfile.write("good.wav", sound(), RATE)
    good = Path("good.wav").read_bytes()[:400]
    Path("a.wav").write_bytes(data.draw(damaged(good)))
    read = survives(lambda: read_sound(Path("a.wav")), tally)
    assert read is None or np.isfinite(read.samples).all()


@MANY
@given(st.data())
def test_no_array_between_stages_brings_down_its_reader(fuzzed, tally, data):
    Path("a.npy").write_bytes(data.draw(damaged(npy(np.arange(6.0)))))
    survives(lambda: read_array(Path("a.npy")), tally)


@FEWER
@pytest.mark.filterwarnings("ignore")  # torch's remarks on files by others
@given(st.data())
def test_no_model_brings_down_its_reader(flat, tally, data):
    good = MODEL.read_bytes()
    Path("other.safetensors").write_bytes(data.draw(damaged(good)))
    survives(lambda: load_model(Path("other.safetensors"), torch.device("cpu")), tally)
