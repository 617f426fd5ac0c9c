"""`phonemes agreement` says how many boundaries of a reference are found, and how far off."""

from functools import partial

import pytest
from helpers import end_of

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0 1 <exists> 1 "IntervalTier" "phones" 0 1 3 0 {0} "SIL" {0} {1} "AA1" {1} 1 "SIL"
"""


agreement = partial(end_of, "agreement")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder with the annotations of two recordings by hand and by a program."""
    monkeypatch.chdir(tmp_path)
    times = {"hand/a": (0.2, 0.6), "found/a": (0.21, 0.62), "hand/b": (0.3, 0.7),
             "found/b": (0.3, 0.76), "hand/c": (0.5, 0.6)}  # fmt: skip
    for name, ends in times.items():
        path = tmp_path / f"{name}.TextGrid"
        path.parent.mkdir(exist_ok=True)
        path.write_text(GRID.format(*ends))
    return tmp_path


def test_shares_and_distances_are_those_of_all_recordings(folder, capsys):
    assert agreement("hand", "found", "--csv", "all.csv") == 0
    printed = capsys.readouterr()
    assert [line.split() for line in printed.out.splitlines()] == [
        "same phoneme 95.5 % of 2.0 s".split(),
        "in speech 98.8 % of 0.8 s".split(),
        "boundaries 4 of 4 found; 0 more in found".split(),
        "within 10 ms 50.0 % of 4".split(),
        "within 20 ms 75.0 % of 4".split(),
        "within 50 ms 75.0 % of 4".split(),
        "median distance 15.0 ms".split(),
        "mean +22.5 ms + is later".split(),
        "all.csv: every boundary, with its time in both".split(),
    ]
    assert printed.err == "1 TextGrid without another in found, as hand/c.TextGrid\n"
    assert (folder / "all.csv").read_text().splitlines() == [
        "name,label,reference,other,distance",
        "a,AA1,0.2000,0.2100,0.0100",
        "a,,0.6000,0.6200,0.0200",
        "b,AA1,0.3000,0.3000,0.0000",
        "b,,0.7000,0.7600,0.0600",
    ]


def test_a_table_that_is_there_is_left_alone(folder):
    (folder / "all.csv").write_text("mine")
    ended = agreement("hand", "found", "--csv", "all.csv")
    assert ended == "error: all.csv would be overwritten; name another file"
    assert (folder / "all.csv").read_text() == "mine"


def test_what_is_not_there_ends_in_one_line(folder):
    assert agreement("hand", "none") == "error: there is no TextGrid or folder none"
