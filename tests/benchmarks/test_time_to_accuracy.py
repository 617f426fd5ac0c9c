"""Both ways to train print their epochs alike, and are compared at an accuracy that both reach."""

import re
import sys

import pytest

from benchmarks import time_to_accuracy
from benchmarks.time_to_accuracy import LINE, clocked, train_as_usual


@pytest.mark.heavy  # torch.optim imports the compiler
def test_the_usual_loop_learns_and_prints_a_line_an_epoch(project, capsys):
    train_as_usual(3, workers=0)
    lines = capsys.readouterr().out.splitlines()
    assert [int(LINE.match(line)[1]) for line in lines] == [1, 2, 3]
    losses = [float(re.search(r"loss (\S+) train", line)[1]) for line in lines]
    assert losses[0] > losses[1] > losses[2]
    assert float(LINE.match(lines[-1])[2]) > 0.3  # of 40 phonemes


@pytest.mark.heavy
def test_the_train_stage_is_clocked_at_the_end_of_each_epoch(project):
    (first, _), (second, accuracy) = clocked(project, "stages.train")
    assert 0 < first < second
    assert accuracy > 0.3


@pytest.mark.heavy
def test_a_process_that_fails_is_named(tmp_path, capfd):
    with pytest.raises(SystemExit, match=r"^no_such_module --fast failed$"):
        clocked(tmp_path, "no_such_module", "--fast")
    assert "No module named no_such_module" in capfd.readouterr().err


def test_the_accuracy_to_reach_is_the_lower_of_the_best(tmp_path, monkeypatch, capsys):
    runs = {"stages.train": [(5.0, 0.4), (7.0, 0.7)], "benchmarks.time_to_accuracy": [(9.0, 0.6)]}
    monkeypatch.setattr(time_to_accuracy, "clocked", lambda folder, name, *more: runs[name])
    monkeypatch.setattr(sys, "argv", ["time_to_accuracy", str(tmp_path)])
    time_to_accuracy.main()
    assert capsys.readouterr().out.splitlines() == [
        "dev accuracy to reach: 0.6000",
        "this project: 7.0 s from the start of its process, after epoch 2",
        "  3.0 s of that before training, 4.00 s training",
        "usual loop: 9.0 s from the start of its process, after epoch 1",
    ]
