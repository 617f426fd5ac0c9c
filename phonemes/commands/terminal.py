"""What commands print with: tables that fit the terminal, and colours where there is one.

On a terminal a table is as wide as the terminal at most: the widest columns wrap first.
A pipe or a file gets plain text, every row on one line, unless COLUMNS says how wide it is.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from shutil import get_terminal_size

import click

ENDLESS = 10_000  # characters of a line, where nothing limits it


def coloured() -> bool:
    """Return whether standard output takes colours: a terminal, without NO_COLOR.

    See https://no-color.org: NO_COLOR counts where it is not empty.
    """
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not refused


def width() -> int:
    """Return the characters of a line."""
    return get_terminal_size().columns if sys.stdout.isatty() else _columns() or ENDLESS


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() else 0


def heading(text: str) -> str:
    """Return a text in bold."""
    return _styled(text)


def good(text: str) -> str:
    """Return a text in green."""
    return _styled(text, "green")


def warning(text: str) -> str:
    """Return a text in yellow."""
    return _styled(text, "yellow")


def bad(text: str) -> str:
    """Return a text in red."""
    return _styled(text, "red")


def _styled(text: str, colour: str | None = None) -> str:
    return click.style(text, colour, bold=colour is None or None) if coloured() else text


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], align: str = "") -> str:
    """Return rows as text under a heading, which is left out where all `columns` are empty.

    Args:
        columns: what stands above each column.
        rows: of cells, as many as columns; a cell may have a colour.
        align: a letter a column, l for left and r for right. Empty: all left.
    """
    from rich.console import Console  # not above: help does without
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for name, side in zip(columns, align or "l" * len(columns), strict=True):
        grid.add_column(
            Text(name),
            justify="right" if side == "r" else "left",
            header_style="bold",
            overflow="fold",
        )
    for row in rows:
        grid.add_row(*(Text.from_ansi(str(cell)) for cell in row))
    console = Console(
        file=StringIO(),
        width=width(),
        force_terminal=coloured(),
        color_system="standard" if coloured() else None,
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
