"""What the machine lacks is never called a fault of the file that was read just then."""

import errno
import os
import sys
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile
import torch
from helpers import changed, run_stages
from pipeline.bad_data import TEXTGRID, get_ready_to_train, sound

from phonemes.corpus.arrays import safe_numpy
from phonemes.corpus.arrays.labels import read_phoneme_list
from phonemes.corpus.arrays.tables import read_column
from phonemes.corpus.audio.alignments import read_alignment
from phonemes.corpus.audio.speakers import places
from phonemes.errors import MachineError
from phonemes.features.sound import read_sound
from phonemes.model.store import load_model
from phonemes.params import load
from phonemes.storage.layout import CORPUS, MODEL
from phonemes.storage.read import read_array, read_phonemes, read_spelling, read_utterances

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")


@contextmanager
def no_more_files():
    """Have the system refuse to open another file while the block runs."""
    import resource

    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a project with a model, and a good file for each reader."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        get_ready_to_train()
        run_stages("train")
        np.save("a.npy", np.ones(3))
        soundfile.write("a.wav", sound(), 16000)
        Path("a.TextGrid").write_text(TEXTGRID)
        Path("a.PHN").write_text("0 4800 h#\n")
        Path("phonemes.txt").write_text("SIL\nAA\n")
        Path("table.csv").write_text("id,label\n0,1\n")
        Path("speakers.csv").write_text("speaker,split\na,train\nb,dev\nc,test\n")
    return folder


def read_speakers(params):
    audio = changed(params.corpus.audio, split="list", speakers="speakers.csv")
    return places({f"{name}/1": PurePosixPath(f"{name}/1.wav") for name in "abc"}, Path(), audio)


READERS = {
    "a course file": lambda params: safe_numpy.load(Path("a.npy")),
    "a list of phonemes": lambda params: read_phoneme_list(Path("phonemes.txt")),
    "a table": lambda params: list(read_column(Path("table.csv"), "label")),
    "a list of speakers": read_speakers,
    "a TextGrid": lambda params: read_alignment(Path("a.TextGrid"), "phones", 16000),
    "a PHN": lambda params: read_alignment(Path("a.PHN"), "phones", 16000),
    "a recording": lambda params: read_sound(Path("a.wav")),
    "an array of a stage": lambda params: read_array(CORPUS / "lengths/dev.npy"),
    "the phonemes": lambda params: read_phonemes(CORPUS),
    "the spelling": lambda params: read_spelling(CORPUS, 71),
    "the utterances": lambda params: read_utterances(CORPUS, "dev"),
    "a model": lambda params: load_model(MODEL, torch.device("cpu")),
    "params.yaml": lambda params: load(),
}


@pytest.fixture
def project(trained, monkeypatch):
    """Enter the project, of which nothing is changed."""
    monkeypatch.chdir(trained)


@pytest.mark.parametrize("reader", READERS)
def test_too_many_open_files_are_named(project, params, reader):
    READERS[reader](params)  # the file is good, and libraries are imported
    with (
        pytest.raises(MachineError, match=r"^cannot read .*: Too many open files"),
        no_more_files(),
    ):
        READERS[reader](params)


@pytest.mark.parametrize("reader", READERS)
def test_a_disk_that_fails_is_named(project, params, reader, monkeypatch):
    READERS[reader](params)

    def failing(*arguments, **options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("builtins.open", failing)
    monkeypatch.setattr("io.open", failing)
    monkeypatch.setattr(soundfile, "read", failing)
    with pytest.raises(MachineError, match=r"^cannot read .*: Input/output error; check the disk"):
        READERS[reader](params)


def test_a_checkpoint_that_cannot_be_read_is_kept(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained)
    (checkpoint,) = Path(".dvc/tmp/checkpoints").glob("*.safetensors")
    before = checkpoint.read_bytes()

    def failing(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("phonemes.training.checkpoint.read_tensors", failing)
    with pytest.raises(SystemExit, match="Input/output error; check the disk"):
        run_stages("train")
    assert checkpoint.read_bytes() == before
