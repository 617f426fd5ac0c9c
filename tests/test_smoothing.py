"""Smoothed posteriors are those of the model of sequences, computed over every possible path."""

import itertools

import numpy as np
import pytest
import torch

import phonemes.recognition
import phonemes.smoothing
from phonemes.inference import Split
from phonemes.model import Model
from phonemes.params import Smooth
from phonemes.recognition import recognize
from phonemes.smoothing import (
    AGES,
    BELIEF,
    Sequences,
    Smoothing,
    count_sequences,
    divided_by_prior,
    read_smoothing,
    smoothed,
)

CLASSES = 3
ON = Smooth(sequence=1.0, length=1.0, frame=1.0, prior=0.0)


def sequences(seed=0, classes=CLASSES):
    """Return random probabilities that could have been counted."""
    rng = np.random.default_rng(seed)
    following = rng.random((classes, classes, classes))
    now = np.arange(classes)
    following[:, now, now] = 0
    following /= following.sum(-1, keepdims=True)
    first = rng.random(classes)
    leaving, frames = rng.uniform(0.1, 0.7, (AGES, classes)), rng.random(classes)
    return Sequences(first / first.sum(), following, leaving, frames / frames.sum())


def posteriors(frames, seed=0, classes=CLASSES):
    generator = torch.Generator().manual_seed(seed)
    return torch.log_softmax(2 * torch.randn(frames, classes, generator=generator), 1)


def by_every_path(log_posteriors, model, smooth):
    """Return the posteriors, (T, P), of one utterance by adding up all of its paths."""
    times, classes = log_posteriors.shape
    weights = np.exp(smooth.frame * log_posteriors.double().numpy())
    shares = np.zeros((times, classes))
    paths = itertools.product(range(classes), repeat=times)
    for path, age in itertools.product(paths, range(AGES)):  # it began that long before
        prior, before = model.first[path[0]] ** smooth.sequence, 0  # class 0 came before that
        for now, following in itertools.pairwise(path):
            leaving = model.leaving[age, now]
            if following == now:
                prior *= (1 - leaving) ** smooth.length
                age = min(age + 1, AGES - 1)
            else:
                prior *= leaving**smooth.length
                prior *= model.following[before, now, following] ** smooth.sequence
                before, age = now, 0
        weight = prior * np.prod(weights[range(times), path])
        shares[range(times), path] += weight
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "smooth",
    [
        ON,
        Smooth(0.7, 0.7, 0.5, 0.0),
        Smooth(1.5, 0.5, 1.2, 0.0),
        Smooth(0.0001, 0.0, 0.3, 0.0),
        Smooth(0.3, 2.0, 1.0, 0.0),
    ],
)
@pytest.mark.parametrize("frames", [1, 2, 6])
def test_shares_are_the_sum_over_all_paths(smooth, frames):
    given, model = posteriors(frames), sequences()
    actual = smoothed(given, np.array([frames]), model, smooth).exp().double().numpy()
    np.testing.assert_allclose(actual, by_every_path(given, model, smooth), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_an_utterance_is_smoothed_as_if_it_were_alone(monkeypatch, batch):
    monkeypatch.setattr(phonemes.smoothing, "BATCH", batch)
    lengths, model = np.array([3, 7, 1, 7, 4]), sequences()
    given = posteriors(lengths.sum())
    together = smoothed(given, lengths, model, ON)
    ends = np.cumsum(lengths)
    for begin, end in zip(ends - lengths, ends, strict=True):
        alone = smoothed(given[begin:end], np.array([end - begin]), model, ON)
        torch.testing.assert_close(together[begin:end], alone)


LONGEST = 7 * 3 * CLASSES**2  # numbers, more than an utterance of 7 frames takes


@pytest.mark.parametrize("room", [1, LONGEST, 10**9])
def test_utterances_are_smoothed_in_the_room_there_is(monkeypatch, room):
    lengths, model = np.array([3, 7, 1, 7, 4]), sequences()
    given = posteriors(lengths.sum())
    expected = smoothed(given, lengths, model, ON)
    frames, rooms = [], []
    made = phonemes.smoothing._forward_backward

    def watched(seen, alive, *others):
        frames.append(sum(alive))
        rooms.append(len(others[-1]))
        return made(seen, alive, *others)

    monkeypatch.setattr(phonemes.smoothing, "ROOM", room)
    monkeypatch.setattr(phonemes.smoothing, "_forward_backward", watched)
    torch.testing.assert_close(smoothed(given, lengths, model, ON), expected)
    assert max(rooms) <= max(room, LONGEST)
    assert len(rooms) == {1: 5, LONGEST: 4}.get(room, 1)
    assert sum(frames) == lengths.sum()


def test_long_utterances_neither_vanish_nor_overflow():
    given = posteriors(3000) * 20
    shares = smoothed(given, np.array([3000]), sequences(), ON).exp()
    torch.testing.assert_close(shares.sum(1), torch.ones(3000))


@pytest.mark.parametrize("sequence", [0.0001, 10.0])
@pytest.mark.parametrize("length", [0.0, 10.0])
@pytest.mark.parametrize("frame", [0.01, 10.0])
def test_no_power_that_is_allowed_makes_posteriors_vanish(sequence, length, frame):
    labels = np.repeat([0, 1, 0, 2] * 50, [3, 4, 90, 3] * 50)
    model = count_sequences(labels, np.array([len(labels)]), CLASSES)
    sure = posteriors(100) * 30  # of another phoneme in each frame, at times
    smooth = Smooth(sequence, length, frame, 0.0)
    shares = smoothed(sure, np.array([100]), model, smooth).exp()
    torch.testing.assert_close(shares.sum(1), torch.ones(100))


def test_a_single_odd_frame_is_corrected():
    labels = np.repeat([0, 1, 2, 1, 0] * 20, 8)
    model = count_sequences(labels, np.array([40] * 20), CLASSES)
    truth = torch.tensor(labels[:40])
    given = torch.full((40, CLASSES), 0.1)
    given[range(40), truth] = 0.8
    given[12] = torch.tensor([0.5, 0.4, 0.1])  # within a run of class 1
    assert given.argmax(1).ne(truth).sum() == 1
    result = smoothed(given.log(), np.array([40]), model, Smooth(1.0, 1.0, 0.5, 0.0))
    assert torch.equal(result.argmax(1), truth)


def test_sequences_are_counted_within_utterances_from_one_phoneme_to_the_next():
    labels = np.repeat([0, 1, 2, 0, 1, 2], 4)  # 0 1 2, twice
    model = count_sequences(labels, np.array([12, 12]), 4)
    np.testing.assert_allclose(model.first, np.array([3, 3, 3, 1]) / 10)
    # after 1 came 2, twice, of one kind: (2 + 1 x 0.3) / 3, where 1 itself is left out
    pair = (2 + 0.3) / 3 / 0.9
    assert model.following[3, 1, 2] == pytest.approx(pair)  # 3 1 never came
    assert model.following[0, 1, 2] == pytest.approx((2 + pair) / 3)
    # 2 and 0 are neighbours in the array but not in an utterance: after 2 anything may come
    np.testing.assert_allclose(model.following[1, 2], np.array([3, 3, 0, 1]) / 7)
    # each of four frames, of which only 0 and 1 are left, in the last of the ages
    assert model.leaving.shape == (AGES, 4)
    ended, lived = np.array([2, 2, 0, 0]), np.array([4, 4, 4, 0])
    common = (4 + 0.1) / (12 + 1)
    np.testing.assert_allclose(model.leaving[2], (ended + BELIEF * common) / (lived + BELIEF))
    assert (model.leaving[:2] < 0.1).all()
    np.testing.assert_allclose(model.frames, np.array([9, 9, 9, 1]) / 28)


@pytest.mark.parametrize("seed", range(5))
def test_what_follows_is_a_distribution_without_the_phoneme_itself(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, 10)
    model = count_sequences(rng.integers(0, 5, lengths.sum()), lengths, 6)
    np.testing.assert_allclose(model.following.sum(-1), 1)
    now = np.arange(6)
    assert (model.following[:, now, now] == 0).all()
    others = ~np.eye(6, dtype=bool)
    assert (model.following[:, others] > 0).all()  # what was never seen stays possible
    assert model.first.sum() == pytest.approx(1)
    assert ((model.leaving > 0) & (model.leaving < 1)).all()


def test_a_phoneme_shorter_than_any_in_train_gives_way_to_its_neighbours():
    labels = np.repeat([0, 1, 2, 1, 0] * 20, 4)
    model = count_sequences(labels, np.array([20] * 20), CLASSES)
    given = torch.full((9, CLASSES), 0.1)
    given[range(9), torch.tensor([0, 0, 0, 0, 1, 2, 2, 2, 2])] = 0.8
    told = smoothed(given.log(), np.array([9]), model, Smooth(1.0, 1.0, 1.0, 0.0)).argmax(1)
    _, lengths = torch.unique_consecutive(told, return_counts=True)
    assert lengths[1:-1].ge(AGES).all()  # the first and the last may be cut off


def test_one_class_alone_can_be_smoothed():
    model = count_sequences(np.zeros(5, np.uint8), np.array([5]), 1)
    result = smoothed(torch.zeros(5, 1), np.array([5]), model, ON)
    assert torch.equal(result, torch.zeros(5, 1))


# --- divided by frequencies


@pytest.mark.parametrize("power", [0.3, 1.0])
def test_posteriors_are_divided_by_a_power_of_the_frequencies(power):
    given, frames = posteriors(5), sequences().frames
    shares = given.double().exp().numpy() / frames**power
    expected = shares / shares.sum(1, keepdims=True)
    actual = divided_by_prior(given, frames, power)
    assert actual.dtype == torch.float32
    np.testing.assert_allclose(actual.exp().numpy(), expected, rtol=1e-5)


def test_divided_by_all_of_their_frequencies_phonemes_that_look_no_different_are_as_likely():
    frames = sequences().frames
    given = torch.tensor(np.log(frames), dtype=torch.float32).expand(4, CLASSES)
    shares = divided_by_prior(given, frames, 1.0).exp()
    torch.testing.assert_close(shares, torch.full((4, CLASSES), 1 / CLASSES))


def test_a_phoneme_that_train_lacks_leaves_the_posteriors_finite():
    model = count_sequences(np.zeros(5, np.uint8), np.array([5]), CLASSES)
    assert divided_by_prior(posteriors(4), model.frames, 1.0).isfinite().all()


@pytest.mark.parametrize("sequence", [0.0, 1.0])
def test_frames_are_recognized_by_divided_posteriors_smoothed_or_not(monkeypatch, sequence):
    lengths, model = np.array([4, 9]), sequences()
    given = posteriors(13)
    monkeypatch.setattr(phonemes.recognition, "log_posteriors", lambda *_: given)
    smooth = Smooth(sequence, 0.5, 0.5, 0.7)
    expected = divided_by_prior(given, model.frames, 0.7)
    if sequence:
        expected = smoothed(expected, lengths, model, smooth)
    split = Split(torch.empty(0), torch.arange(13), expected.argmax(1))
    smoothing = Smoothing(model, smooth)
    outcomes = recognize(Model([None], [], {}), split, lengths, 4, torch.float32, smoothing)
    assert torch.equal(outcomes.predicted, expected.argmax(1))
    torch.testing.assert_close(outcomes.loss, -expected.amax(1))


def test_where_nothing_is_asked_for_one_network_classifies_directly(monkeypatch):
    expected = object()
    monkeypatch.setattr(phonemes.recognition, "classify", lambda *_: expected)
    split = Split(torch.empty(0), torch.arange(3), None)
    model = Model([None], [], {})
    assert recognize(model, split, np.array([3]), 4, torch.float32, None) is expected


def test_where_nothing_is_asked_for_no_phonemes_are_counted(tmp_path):
    assert read_smoothing(tmp_path / "nothing", Smooth(0.0, 0.5, 0.5, 0.0), CLASSES) is None


@pytest.mark.parametrize(("sequence", "prior"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_where_anything_is_asked_for_the_phonemes_of_train_are_counted(
    monkeypatch, tmp_path, sequence, prior
):
    labels, lengths = np.repeat([0, 1, 2], 4), np.array([12])
    monkeypatch.setattr(phonemes.smoothing, "read_lengths", lambda corpus, split: lengths)
    monkeypatch.setattr(phonemes.smoothing, "read_labels", lambda path, count, classes: labels)
    smooth = Smooth(sequence, 0.5, 0.5, prior)
    sequences, asked = read_smoothing(tmp_path, smooth, CLASSES)
    assert asked == smooth
    np.testing.assert_allclose(sequences.frames, [1 / 3] * 3)
