"""The history is a table, which plots can read while the training runs."""

import csv
import errno

import pytest

import phonemes.training.history
from phonemes.training.history import shown_live, write_history
from phonemes.training.run import Epoch

ROWS = [
    Epoch(1, 2.5, 2.25, 0.5, 0.625, 2e-3, 1000.0, 1.5),
    Epoch(2, 2.0, 1.75, 0.75, 0.875, 1e-3, 1000.5, 1.25),
]


def read(path):
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == "epoch train_loss dev_loss train_accuracy dev_accuracy lr".split()
    return [(int(row[0]), *map(float, row[1:])) for row in rows]


def written(rows):
    return [row[:6] for row in rows]  # without times


def test_a_history_is_read_back_as_it_was_written(tmp_path):
    write_history(tmp_path / "history.csv", ROWS)
    assert read(tmp_path / "history.csv") == written(ROWS)
    assert b"\r" not in (tmp_path / "history.csv").read_bytes()


def test_two_trainings_that_took_different_times_leave_the_same_history(tmp_path):
    for name, seconds in (("one", 1.5), ("two", 2.5)):
        rows = [row._replace(frames_per_second=1500 / seconds, seconds=seconds) for row in ROWS]
        write_history(tmp_path / name, rows)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_history_has_six_significant_digits(tmp_path):
    row = ROWS[0]._replace(train_loss=2.275893222882552, lr=0.00011891169292418191)
    write_history(tmp_path / "history.csv", [row])
    assert (tmp_path / "history.csv").read_text().splitlines()[1] == (
        "1,2.27589,2.25,0.5,0.625,0.000118912"
    )


def test_a_history_grows_while_training_and_is_gone_in_the_end(tmp_path):
    path = tmp_path / "metrics/history.csv"
    with shown_live(path) as show:
        assert show([]) == "" and not path.exists()
        for count in (1, 2):
            assert show(ROWS[:count]) == ""
            assert read(path) == written(ROWS[:count])
            assert [*path.parent.iterdir()] == [path]  # whole at any time, and nothing else
    assert not path.exists()


def test_a_training_that_fails_leaves_no_history_behind(tmp_path):
    path = tmp_path / "history.csv"
    with pytest.raises(KeyboardInterrupt), shown_live(path) as show:
        show(ROWS)
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_history_that_was_there_before_is_left_alone(tmp_path):
    path = tmp_path / "history.csv"
    write_history(path, ROWS[:1])
    with shown_live(path) as show:
        show(ROWS)
    assert read(path) == written(ROWS[:1])


def test_a_history_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch):
    def full(path, history):
        raise OSError(errno.ENOSPC, "no space left")

    path = tmp_path / "history.csv"
    with shown_live(path) as show:
        show(ROWS[:1])
        with monkeypatch.context() as patch:
            patch.setattr(phonemes.training.history, "write_history", full)
            warning = show(ROWS)
        assert warning == (
            f"warning: {path} does not show the last epoch: [Errno {errno.ENOSPC}] no space left"
        )
        assert read(path) == written(ROWS[:1])
