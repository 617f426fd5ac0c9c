"""How figures are written on the page."""

import math
from collections.abc import Sequence

MOST_NAMED = 5  # names in a sentence
UNDEFINED, MINUS = "\u2013", "\u2212"  # a dash, and the sign as wide as a digit


PERCENT = "\u00a0%"  # on one line with its number


def number(value: float | None) -> str:
    """Return a score with three digits, or a dash where it is undefined."""
    return UNDEFINED if value is None or math.isnan(value) else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference of scores, with its sign."""
    if value is None or math.isnan(value):
        return UNDEFINED
    return f"{value:+.3f}".replace("-", MINUS) if round(value, 3) else "0.000"


def signed_count(difference: int) -> str:
    """Return a difference of numbers of frames, with its sign."""
    return f"{difference:+,}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """Return a share in percent, with a digit more where it is below ten."""
    if share is None or math.isnan(share):
        return UNDEFINED
    value = 100 * share
    return f"{value:.0f}{PERCENT}" if value >= 9.95 or value == 0 else f"{value:.1f}{PERCENT}"


def points(difference: float) -> str:
    """Return a difference of accuracies in points, hundredths."""
    value = f"{100 * difference:.1f}".removesuffix(".0")
    return f"{value} point{'' if value == '1' else 's'}"


def named(names: Sequence[str]) -> str:
    """Return the first few of some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
