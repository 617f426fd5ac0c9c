"""How counts, measured numbers and tables are written in what is printed."""

from collections.abc import Sequence
from itertools import zip_longest

DIGITS = 3  # of a measured number, that mean something


def counted(number: int, noun: str) -> str:
    """Return a count with its noun: 1 speaker, 2,345 speakers."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def rounded(number: float) -> str:
    """Return a measured number of 1 or more with the digits that mean something: 228,000."""
    return f"{float(f'{number:.{DIGITS}g}'):,.0f}"


def percent(share: float, decimals: int = 0) -> str:
    """Return a share in percent: 12 %."""
    return f"{100 * share:.{decimals}f} %"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines: the first and the last column to the left, others right."""
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    lines = []
    for row in rows:
        first, *others = (
            cell.rjust(width) if 0 < place < len(widths) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)
