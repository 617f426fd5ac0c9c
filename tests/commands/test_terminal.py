"""Tables fit the terminal; a pipe gets plain text, every row on one line."""

import io
from types import SimpleNamespace

import pytest

import phonemes.commands.terminal as terminal_module
from phonemes.commands.terminal import bad, good, heading, table, warning

ROWS = [
    ("0.8500", "0.7500 ± 0.0707 (0.7000 to 0.8000)", "model.hidden=[8,6] model.residual=true"),
    ("1", "[b]x[/b]", "a"),
]
COLUMNS = ("seeds", "accuracy", "setting")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def terminal(monkeypatch) -> None:
    """Have standard output be a terminal of 60 columns."""
    monkeypatch.setattr(terminal_module, "sys", SimpleNamespace(stdout=Terminal()))
    monkeypatch.setenv("COLUMNS", "60")


def test_a_pipe_gets_every_row_on_one_line_without_control_characters():
    assert table(COLUMNS, ROWS, "rrl").splitlines() == [
        " seeds                            accuracy  setting",
        "0.8500  0.7500 ± 0.0707 (0.7000 to 0.8000)  model.hidden=[8,6] model.residual=true",
        "     1                            [b]x[/b]  a",
    ]


def test_a_row_wraps_where_the_line_ends_and_loses_nothing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = table(COLUMNS, ROWS, "rll").splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1] == "0.8500  0.7500 ± 0.0707 (0.7000   model.hidden=[8,6]"
    assert lines[2] == "        to 0.8000)                model.residual=true"


@pytest.mark.parametrize("columns", [8, 20, 40, 79])
def test_no_line_is_longer_than_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = table(COLUMNS, ROWS, "rll").splitlines()
    assert max(map(len, lines)) <= columns


def test_a_wide_character_counts_as_two_and_a_mark_above_another_as_none():
    lines = table(("", ""), [("日本", 1), ("õ", 2), ("abcd", 3)], "lr").splitlines()
    assert lines == ["日本  1", "õ     2", "abcd  3"]


def test_without_names_of_columns_there_is_no_heading():
    assert table(("", ""), [("a", 1)]) == "a  1"


def test_no_rows_are_a_heading_alone():
    assert table(("a", "b"), []) == "a  b"


def test_a_terminal_gets_colours(terminal):
    assert good("yes") == "\x1b[32myes\x1b[0m"
    assert bad("no") == "\x1b[31mno\x1b[0m"
    assert warning("well") == "\x1b[33mwell\x1b[0m"
    assert heading("Plan") == "\x1b[1mPlan\x1b[0m"


def test_a_coloured_cell_is_as_wide_as_its_text(terminal):
    lines = table(("", ""), [(good("pass"), "a"), ("x", "b")]).splitlines()
    assert lines == ["\x1b[32mpass\x1b[0m  a", "x     b"]


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_plain_text(terminal, monkeypatch, variable):
    monkeypatch.setenv(*variable)
    assert good("yes") == "yes"
    assert "\x1b" not in table(("a",), [("x",)])


def test_an_empty_no_color_refuses_nothing(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")
    assert good("yes") != "yes"
