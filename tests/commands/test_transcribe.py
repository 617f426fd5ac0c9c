"""`phonemes transcribe` labels files, folders and standard input, and writes over nothing."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from helpers import ENVIRONMENT, ROOT, end_of
from transcription.speech import sound

from phonemes.commands import options
from phonemes.transcription.formats import TEXT

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


transcribe = partial(end_of, "transcribe")


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_a_recording_is_printed_as_a_table(folder, capsys):
    assert transcribe("talks/one/a.wav") == 0
    printed = capsys.readouterr()
    assert printed.err == "model: english (comes with the package; no network was trained here)\n"
    first, *rows = printed.out.splitlines()
    assert first.split() == ["start,", "s", "end,", "s", "phoneme", "confidence"]
    assert rows[-1].split()[1] == "1.000"


GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0 1 <exists> 1 "IntervalTier" "phones" 0 1 1 0 1 "AA1"
"""
# without what takes long to import: tables, scores, DVC, and torch's compiler
LABELLING = """
import sys
from phonemes.commands.main import main
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("dvc", "pandas", "rapidfuzz", "scipy", "sklearn", "torch._dynamo"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
main()
"""


@pytest.mark.heavy
def test_labelling_imports_neither_the_packages_of_the_pipeline_nor_a_compiler(folder):
    (folder / "talks/b.TextGrid").write_text(GRID)

    def said(*arguments):
        place = {"cwd": folder, "env": ENVIRONMENT | {"PYTHONPATH": str(ROOT)}}
        command = [sys.executable, "-c", LABELLING, *arguments]
        return subprocess.run(command, **place, text=True, capture_output=True).stderr

    formats = "textgrid,csv,json,ctm,mlf,png,html"
    printed = said("transcribe", "talks", "--to", formats, "--out", "found")
    assert printed.splitlines()[1:] == []
    assert len(files(folder / "found")) == 14


def test_the_help_names_every_format():
    assert f"{', '.join([*TEXT, 'png', 'html'])}; several with commas." == options.FORMATS


def test_a_folder_is_labelled_into_another_one_of_the_same_shape(folder, capsys):
    assert transcribe("talks", "--to", "textgrid,csv,json,ctm,mlf,png", "--out", "found") == 0
    suffixes = ["TextGrid", "csv", "ctm", "json", "mlf", "png"]
    names = [f"{name}.{suffix}" for name in ("b", "one/a") for suffix in suffixes]
    assert files(folder / "found") == sorted(names)
    formats = "textgrid, csv, json, ctm, mlf, png"
    said = f"labelled 2 recordings, 2.0 s of sound: {formats} in found\n"
    assert capsys.readouterr().out == said


def test_hidden_files_and_folders_are_no_recordings(folder, capsys):
    (folder / "talks/._b.flac").write_text("what macOS writes for b.flac")
    (folder / "talks/.venv").mkdir()
    (folder / "talks/.venv/test.wav").write_text("of some package")
    assert transcribe("talks", "--to", "csv") == 0
    assert "labelled 2 recordings" in capsys.readouterr().out


def test_what_is_missing_is_written_and_nothing_else(folder, capsys):
    (folder / "talks/b.csv").write_text("mine")
    assert transcribe("talks", "--to", "csv,ctm", "--missing") == 0
    assert files(folder / "talks") == [
        *("b.csv", "b.ctm", "b.flac", "notes.txt", "one/a.csv", "one/a.ctm", "one/a.wav")
    ]
    assert (folder / "talks/b.csv").read_text() == "mine"
    capsys.readouterr()
    assert transcribe("talks", "--to", "csv,ctm", "--missing") == 0
    assert "labelled 0 recordings" in capsys.readouterr().out


def test_an_interruption_says_how_to_go_on(folder, monkeypatch):
    def write(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("phonemes.transcription.outputs.write", write)
    assert transcribe("talks") == "error: interrupted"
    assert transcribe("talks", "--to", "csv") == (
        "error: interrupted; what is written is whole: `--missing` goes on with the rest"
    )


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
    assert transcribe("talks", "--to", "textgrid", "--overwrite", "--ipa") == 0
    assert mine.read_text().startswith("File type")
    assert '"ipa"' in mine.read_text()


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
        (["talks", "--missing"], "--missing needs --to"),
        (["talks", "--to", "csv", "--ipa"], "--ipa is for TextGrids; add --to textgrid"),
        (["talks", "missing.wav"], "there is no recording missing.wav"),
        (
            ["my", "talks", "--to", "csv"],
            'there is no recording my; a path with a space needs quotes, "my talks"',
        ),
        (["talks/b.flac", "my", "talks"], 'needs quotes, "my talks"'),
        (["."], ". holds no recording"),
        (["talks/b.flac", "--model", "m.safetensors"], "there is no model m.safetensors"),
        (["talks/b.flac", "talks", "--to", "csv"], "would both write talks/b.csv"),
    ],
)
def test_what_cannot_be_done_is_said_first(folder, arguments, reason):
    if arguments == ["."]:
        for path in (folder / "talks").rglob("*.*"):
            path.unlink()
    (folder / "my talks").mkdir()
    before = files(folder)
    assert reason in transcribe(*arguments)
    assert files(folder) == before


def test_a_picture_of_hours_is_refused(folder, monkeypatch):
    monkeypatch.setattr("phonemes.transcription.outputs.LONGEST_PICTURE", 0.5)
    ended = transcribe("talks/b.flac", "--to", "png")
    assert ended.startswith("error: talks/b.flac: it is longer than 0.008")
    assert not (folder / "talks/b.png").exists()
