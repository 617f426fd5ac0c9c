"""`phonemes transcribe` labels files, folders and standard input, and writes over nothing."""

import sys

import numpy as np
import pytest
from transcription.speech import sound

from phonemes.commands.main import main

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder with two recordings and something that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talks/one").mkdir(parents=True)
    soundfile.write("talks/one/a.wav", sound(1), 16_000)
    soundfile.write("talks/b.flac", sound(1, 8000), 8000)
    (tmp_path / "talks/notes.txt").write_text("no sound")
    return tmp_path


def transcribe(*arguments):
    """Run the command in this process and return with what it ends: 0, or a message."""
    given, sys.argv = sys.argv, ["phonemes", "transcribe", *arguments]
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = given
    return end.value.code


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_a_recording_is_printed_as_a_table(folder, capsys):
    assert transcribe("talks/one/a.wav") == 0
    printed = capsys.readouterr()
    assert printed.err == "model: english (there is no models/model.safetensors here)\n"
    first, *rows = printed.out.splitlines()
    assert first.split() == ["start,", "s", "end,", "s", "phoneme", "confidence"]
    assert rows[-1].split()[1] == "1.000"


def test_a_folder_is_labelled_into_another_one_of_the_same_shape(folder, capsys):
    assert transcribe("talks", "--to", "textgrid,csv,json,ctm,mlf,png", "--out", "found") == 0
    suffixes = ["TextGrid", "csv", "ctm", "json", "mlf", "png"]
    names = [f"{name}.{suffix}" for name in ("b", "one/a") for suffix in suffixes]
    assert files(folder / "found") == sorted(names)
    assert "labelled 2 recordings, 2.0 s of sound" in capsys.readouterr().out


def test_files_are_written_next_to_their_recording(folder):
    assert transcribe("talks/b.flac", "--to", "CSV") == 0
    assert (folder / "talks/b.csv").read_text().startswith("start,end,phoneme,confidence\n0,")


def test_what_is_there_is_not_written_over(folder):
    mine = folder / "talks/b.TextGrid"
    mine.write_text("by hand")
    ended = transcribe("talks", "--to", "textgrid")
    assert ended == (
        "error: talks/b.TextGrid would be overwritten; pass --overwrite, or write elsewhere with "
        "--out FOLDER"
    )
    assert mine.read_text() == "by hand" and not (folder / "talks/one/a.TextGrid").exists()
    assert transcribe("talks", "--to", "textgrid", "--overwrite") == 0
    assert mine.read_text().startswith("File type")


def test_a_folder_goes_on_after_a_bad_file_and_lists_it_at_the_end(folder, capsys):
    (folder / "talks/a.wav").write_text("no sound either")
    soundfile.write("talks/c.wav", np.zeros(8000), 16_000)
    ended = transcribe("talks", "--to", "csv")
    assert ended.startswith("error: 2 of 4 recordings failed:\n  cannot read talks/a.wav: ")
    assert "\n  talks/c.wav has no signal: all its samples are 0" in ended
    assert "labelled 2 recordings" in capsys.readouterr().out
    assert (folder / "talks/one/a.csv").exists() and not (folder / "talks/c.csv").exists()


def test_silence_may_be_empty(folder):
    soundfile.write("talks/d.wav", np.concatenate([sound(1) * 1e-4, sound(1)]), 16_000)
    assert transcribe("talks/d.wav", "--to", "ctm", "--silence", "empty") == 0
    assert "SIL" not in (folder / "talks/d.ctm").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["talks", "--to", "doc"], "--to doc: no such format; expected one or several"),
        (["talks", "--out", "found"], "--out needs --to"),
        (["-", "--to", "csv"], "standard input has no folder to write to; name one with --out"),
        (["missing.wav"], "there is no recording missing.wav"),
        (["."], ". holds no recording"),
        (["talks/b.flac", "--model", "m.safetensors"], "there is no model m.safetensors"),
        (["talks/b.flac", "talks", "--to", "csv"], "would both write talks/b.csv"),
    ],
)
def test_what_cannot_be_done_is_said_first(folder, arguments, reason):
    if arguments == ["."]:
        for path in (folder / "talks").rglob("*.*"):
            path.unlink()
    before = files(folder)
    assert reason in transcribe(*arguments)
    assert files(folder) == before


def test_a_picture_of_hours_is_refused(folder, monkeypatch):
    monkeypatch.setattr("phonemes.transcription.outputs.LONGEST_PICTURE", 0.5)
    ended = transcribe("talks/b.flac", "--to", "png")
    assert ended.startswith("error: talks/b.flac: it is longer than 0.008")
    assert not (folder / "talks/b.png").exists()
