"""`phonemes export` leaves a model that labels as the pipeline does, or nothing at all."""

import errno
import os
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from export.toys import FEATURES, bundle, save, sounds
from helpers import ENVIRONMENT, ROOT, run_stages, set_params
from pipeline.bad_data import get_ready_to_train

from phonemes.commands.main import main
from phonemes.export.check import expected, open_session, run
from phonemes.model.store import load_model
from phonemes.storage.layout import CORPUS, MODEL, PREDICTIONS

EXAMPLE = ROOT / "examples/label_with_onnx.py"
# runs a program in which everything but onnxruntime and numpy is missing
ALONE = """
import runpy, sys
for name in ("torch", "pandas", "soundfile", "scipy", "onnx", "click", "phonemes", "stages"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(folder):
    """Enter a folder with a model of samples, and return it."""
    MODEL.parent.mkdir()
    given = bundle()
    save(MODEL, given)
    return given


def export(*arguments):
    """Run `phonemes export` in this process and return with what it ends: 0, or a message."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["phonemes", "export", *map(str, arguments)])
        main()
    return end.value.code


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


# What it leaves


def test_the_file_gives_what_the_model_gives(model, capfd):
    assert export() == 0
    utterances = sounds(1, 30)
    for found, wanted in zip(
        run(open_session("model.onnx"), utterances), expected(model, utterances), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    out, err = capfd.readouterr()
    size, what, difference, of, then = out.splitlines()
    assert size == f"model.onnx: {Path('model.onnx').stat().st_size / 1e6:.1f} MB"
    assert what == (
        "from samples at 8,000 Hz to log posteriors of 5 phonemes every 4 ms, "
        "not smoothed over time"
    )
    assert difference.startswith("log posteriors differ by at most ")
    assert difference.endswith(" from torch's in float32, over")
    assert of == "random utterances of 1, 2, 4, 46 frames, alone and side by side"
    assert then.startswith("next: ")
    assert err == ""


def test_weights_stored_in_half_precision_are_exported_as_torch_has_them(model):
    save(MODEL, bundle(), half=True)
    assert export() == 0
    (found,) = run(open_session("model.onnx"), sounds(30))
    (wanted,) = expected(load_model(MODEL, torch.device("cpu")), sounds(30))
    np.testing.assert_allclose(found, wanted, atol=5e-6)
    assert np.abs(wanted - expected(model, sounds(30))[0]).max() > 2e-5  # the weights are others


@pytest.mark.heavy
@pytest.mark.parametrize("over", ["utterance", "corpus"])
def test_the_file_labels_raw_frames_as_the_pipeline_predicts(folder, over):
    get_ready_to_train()
    set_params({"normalize": {"over": over}, "model": {"target_context": 1, "norm": "batch"}})
    run_stages()
    assert export() == 0
    lengths = np.load(CORPUS / "lengths/test.npy")
    frames = np.split(np.load(CORPUS / "frames/test.npy"), lengths.cumsum()[:-1])
    found = run(open_session("model.onnx"), frames)
    labels = np.concatenate([each.argmax(1) for each in found])
    predicted = pd.read_csv(PREDICTIONS).label
    assert predicted.nunique() > 2
    np.testing.assert_array_equal(labels, predicted)


def test_folders_are_made_and_an_older_file_is_replaced(model, folder):
    target = folder / "a/b/model.onnx"
    assert export("--out", target) == 0
    first = target.read_bytes()
    target.write_bytes(b"old")
    assert export("--out", target, "--model", folder / MODEL) == 0
    assert target.read_bytes() == first
    assert files(folder) == ["a/b/model.onnx", "models/model.safetensors"]


@pytest.mark.heavy
def test_nothing_of_the_libraries_reaches_the_user(model, folder):
    command = [sys.executable, "-m", "phonemes", "export"]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 5)


# What it refuses


def test_without_a_model_it_says_how_to_make_one(folder):
    assert export() == f"error: {MODEL} is missing; run `dvc repro` to make it"
    assert files(folder) == []


def test_a_damaged_model_is_refused(model, folder):
    content = MODEL.read_bytes()
    MODEL.write_bytes(content[:-1])
    assert export().startswith(f"error: {MODEL} is damaged: ")
    assert files(folder) == [str(MODEL)]


@pytest.mark.parametrize("name", ["models/model.safetensors", "model", ".", "made.onnx"])
def test_only_a_file_with_its_own_ending_is_written(model, folder, name):
    Path("made.onnx").mkdir()
    before = MODEL.read_bytes()
    assert export("--out", name) == (
        f"error: --out is {name}; expected the name of a file that ends with .onnx"
    )
    assert MODEL.read_bytes() == before
    assert Path("made.onnx").is_dir()


def test_a_file_where_a_folder_is_needed_is_named(model, folder):
    Path("a").write_text("mine")
    assert export("--out", "a/model.onnx") == (
        "error: a is a file where a folder is needed; move it away"
    )


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_library_that_is_missing_is_named_with_the_way_to_get_it(model, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    message = export()
    assert message.startswith(f"error: phonemes export needs {library} (")
    assert message.endswith("); run pip install -e '.[export]'")


def test_a_model_that_cannot_be_exported_exactly_is_refused(folder):
    MODEL.parent.mkdir()
    broken = bundle()
    broken.model.base[0].network[0].weight.data[:] = 3e38
    save(MODEL, broken)
    Path("model.onnx").write_text("old")
    assert export().startswith("error: the model cannot be exported: its log posteriors would ")
    assert Path("model.onnx").read_text() == "old"
    assert files(folder) == ["model.onnx", str(MODEL)]


def test_a_full_disk_leaves_what_was_there(model, folder, monkeypatch):
    Path("model.onnx").write_text("old")

    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    message = export()
    assert "No space left on device" in message
    assert message.endswith("; what was there before is untouched")
    assert Path("model.onnx").read_text() == "old"
    assert files(folder) == ["model.onnx", str(MODEL)]


# Used without this project


def write_wav(path, samples, rate, channels=1):
    """Write samples in [-1, 1] in 16 bits, alike in all channels, and return them as they are."""
    values = np.round(samples * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(values, channels).tobytes())
    return values.astype(np.float32) / 32768


def label(*arguments):
    """Run the example where nothing but onnxruntime and numpy can be imported."""
    command = [sys.executable, "-c", ALONE, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, text=True, capture_output=True)


@pytest.mark.heavy
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("label_at", ["stride", "window"])
def test_the_example_prints_the_runs_of_a_recording_with_onnxruntime_and_numpy_alone(
    folder, channels, label_at
):
    MODEL.parent.mkdir()
    save(MODEL, bundle(features=replace(FEATURES, label_at=label_at)))
    assert export() == 0
    (sound,) = sounds(200)
    samples = write_wav("a.wav", sound, FEATURES.sample_rate, channels)
    done = label("model.onnx", "a.wav")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    model = load_model(MODEL, torch.device("cpu"))
    labels = expected(model, [samples])[0].argmax(1)
    names = [model.purpose.phonemes[each] for each in labels]
    offset = {"stride": 0, "window": 0.002}[label_at]  # half of 8 ms less half of 4 ms
    assert len(lines) == 1 + (np.diff(labels) != 0).sum() > 10
    assert [start for start, *_ in lines[1:]] == [end for _, end, _ in lines[:-1]]
    for start, end, name in lines:
        first, last = (round((float(each) - offset) / 0.004) for each in (start, end))
        assert set(names[first:last]) == {name}
    assert float(lines[-1][1]) == pytest.approx(200 * 0.004 + offset)


@pytest.mark.heavy
def test_the_example_refuses_a_recording_of_another_rate(model):
    assert export() == 0
    write_wav("a.wav", sounds(20)[0], 16_000)
    done = label("model.onnx", "a.wav")
    assert done.returncode == 1
    assert done.stderr == "error: a.wav is not 16-bit sound at 8000 Hz; convert it, as with sox\n"


def test_the_example_is_short_and_readme_names_it():
    assert len(EXAMPLE.read_text("utf-8").splitlines()) <= 45
    assert EXAMPLE.relative_to(ROOT).as_posix() in (ROOT / "README.md").read_text("utf-8")
