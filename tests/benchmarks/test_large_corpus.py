"""A large corpus is made, measured stage by stage and removed."""

import re
import subprocess
import sys

import pytest
from helpers import ROOT

from benchmarks import large_corpus

pytestmark = pytest.mark.heavy


def test_every_stage_is_measured_and_nothing_stays(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "large"
    monkeypatch.setattr(large_corpus, "LATER_STAGES", ("train",))
    sizes = "--frames 4000 --utterances 20 --bands 6".split()
    monkeypatch.setattr("sys.argv", ["large_corpus", str(folder), *sizes, "--train"])
    large_corpus.main()
    count, *lines = capsys.readouterr().out.splitlines()
    assert count == "4,687 frames of 6 bands"
    assert [line.partition(":")[0] for line in lines] == [*large_corpus.STAGES, "train"]
    for line in lines:
        seconds, peak = map(float, re.search(r"(\S+) s, peak memory (\S+) GiB", line).groups())
        assert seconds > 0 and peak > 0
    assert not folder.exists()


def test_a_folder_that_exists_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "mine").touch()
    monkeypatch.setattr("sys.argv", ["large_corpus", str(tmp_path)])
    with pytest.raises(FileExistsError):
        large_corpus.main()
    assert (tmp_path / "mine").exists()


def test_no_stage_needs_memory_for_all_frames(tmp_path):
    sizes = "--frames 1700000 --utterances 1500 --bands 40".split()
    # in a process without torch: the peak memory of a child begins at its parent's
    command = [sys.executable, "-m", "benchmarks.large_corpus", str(tmp_path / "large"), *sizes]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    peaks = [float(found) for found in re.findall(r"peak memory (\S+) GiB", printed)]
    assert len(peaks) == 3
    # Python and its libraries take a third of it
    assert max(peaks) * 2**30 < 1_700_000 * 40 * 4
