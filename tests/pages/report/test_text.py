"""Figures are written alike everywhere on the page."""

import math

import pytest

from phonemes.pages.report.text import named, number, percent, points, signed, signed_count


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (number, 0.12345, "0.123"),
        (number, math.nan, "\u2013"),
        (number, None, "\u2013"),
        (signed, 0.0123, "+0.012"),
        (signed, -0.5, "\u22120.500"),
        (signed, -0.0001, "0.000"),
        (signed, math.nan, "\u2013"),
        (signed_count, -1234, "\u22121,234"),
        (signed_count, 3, "+3"),
        (percent, 0.4174, "42\u00a0%"),
        (percent, 0.0995, "10\u00a0%"),
        (percent, 0.0813, "8.1\u00a0%"),
        (percent, 0.0, "0\u00a0%"),
        (percent, math.nan, "\u2013"),
        (points, 0.05, "5 points"),
        (points, 0.01, "1 point"),
        (points, 0.0512, "5.1 points"),
    ],
)
def test_a_value_is_written_as(function, value, text):
    assert function(value) == text


def test_of_many_names_the_first_are_listed():
    assert named(["a", "b"]) == "a, b"
    assert named([*"abcdefg"]) == "a, b, c, d, e and 2 more"
