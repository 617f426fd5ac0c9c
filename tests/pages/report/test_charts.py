"""Points of a chart lie where their values are; the drawing has the colours of the page."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from phonemes.pages.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_MARKS,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    chart,
)


def drawing(*lines, **options):
    return chart("title", lines, "x", "y", "summary", **options)


def tree(shown):
    return ElementTree.fromstring(str(shown.svg).replace("xlink:href", "href"))


def texts(shown):
    return [element.text for element in tree(shown).iter("text")]


def points(shown, colour="accent"):
    """Return the places of the first line of a colour, in points of the drawing."""
    for path in tree(shown).iter("path"):
        if f"stroke: var(--{colour})" in path.get("style", "") and path.get("d", "").count("L"):
            return [
                tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", path.get("d"))
            ]
    raise AssertionError("there is no such line")


def test_points_are_between_the_ticks_around_them():
    shown = drawing(Line("dev", "accent", [1, 2, 4], [0.2, 0.5, 1.0]))
    assert [text for text in texts(shown) if "." in text] == ["0.2", "0.4", "0.6", "0.8", "1.0"]
    first, middle, last = points(shown)
    assert first == pytest.approx((LEFT, HEIGHT - BOTTOM), abs=0.1)
    assert last == pytest.approx((WIDTH - RIGHT, TOP), abs=0.1)
    x = LEFT + (WIDTH - RIGHT - LEFT) / 3
    y = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * 0.3 / 0.8
    assert middle == pytest.approx((x, y), abs=0.1)


def test_epochs_are_whole_numbers():
    shown = drawing(Line("dev", "accent", [1, 2], [0.2, 0.5]))
    assert texts(shown)[:2] == ["1", "2"]


def test_a_single_epoch_is_drawn():
    shown = drawing(Line("dev", "accent", [1], [0.5], tips=["epoch 1"]))
    assert "<title>epoch 1</title>" in shown.svg


def test_limits_hold_both_axes():
    shown = drawing(Line("even", "even", [0, 1], [0, 1]), limits=(0, 1), whole=False)
    corners = [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]
    assert np.allclose(points(shown, "muted"), corners, atol=0.1)
    assert texts(shown)[:6] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]


def test_points_that_are_not_finite_are_left_out_with_their_tips():
    shown = drawing(Line("dev", "accent", [1, 2, 3], [0.5, np.nan, 0.7], tips=["a", "b", "c"]))
    assert re.findall("<title>(.)</title>", shown.svg) == ["a", "c"]


def test_the_area_of_a_mark_is_its_size():
    def extent(size):
        shown = drawing(Line("dev", "accent", [1, 2], [0, 1], sizes=[1, size], tips=["a", "b"]))
        paths = [path.get("d") for path in tree(shown).iter("path") if "C" in path.get("d", "")]
        wide = [np.ptp([float(x) for x in re.findall(r"(-?[\d.]+) -?[\d.]+", d)]) for d in paths]
        return max(wide), min(wide)

    large, small = extent(0.25)
    assert large == pytest.approx(2 * small, rel=0.01)


def test_a_line_of_many_points_has_no_marks():
    many = list(range(MOST_MARKS + 1))
    assert "<title>" not in drawing(Line("dev", "accent", many, many, tips=["tip"] * 200)).svg


def test_a_drawing_has_the_colours_of_the_page_and_text_that_is_text():
    svg = str(
        drawing(Line("dev", "accent", [1, 2], [0.2, 0.5]), Line("b", "second", [1, 2], [0, 1])).svg
    )
    assert "var(--accent)" in svg and "var(--text)" in svg and "var(--line)" in svg
    assert not re.search("#a0000|http|<metadata", svg)
    assert not re.search(r' id="(figure|axes|line2d|text)_', svg)


def test_what_a_chart_says_is_escaped():
    shown = chart("t", [Line("a", "accent", [1], [1], tips=["<b>"])], "x", "y", '"><script>')
    assert "<script>" not in shown.svg and "&lt;b&gt;" in shown.svg


def test_ticks_of_an_axis_have_equally_many_decimals():
    rates = drawing(Line("lr", "accent", [1, 2], [0.0004, 0.0024]))
    assert texts(rates)[2:-1][-6:] == ["0.0000", "0.0005", "0.0010", "0.0015", "0.0020", "0.0025"]
