"""Points of a chart lie where their values are, between ticks at round numbers."""

import numpy as np
import pytest

from phonemes.pages.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, chart


def places(drawn):
    return [tuple(map(float, pair.split(","))) for pair in drawn.points.split()]


def drawing(*lines, **options):
    return chart("title", lines, "x", "y", "summary", **options)


def test_points_are_between_the_ticks_around_them():
    shown = drawing(Line("dev", "accent", [1, 2, 4], [0.2, 0.5, 1.0]))
    ticks = {tick.text: tick.place for tick in shown.y_ticks}
    assert list(ticks) == ["0.2", "0.4", "0.6", "0.8", "1"]
    (_, first), (_, middle), (_, last) = places(shown.lines[0])
    assert (first, last) == (ticks["0.2"], ticks["1"]) == (HEIGHT - BOTTOM, TOP)
    assert middle == pytest.approx((ticks["0.4"] + ticks["0.6"]) / 2, abs=0.1)
    x = [place for place, _ in places(shown.lines[0])]
    assert x == pytest.approx([LEFT, LEFT + (WIDTH - RIGHT - LEFT) / 3, WIDTH - RIGHT], abs=0.1)


def test_epochs_are_whole_numbers():
    shown = drawing(Line("dev", "accent", [1, 2], [0.2, 0.5]))
    assert [tick.text for tick in shown.x_ticks] == ["1", "2"]


def test_a_single_epoch_is_drawn():
    shown = drawing(Line("dev", "accent", [1], [0.5], tips=["epoch 1"]))
    (mark,) = shown.lines[0].marks
    assert mark.tip == "epoch 1"
    assert np.isfinite([mark.x, mark.y]).all()


def test_limits_hold_both_axes():
    shown = drawing(Line("even", "even", [0, 1], [0, 1]), limits=(0, 1), whole=False)
    assert places(shown.lines[0]) == [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]
    assert [tick.text for tick in shown.x_ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_points_that_are_not_finite_are_left_out_with_their_tips():
    shown = drawing(Line("dev", "accent", [1, 2, 3], [0.5, np.nan, 0.7], tips=["a", "b", "c"]))
    assert [mark.tip for mark in shown.lines[0].marks] == ["a", "c"]


def test_the_area_of_a_mark_is_its_size():
    line = Line("dev", "accent", [1, 2], [0, 1], sizes=[1, 0.25], tips=["a", "b"])
    large, small = drawing(line).lines[0].marks
    assert large.radius == pytest.approx(2 * small.radius)


def test_a_line_of_many_points_has_no_marks():
    epochs = list(range(1, 201))
    assert drawing(Line("dev", "accent", epochs, epochs, tips=["tip"] * 200)).lines[0].marks == ()
