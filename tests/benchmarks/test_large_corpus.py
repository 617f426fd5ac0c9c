"""A large corpus is made, measured stage by stage and removed."""

import re

import pytest

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
    frames, bands = 1_500_000, 40
    large_corpus.write_project(tmp_path, 1500, frames, bands)
    for stage in large_corpus.STAGES:
        _, peak = large_corpus.run_stage(tmp_path, stage)
        assert peak < frames * bands * 4  # Python and its libraries take a third of that
