"""An exported model is measured on recordings: agreement, speed and memory."""

import re

import numpy as np
import pytest
import soundfile
from export.toys import bundle, save, sounds

from benchmarks import exported

pytestmark = pytest.mark.heavy


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return how to measure a model on two recordings, with little work."""
    monkeypatch.setattr(exported, "TURNS", 2)
    (tmp_path / "a").mkdir()
    for number, (count, rate) in enumerate([(50, 8000), (70, 16_000)]):
        (sound,) = sounds(count, remainder=0)
        soundfile.write(tmp_path / f"a/{number}.wav", sound, rate)

    def measure(folder, model):
        save(tmp_path / "model.safetensors", model)
        arguments = [str(tmp_path / folder), "--model", str(tmp_path / "model.safetensors")]
        monkeypatch.setattr("sys.argv", ["exported", *arguments])
        exported.main()

    return measure


def test_agreement_speed_and_memory_are_printed(measured, capsys):
    measured("a", bundle())
    size, posteriors, labels, speed, memory = capsys.readouterr().out.splitlines()
    samples = 64 + 49 * 32 + (64 + 69 * 32) // 2
    frames = 50 + 34  # at half the rate: 1136 samples
    assert size.endswith(f" MB; 2 recordings, {samples / 8000:.1f} s, {frames} frames")
    assert float(re.fullmatch(r"log posteriors: at most (\S+) from torch's", posteriors)[1]) > 0
    assert labels == f"labels: the same in {frames} of {frames} frames"
    torch, runtime, ratio = re.search(
        r", threads 1: torch \S+ (\d+), onnxruntime \S+ (\d+), (\S+) times as fast$", speed
    ).groups()
    low, high = (int(runtime) - 0.5) / (int(torch) + 0.5), (int(runtime) + 0.5) / (int(torch) - 0.5)
    assert low - 0.005 <= float(ratio) <= high + 0.005  # all three are rounded
    assert re.fullmatch(r"memory: \d+ MiB a minute of sound", memory)


def test_the_least_of_several_turns_counts(monkeypatch):
    clock = iter(np.cumsum([0, 3, 0, 1, 0, 2, 0, 4]))
    monkeypatch.setattr(exported, "TURNS", 2)
    monkeypatch.setattr(exported.time, "perf_counter", lambda: next(clock))
    assert exported.fastest(str, str) == [2, 1]


def test_a_folder_without_recordings_is_refused(measured, tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(SystemExit, match="holds no wav or flac files; name a folder"):
        measured("b", bundle())


def test_a_model_of_frames_is_refused(measured):
    with pytest.raises(SystemExit, match="was made for frames that were given"):
        measured("a", bundle(features=None))
