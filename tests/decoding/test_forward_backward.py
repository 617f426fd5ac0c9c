"""Smoothed posteriors are those of the phone model, computed over every possible path."""

import itertools

import numpy as np
import pytest
import torch
from decoding.toys import CLASSES, ON, random_phones, random_posteriors
from torch.utils._python_dispatch import TorchDispatchMode

import phonemes.decoding.forward_backward
from phonemes.decoding.forward_backward import divided_by_prior, smoothed
from phonemes.decoding.phone_model import SmoothParams, phone_model
from phonemes.model.phone_counts import DURATION_STATES, count_phones


def moves(histories, history, scale):
    """Yield the histories that a phoneme after a history makes, and the weight of each."""
    for arc in np.flatnonzero(histories.source == history):
        own = histories.probability[arc] ** scale - histories.inherited[arc] ** scale
        yield histories.target[arc], own
    if histories.share[history] > 0:
        for target, weight in moves(histories, histories.shorter[history], scale):
            yield target, histories.share[history] ** scale * weight


def by_every_path(log_posteriors, phones, smooth):
    """Return the posteriors, (T, P), of one utterance by adding up all of its paths."""
    times, classes = log_posteriors.shape
    seen = np.exp(smooth.acoustic_scale * log_posteriors.double().numpy())
    histories, power = phones.histories, smooth.duration_scale
    onward = [[*moves(histories, each, smooth.lm_scale)] for each in range(len(histories.phone))]
    shares = np.zeros((times, classes))

    def follow(path, history, age, weight):
        now = histories.phone[history]
        path, weight = [*path, now], weight * seen[len(path), now]
        if len(path) == times:
            shares[range(times), path] += weight
            return
        leaving = phones.leaving[age, now]
        follow(path, history, min(age + 1, DURATION_STATES - 1), weight * (1 - leaving) ** power)
        for target, of_move in onward[history]:
            follow(path, target, 0, weight * leaving**power * of_move)

    for now, age in itertools.product(range(classes), range(DURATION_STATES)):  # began before
        follow([], now, age, phones.first[now] ** smooth.lm_scale)
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "smooth",
    [
        ON,
        SmoothParams(0.7, 0.7, 0.5, 0.0),
        SmoothParams(1.5, 0.5, 1.2, 0.0),
        SmoothParams(0.0001, 0.0, 0.3, 0.0),
        SmoothParams(0.3, 2.0, 1.0, 0.0),
    ],
)
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_posteriors_are_the_sum_over_all_paths(smooth, frames):
    given, phones = random_posteriors(frames), random_phones()
    found = smoothed(given, np.array([frames]), phones, smooth).exp().double().numpy()
    expected = by_every_path(given, phones, smooth)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


LENGTHS = np.array([3, 7, 1, 7, 4])


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_an_utterance_is_smoothed_as_if_it_were_alone(monkeypatch, batch):
    monkeypatch.setattr(phonemes.decoding.forward_backward, "BATCH", batch)
    given, phones = random_posteriors(LENGTHS.sum()), random_phones()
    together = smoothed(given, LENGTHS, phones, ON)
    ends = np.cumsum(LENGTHS)
    for begin, end in zip(ends - LENGTHS, ends, strict=True):
        alone = smoothed(given[begin:end], np.array([end - begin]), phones, ON)
        torch.testing.assert_close(together[begin:end], alone)


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor has that is made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


SIZE = len(random_phones().histories.phone)
LONGEST = 7 * 3 * SIZE  # numbers, more than an utterance of 7 frames needs


@pytest.mark.parametrize(("room", "fewest"), [(1, 0), (34 * SIZE, LONGEST), (10**9, 34 * SIZE)])
def test_utterances_are_smoothed_in_the_room_there_is(monkeypatch, room, fewest):
    given, phones = random_posteriors(LENGTHS.sum()), random_phones()
    expected = smoothed(given, LENGTHS, phones, ON)
    monkeypatch.setattr(phonemes.decoding.forward_backward, "ROOM", room)
    with Largest() as largest:
        found = smoothed(given, LENGTHS, phones, ON)
    torch.testing.assert_close(found, expected)
    assert fewest < largest.numbers <= max(room, LONGEST)


@pytest.mark.parametrize("smooth", [ON, SmoothParams(1.0, 0.5, 0.5, 0.2)])
def test_results_do_not_depend_on_the_order_of_the_phoneme_list(smooth):
    lengths, classes = np.array([40, 1, 33, 60]), 6
    labels = np.random.default_rng(0).integers(0, classes, lengths.sum() // 3).repeat(3)
    counted = np.array([len(labels)])
    given = random_posteriors(lengths.sum(), classes)

    def smooth_with(order):
        """Smooth with phoneme `order[n]` as number n; return posteriors in the order before."""
        number = np.argsort(order)
        phones = phone_model(count_phones(number[labels], counted, classes))
        shares = divided_by_prior(given[:, order], phones.frames, smooth.prior_scale)
        return smoothed(shares, lengths, phones, smooth)[:, number]

    expected = smooth_with(np.arange(classes))
    for order in ([5, 0, 1, 2, 3, 4], [2, 5, 4, 0, 3, 1]):
        torch.testing.assert_close(smooth_with(np.array(order)), expected)


def test_long_utterances_neither_vanish_nor_overflow():
    given = random_posteriors(1000) * 20
    posteriors = smoothed(given, np.array([1000]), random_phones(), ON).exp()
    torch.testing.assert_close(posteriors.sum(1), torch.ones(1000))


@pytest.mark.parametrize("lm_scale", [0.0001, 10.0])
@pytest.mark.parametrize("duration_scale", [0.0, 10.0])
@pytest.mark.parametrize("acoustic_scale", [0.01, 10.0])
def test_no_scale_that_is_allowed_makes_posteriors_vanish(lm_scale, duration_scale, acoustic_scale):
    labels = np.repeat([0, 1, 0, 2] * 50, [3, 4, 90, 3] * 50)
    phones = phone_model(count_phones(labels, np.array([len(labels)]), CLASSES))
    sure = random_posteriors(100) * 30  # of another phoneme in each frame, at times
    smooth = SmoothParams(lm_scale, duration_scale, acoustic_scale, 0.0)
    posteriors = smoothed(sure, np.array([100]), phones, smooth).exp()
    torch.testing.assert_close(posteriors.sum(1), torch.ones(100))


def test_a_single_odd_frame_is_corrected():
    labels = np.repeat([0, 1, 2, 1, 0] * 20, 8)
    phones = phone_model(count_phones(labels, np.array([40] * 20), CLASSES))
    truth = torch.tensor(labels[:40])
    given = torch.full((40, CLASSES), 0.1)
    given[range(40), truth] = 0.8
    given[12] = torch.tensor([0.5, 0.4, 0.1])  # within a run of class 1
    assert given.argmax(1).ne(truth).sum() == 1
    found = smoothed(given.log(), np.array([40]), phones, SmoothParams(1.0, 1.0, 0.5, 0.0))
    assert torch.equal(found.argmax(1), truth)


def test_a_phoneme_shorter_than_any_in_the_training_set_gives_way_to_its_neighbours():
    labels = np.repeat([0, 1, 2, 1, 0] * 20, 4)
    phones = phone_model(count_phones(labels, np.array([20] * 20), CLASSES))
    given = torch.full((9, CLASSES), 0.1)
    given[range(9), torch.tensor([0, 0, 0, 0, 1, 2, 2, 2, 2])] = 0.8
    found = smoothed(given.log(), np.array([9]), phones, ON).argmax(1)
    _, lengths = torch.unique_consecutive(found, return_counts=True)
    assert lengths[1:-1].ge(DURATION_STATES).all()  # the first and the last may be cut off


def test_one_class_alone_can_be_smoothed():
    phones = phone_model(count_phones(np.zeros(5, np.uint8), np.array([5]), 1))
    found = smoothed(torch.zeros(5, 1), np.array([5]), phones, ON)
    assert torch.equal(found, torch.zeros(5, 1))


# Divided by the prior


@pytest.mark.parametrize("power", [0.3, 1.0])
def test_posteriors_are_divided_by_a_power_of_the_prior(power):
    given, prior = random_posteriors(5), random_phones().frames
    shares = given.double().exp().numpy() / prior**power
    expected = shares / shares.sum(1, keepdims=True)
    found = divided_by_prior(given, prior, power)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.exp().numpy(), expected, rtol=1e-5)


def test_posteriors_that_are_the_prior_become_even():
    prior = random_phones().frames
    given = torch.tensor(np.log(prior), dtype=torch.float32).expand(4, CLASSES)
    posteriors = divided_by_prior(given, prior, 1.0).exp()
    torch.testing.assert_close(posteriors, torch.full((4, CLASSES), 1 / CLASSES))


def test_a_phoneme_that_the_training_set_lacks_leaves_the_posteriors_finite():
    phones = phone_model(count_phones(np.zeros(5, np.uint8), np.array([5]), CLASSES))
    assert divided_by_prior(random_posteriors(4), phones.frames, 1.0).isfinite().all()
