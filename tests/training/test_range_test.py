"""The suggested rate lies where the loss falls; the test ends where it diverges."""

import numpy as np
import pytest
from helpers import changed
from hypothesis import given
from hypothesis import strategies as st
from training.toy import RANDOM, STEPS, finished, new_run, weights

from phonemes.errors import InputError
from phonemes.training.range_test import MEMORY, Point, losses, marks, rising, suggest, sweep

RATES = rising(1e-5, 10.0, 300)


# What is suggested


def valley(fastest, diverges, noise=0.0, seed=0):
    """Return losses over RATES that fall from 4 to 1, fastest at a rate, and then rise."""
    decades = np.log10(RATES)
    fall = 3 / (1 + np.exp(-4 * (decades - np.log10(fastest))))
    rise = (np.array(RATES) / diverges) ** 2
    return 4 - fall + rise + np.random.default_rng(seed).normal(0, noise, len(RATES))


def test_rates_rise_by_the_same_factor_from_the_lowest_to_the_highest():
    assert (RATES[0], RATES[-1]) == pytest.approx((1e-5, 10.0))
    assert np.diff(np.log(RATES)) == pytest.approx(np.log(1e6) / 299)


@given(st.lists(st.floats(1, 1.9), min_size=1, max_size=50))
def test_the_smoothed_loss_is_a_mean_in_which_each_step_back_counts_less(found):
    points = sweep(RATES, found)
    assert [point.loss for point in points] == found
    for end, point in enumerate(points, start=1):
        shares = (1 - 1 / MEMORY) ** np.arange(end)[::-1]
        assert point.smoothed == pytest.approx(np.average(found[:end], weights=shares))


@pytest.mark.parametrize("fastest", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("seed", range(3))
def test_the_fastest_fall_and_its_end_are_found_in_noise(fastest, seed):
    points = sweep(RATES, valley(fastest, diverges=10.0, noise=0.05, seed=seed))
    found = suggest(points)
    assert 0.7 * fastest < found.fastest < 2.5 * fastest  # the mean looks back
    end = fastest * 10 ** (np.log(9) / 4)  # where 3 / (1 + exp(-4 x)) is nine tenths of 3
    assert 0.7 * end < found.fallen < 2.5 * end
    assert found.lr == pytest.approx((found.fastest * found.fallen) ** 0.5)


def test_the_suggestion_and_its_two_ends_are_marked_where_they_are():
    points = sweep(RATES, valley(1e-3, diverges=10.0))
    found, said = suggest(points), marks(points)
    assert {text: points[place].lr for place, text in enumerate(said) if text} == {
        f"fastest fall: {found.fastest:.2g}": pytest.approx(found.fastest),
        f"suggested: {found.lr:.2g}": pytest.approx(found.lr, rel=0.03),  # of the next point
        f"90 % of the fall: {found.fallen:.2g}": pytest.approx(found.fallen),
    }


def test_nothing_is_marked_where_nothing_can_be_suggested():
    assert marks(sweep(RATES[:3], [1.0, 2.0, 3.0])) == ["", "", ""]
    assert marks([]) == []


def test_a_training_that_diverges_is_not_asked_for_more():
    found = iter(valley(1e-3, diverges=0.1))
    points = sweep(RATES, found)
    low = min(point.smoothed for point in points)
    assert [point.smoothed > 4 * low for point in points] == [False] * (len(points) - 1) + [True]
    assert len([*found]) == len(RATES) - len(points)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_test_and_is_left_out(loss):
    found = iter([3.0, 2.0, loss, 1.0])
    assert [point.loss for point in sweep(RATES, found)] == [3.0, 2.0]
    assert next(found) == 1.0


def test_two_losses_are_enough():
    points = sweep(RATES, [3.0, 2.0])
    assert suggest(points) == (pytest.approx(RATES[1]), RATES[1], RATES[1])


@pytest.mark.parametrize("found", [[], [3.0], [3.0, 3.5, 4.0], [2.0] * 40])
def test_where_the_loss_does_not_fall_no_rate_is_suggested(found):
    points = [Point(rate, loss, loss) for rate, loss in zip(RATES, found, strict=False)]
    with pytest.raises(InputError, match="the loss falls at no learning rate, so none can be"):
        suggest(points)


# The steps


def test_steps_at_one_rate_are_those_of_epochs_at_a_constant_rate(tiny):
    params = changed(changed(tiny, **RANDOM), train={"optimizer": "adam", "lr": 0.02})
    expected = finished(new_run(params))
    run = new_run(params)
    found = list(losses(run, [0.02] * params.train.epochs * STEPS))
    means = np.reshape(found, (params.train.epochs, STEPS)).mean(1)
    assert means == pytest.approx([row.train_loss for row in expected.history])
    assert weights(run) == weights(expected)
    assert run.history == []


def test_each_step_has_its_own_rate(tiny):
    run = new_run(tiny)
    before, moved = weights(run), []
    for _ in losses(run, [0.1, 0.0, 0.1, 0.0, 0.1]):
        moved.append(weights(run) != before)
        before = weights(run)
    assert moved == [True, False, True, False, True]


def test_the_loss_of_a_step_that_diverges_is_yielded_as_it_is(tiny):
    found = list(losses(new_run(tiny), [float("inf")] * 2))
    assert np.isfinite(found).tolist() == [True, False]
