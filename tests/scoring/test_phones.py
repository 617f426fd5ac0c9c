"""A run of equal labels is a phone; edits between two sequences of phones are the fewest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.scoring.phones import phone_errors, phone_texts

lengths_of_utterances = st.lists(st.integers(1, 12), min_size=1, max_size=6).map(np.array)


def distance(spoken, found):
    """Return the Levenshtein distance of two sequences, by the recursion that defines it."""
    before = [*range(len(found) + 1)]
    for row, phone in enumerate(spoken, 1):
        now = [row]
        for column, other in enumerate(found, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (phone != other)))
        before = now
    return before[-1]


def errors_of(labels, predicted, lengths, **options):
    return phone_errors(np.array(labels), np.array(predicted), np.array(lengths), **options)


def totals(errors):
    return [int(each.sum()) for each in errors]


def test_runs_of_labels_are_phones_and_do_not_reach_over_utterances():
    labels = np.array([5, 5, 2, 2, 2, 2, 5, 5], np.int16)
    assert phone_texts(labels, np.array([3, 2, 3])) == ["\5\2", "\2", "\2\5"]


def test_what_is_left_out_separates_two_phones_that_are_equal():
    labels = np.array([1, 0, 0, 1, 1, 0])
    assert phone_texts(labels, np.array([6]), left_out=0) == ["\1\1"]


def test_the_highest_label_is_a_phone_like_any_other():
    (text,) = phone_texts(np.array([2**15 - 1, 0, 2**15 - 1]), np.array([3]))
    assert [*map(ord, text)] == [2**15 - 1, 0, 2**15 - 1]


@pytest.mark.parametrize(
    ("labels", "predicted", "counts"),
    [
        ([1, 1, 2, 3], [1, 2, 2, 3], [3, 3, 0, 0, 0]),  # a boundary elsewhere is no error
        ([1, 1, 1, 1], [1, 2, 2, 1], [1, 3, 2, 0, 0]),
        ([1, 2, 3, 3], [1, 1, 3, 3], [3, 2, 0, 1, 0]),
        ([1, 2, 2, 3], [1, 4, 4, 3], [3, 3, 0, 0, 1]),
        ([1, 1, 2, 2, 3, 3], [4, 4, 2, 2, 2, 2], [3, 2, 0, 1, 1]),
    ],
)
def test_insertions_deletions_and_substitutions_are_told_apart(labels, predicted, counts):
    assert totals(errors_of(labels, predicted, [len(labels)])) == counts


@given(lengths_of_utterances, st.integers(0, 10**6), st.sampled_from([None, 0]))
def test_edits_are_the_fewest_and_fit_the_numbers_of_phones(lengths, seed, left_out):
    random = np.random.default_rng(seed)
    labels, predicted = random.integers(0, 3, (2, lengths.sum()))
    errors = phone_errors(labels, predicted, lengths, left_out=left_out)
    texts = [phone_texts(each, lengths, left_out) for each in (labels, predicted)]
    assert errors.total.tolist() == [distance(*pair) for pair in zip(*texts, strict=True)]
    assert errors.phones.tolist() == [len(text) for text in texts[0]]
    assert errors.predicted.tolist() == [len(text) for text in texts[1]]
    assert (errors.phones + errors.insertions - errors.deletions == errors.predicted).all()
    assert min(each.min() for each in errors) >= 0


def test_phones_of_one_class_are_one_phone():
    classes = np.array([0, 1, 1, 2])
    assert totals(errors_of([1, 2, 3], [2, 2, 3], [3])) == [3, 2, 0, 1, 0]
    assert totals(errors_of([1, 2, 3], [2, 2, 3], [3], classes=classes)) == [2, 2, 0, 0, 0]


def test_an_utterance_of_silence_has_no_phones_once_it_is_left_out():
    errors = errors_of([0, 0, 1, 1], [0, 1, 1, 1], [2, 2], left_out=0)
    assert errors.phones.tolist() == [0, 1]
    assert errors.insertions.tolist() == [1, 0]
    assert errors.total.tolist() == [1, 0]
