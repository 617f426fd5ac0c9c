"""Phonemes are counted within utterances, and what was never counted stays possible."""

import numpy as np
import pytest
from decoding.toys import random_counts

from phonemes.decoding.phone_model import PRIOR_FRAMES, Known, phone_model
from phonemes.model.phone_counts import DURATION_STATES, count_phones


def after(histories, history):
    """Return the probability of each phoneme after a history, by its number, (P,)."""
    found = np.zeros(int(histories.phone.max()) + 1)
    if histories.share[history] > 0:
        found += histories.share[history] * after(histories, histories.shorter[history])
    arcs = histories.source == history
    following = histories.phone[histories.target[arcs]]
    np.testing.assert_allclose(histories.inherited[arcs], found[following])
    found[following] = histories.probability[arcs]
    return found


def numbers(counts, classes):
    """Return the numbers of the histories of a model of these counts."""
    known = Known(classes)
    for rows in (counts.triples, counts.fours, counts.fives):
        if len(rows):
            known.add(rows[:, :-2])
    return lambda *phonemes: int(known.find(np.array([phonemes]))[0])


def test_phonemes_are_counted_within_utterances_from_one_to_the_next():
    labels = np.repeat([0, 1, 2, 0, 1, 2], 4)  # 0 1 2, twice
    counts = count_phones(labels, np.array([12, 12]), 4)
    model, number = phone_model(counts), numbers(counts, 4)
    np.testing.assert_allclose(model.first, np.array([3, 3, 3, 1]) / 10)
    # after 1 came 2, twice, of one kind: (2 + 1 x 0.3) / 3, where 1 itself is left out
    pair = (2 + 0.3) / 3 / 0.9
    assert number(3, 1) == number(1) == 1  # 3 1 never came
    assert after(model.histories, 1)[2] == pytest.approx(pair)
    assert after(model.histories, number(0, 1))[2] == pytest.approx((2 + pair) / 3)
    # 2 and 0 are neighbours in the array but not in an utterance: after 2 anything may come
    assert number(1, 2) == 2
    np.testing.assert_allclose(after(model.histories, 2), np.array([3, 3, 0, 1]) / 7)
    # each lasts four frames; of the last duration state only 0 and 1 are left
    assert model.leaving.shape == (DURATION_STATES, 4)
    ended, lived = np.array([2, 2, 0, 0]), np.array([4, 4, 4, 0])
    common = (4 + 0.1) / (12 + 1)
    expected = (ended + PRIOR_FRAMES * common) / (lived + PRIOR_FRAMES)
    np.testing.assert_allclose(model.leaving[2], expected)
    assert (model.leaving[:2] < 0.1).all()
    np.testing.assert_allclose(model.frames, np.array([9, 9, 9, 1]) / 28)


def test_a_long_history_gives_what_is_rare_after_it_to_the_one_without_its_first_phoneme():
    spoken = [*[0, 1, 2, 0, 1] * 3, 3]  # after 1 2 0 comes 1, after 0 1 2 0 too; then 2 or 3
    counts = count_phones(np.array(spoken), np.array([len(spoken)]), 4)
    model, number = phone_model(counts), numbers(counts, 4)
    found = after(model.histories, number(1, 2, 0, 1))
    # 0 twice and 3 once, of two kinds, with two parts of five from 2 0 1, where it is the same
    assert counts.fives[(counts.fives[:, :4] == [1, 2, 0, 1]).all(1)].tolist() == [
        [1, 2, 0, 1, 0, 2],
        [1, 2, 0, 1, 3, 1],
    ]
    shorter = after(model.histories, number(2, 0, 1))
    np.testing.assert_allclose(found, (np.array([2, 0, 0, 1]) + 2 * shorter) / 5)
    assert shorter[2] > found[2] > 0  # what never came after either stays possible


def test_a_phoneme_makes_the_longest_history_that_counts_of_those_before():
    counts = random_counts(4)
    histories, number = phone_model(counts).histories, numbers(counts, 4)
    for rows in (counts.pairs, counts.triples, counts.fours, counts.fives):
        assert len(rows)
        for *before, phoneme, _ in rows.tolist():
            arcs = (histories.source == number(*before)) & (
                histories.phone[histories.target] == phoneme
            )
            assert histories.target[arcs].tolist() == [number(*before, phoneme)]
    assert number(*counts.fives[0, :-2]) != number(*counts.fives[0, 1:-2])


def test_without_long_histories_those_of_two_phonemes_remain():
    counts = random_counts(4)
    none = counts._replace(fours=counts.fours[:0], fives=counts.fives[:0])
    short, long = (phone_model(each).histories for each in (none, counts))
    assert len(short.phone) < len(long.phone)
    for history in range(len(short.phone)):
        np.testing.assert_allclose(after(short, history), after(long, history))


def test_a_phoneme_at_the_end_of_an_utterance_and_the_start_of_the_next_counts_twice():
    labels = np.repeat([1, 0, 0, 1], 4)
    model = phone_model(count_phones(labels, np.array([8, 8]), 2))
    np.testing.assert_allclose(model.first, [1 / 2, 1 / 2])
    reordered = phone_model(count_phones(np.repeat([0, 1, 1, 0], 4), np.array([8, 8]), 2))
    np.testing.assert_allclose(after(model.histories, 0), [0, 1])
    np.testing.assert_allclose(after(model.histories, 1), [1, 0])
    for found, expected in zip(
        (model.first, *model.histories, model.leaving, model.frames),
        (reordered.first, *reordered.histories, reordered.leaving, reordered.frames),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("seed", range(3))
def test_all_are_probabilities_and_no_phoneme_follows_itself(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, 10)
    model = phone_model(count_phones(rng.integers(0, 5, lengths.sum()), lengths, 6))
    for history, now in enumerate(model.histories.phone):
        found = after(model.histories, history)
        assert found.sum() == pytest.approx(1)
        assert found[now] == 0
        assert (np.delete(found, now) > 0).all()  # what was never seen stays possible
    assert model.first.sum() == pytest.approx(1)
    assert model.frames.sum() == pytest.approx(1)
    assert (model.frames > 0).all()  # of a phoneme that the training set lacks too
    assert ((model.leaving > 0) & (model.leaving < 1)).all()
