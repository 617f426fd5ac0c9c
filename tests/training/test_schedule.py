"""The rate rises through the warm-up to its peak and then follows torch's schedule of that name."""

import numpy as np
import pytest
import torch
from helpers import changed
from hypothesis import given
from hypothesis import strategies as st
from params_rules import RULES
from torch.optim import lr_scheduler

from phonemes.training.schedule import PLANNED, plateau_factor, rate_factor

SCHEDULES = RULES["train.schedule"][1].words
EPOCHS = 12
losses = st.lists(st.floats(0.1, 5) | st.sampled_from([1.0, 0.9999, 0.99995, 0.999]), max_size=20)


def torchs_rates(schedule, steps):
    """Return the rate before each step of a torch schedule whose peak is 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = schedule(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def ours(train, times):
    return [rate_factor(train, time, []) for time in times]


@given(st.sampled_from(SCHEDULES), st.floats(0, EPOCHS), st.floats(0, 11.9), losses)
def test_every_factor_lies_between_0_and_1(tiny, schedule, time, warmup, dev_losses):
    train = changed(tiny.train, schedule=schedule, epochs=EPOCHS, warmup_epochs=warmup)
    assert 0 <= rate_factor(train, time, dev_losses) <= 1


@given(st.sampled_from(SCHEDULES), st.floats(0.1, 11.9), st.floats(0, 1, exclude_max=True))
def test_the_warm_up_rises_linearly_from_0_to_the_peak(tiny, schedule, warmup, share):
    train = changed(tiny.train, schedule=schedule, epochs=EPOCHS, warmup_epochs=warmup)
    assert rate_factor(train, share * warmup, []) == pytest.approx(share)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.5, 1, 3, 3.5])
def test_a_warm_up_ends_at_the_peak_without_a_jump(tiny, schedule, warmup):
    train = changed(tiny.train, schedule=schedule, epochs=EPOCHS, warmup_epochs=warmup)
    rising = [3.0 + epoch for epoch in range(int(warmup))]  # losses of the epochs until then
    assert rate_factor(train, warmup, rising) == 1
    assert rate_factor(train, warmup - 1e-6, rising) == pytest.approx(1, abs=1e-5)
    assert rate_factor(train, warmup + 1e-6, rising) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
@pytest.mark.parametrize("warmup", [0, 0.5, 3])
def test_a_schedule_without_steps_never_jumps(tiny, schedule, warmup):
    train = changed(tiny.train, schedule=schedule, epochs=EPOCHS, warmup_epochs=warmup)
    factors = ours(train, np.linspace(0, EPOCHS, 10_001))
    assert np.abs(np.diff(factors)).max() < 4e-3
    assert max(factors) == pytest.approx(1, abs=1e-3)


def test_after_a_warm_up_one_cycle_only_falls(tiny):
    train = changed(tiny.train, schedule="onecycle", epochs=EPOCHS, warmup_epochs=3)
    factors = ours(train, np.linspace(3, EPOCHS, 100))
    assert (np.diff(factors) < 0).all()
    assert factors[-1] == pytest.approx(1e-4 / 25)
    halfway = ours(train, [7.5])
    assert halfway == pytest.approx([(1 + 1e-4 / 25) / 2])


@given(
    st.sampled_from([name for name in SCHEDULES if name != "onecycle"]),
    st.integers(1, 5),
    st.floats(0, 7),
)
def test_the_schedule_starts_when_the_warm_up_ends(tiny, schedule, warmup, passed):
    warm = changed(
        tiny.train, schedule=schedule, epochs=7 + warmup, warmup_epochs=warmup, lr_decay=0.5
    )
    cold = changed(warm, epochs=7, warmup_epochs=0)
    now = warmup + passed
    early = rate_factor(cold, now - warmup, [])  # not `passed`, which rounding may keep from it
    assert rate_factor(warm, now, []) == pytest.approx(early)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_depends_on_the_planned_epochs_where_it_says_so(tiny, schedule):
    short, long = (
        changed(tiny.train, schedule=schedule, epochs=epochs) for epochs in (EPOCHS, 2 * EPOCHS)
    )
    times = [0.5, 3, 7.5, EPOCHS]
    assert (ours(short, times) != ours(long, times)) == (schedule in PLANNED)


def test_a_constant_rate_never_changes(tiny):
    train = changed(tiny.train, schedule="constant", epochs=EPOCHS)
    assert ours(train, [0, 0.5, 5, EPOCHS]) == [1, 1, 1, 1]


@pytest.mark.parametrize("step_epochs", [1, 3])
def test_step_is_torchs(tiny, step_epochs):
    train = changed(
        tiny.train, schedule="step", epochs=EPOCHS, lr_decay=0.7, lr_decay_epochs=step_epochs
    )
    expected = torchs_rates(lambda it: lr_scheduler.StepLR(it, step_epochs, 0.7), EPOCHS)
    assert ours(train, range(EPOCHS)) == pytest.approx(expected)


def test_exponential_is_torchs(tiny):
    train = changed(tiny.train, schedule="exponential", epochs=EPOCHS, lr_decay=0.9)
    expected = torchs_rates(lambda it: lr_scheduler.ExponentialLR(it, 0.9), EPOCHS)
    assert ours(train, range(EPOCHS)) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["step", "exponential"])
def test_a_rate_that_falls_by_epochs_stays_within_one(tiny, schedule):
    train = changed(tiny.train, schedule=schedule, epochs=EPOCHS)
    assert ours(train, [2, 2.001, 2.5, 2.999]) == [0.25] * 4


def test_cosine_is_torchs(tiny):
    train = changed(tiny.train, schedule="cosine", epochs=EPOCHS)
    expected = torchs_rates(lambda it: lr_scheduler.CosineAnnealingLR(it, EPOCHS), EPOCHS + 1)
    assert ours(train, range(EPOCHS + 1)) == pytest.approx(expected, abs=1e-12)


def test_onecycle_is_torchs(tiny):
    train = changed(tiny.train, schedule="onecycle", epochs=EPOCHS)
    steps, top = 101, 30  # torch counts steps: it peaks at step 0.3 * 101 - 1, here shifted to 30
    share = (top + 1) / steps
    expected = torchs_rates(
        lambda it: lr_scheduler.OneCycleLR(
            it, 1.0, steps, pct_start=share, div_factor=25, final_div_factor=1e4
        ),
        steps,
    )
    assert ours(train, [EPOCHS * step / (steps - 1) for step in range(steps)]) == pytest.approx(
        expected, abs=1e-12
    )


@given(losses, st.integers(0, 3), st.floats(0.1, 0.99))
def test_plateau_is_torchs(dev_losses, patience, decay):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=decay, patience=patience, eps=0)
    assert (plateau.threshold_mode, plateau.threshold) == ("rel", 1e-4)
    for loss in dev_losses:
        plateau.step(loss)
    expected = optimizer.param_groups[0]["lr"]
    assert plateau_factor(dev_losses, patience, decay) == pytest.approx(expected)


def test_plateau_lowers_the_rate_once_patience_has_run_out(tiny):
    train = changed(tiny.train, schedule="plateau", epochs=EPOCHS, plateau_patience=2, lr_decay=0.5)
    dev_losses = [3.0, 2.0, 2.0, 2.5, 2.1, 1.0, 1.0]
    factors = [rate_factor(train, epoch, dev_losses[:epoch]) for epoch in range(8)]
    assert factors == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5]


def test_plateau_counts_no_epoch_that_ends_in_the_warm_up(tiny):
    how = {"schedule": "plateau", "epochs": EPOCHS, "plateau_patience": 0, "lr_decay": 0.5}
    dev_losses = [1.0, 2.0, 2.0, 1.5]
    for warmup, expected in ((0, 0.125), (0.5, 0.125), (1, 0.5), (1.5, 0.5), (2, 1)):
        train = changed(tiny.train, warmup_epochs=warmup, **how)
        assert rate_factor(train, 4, dev_losses) == expected, warmup


def test_a_fall_of_the_loss_by_less_than_a_ten_thousandth_is_none():
    assert plateau_factor([1.0, 0.99995], patience=0, decay=0.5) == 0.5
    assert plateau_factor([1.0, 0.9998], patience=0, decay=0.5) == 1


def test_a_loss_that_is_no_number_brings_no_gain():
    assert plateau_factor([1.0, float("nan"), 0.9], patience=0, decay=0.5) == 0.5


def test_an_unknown_schedule_is_named(tiny):
    with pytest.raises(ValueError, match="no schedule named polynomial"):
        rate_factor(changed(tiny.train, schedule="polynomial"), 0.5, [])
