"""Phones are counted within utterances."""

import numpy as np

import phonemes.model.phone_counts
from phonemes.model.phone_counts import count_phones

LABELS = np.repeat([0, 1, 2, 1, 0, 1], [4, 1, 2, 3, 4, 5])
LENGTHS = np.array([7, 12])  # of 0 1 2 and 1 0 1


def test_phones_pairs_and_triples_are_counted_from_one_to_the_next():
    counts = count_phones(LABELS, LENGTHS, 4)
    assert counts.single.tolist() == [2, 3, 1, 0]
    assert counts.pairs.tolist() == [[0, 1, 2], [1, 0, 1], [1, 2, 1]]
    assert counts.triples.tolist() == [[0, 1, 2, 1], [1, 0, 1, 1]]
    assert counts.frames.tolist() == [8, 9, 2, 0]


def test_frames_are_counted_by_their_age_and_ends_where_another_phone_follows():
    counts = count_phones(LABELS, LENGTHS, 4)
    # 0 lasts 4 and 4 frames; 1 lasts 1, 3 and 5; 2 lasts 2, at the end of its utterance
    assert counts.lived.tolist() == [[2, 3, 1, 0], [2, 2, 1, 0], [4, 4, 0, 0]]
    assert counts.ended.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [2, 1, 0, 0]]
    assert counts.lived.sum() == len(LABELS)


def test_many_classes_take_no_room_for_what_never_occurs():
    counts = count_phones(np.array([0, 32_767, 0]), np.array([3]), 32_768)
    assert counts.triples.tolist() == [[0, 32_767, 0, 1]]


def test_one_frame_alone_has_no_sequences():
    counts = count_phones(np.array([1]), np.array([1]), 2)
    assert counts.pairs.shape == (0, 3) and counts.triples.shape == (0, 4)
    assert counts.fours.shape == (0, 5) and counts.fives.shape == (0, 6)


SPOKEN = np.array([0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 0, 2, 0, 1, 2])


def test_longer_sequences_are_counted_where_what_they_begin_with_is_frequent():
    counts = count_phones(SPOKEN, np.array([13, 3]), 4)
    # 0 1 2 comes three times before another phoneme, 1 2 3 and 2 3 0 twice, all others once
    assert counts.fours.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 2], [1, 2, 3, 0, 2],
                                     [2, 3, 0, 1, 1], [2, 3, 0, 2, 1]]  # fmt: skip
    assert counts.fives.tolist() == [[0, 1, 2, 3, 0, 2], [1, 2, 3, 0, 1, 1], [1, 2, 3, 0, 2, 1]]


def test_of_the_histories_of_longer_sequences_the_most_frequent_are_counted(monkeypatch):
    monkeypatch.setattr(phonemes.model.phone_counts, "MOST", 1)
    counts = count_phones(SPOKEN, np.array([13, 3]), 4)
    assert counts.fours.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 2]]
    assert counts.triples.tolist() == count_phones(SPOKEN, np.array([13, 3]), 4).triples.tolist()


def test_longer_sequences_of_the_largest_phonemes_are_told_apart():
    last = 2**15 - 1
    spoken = np.array([last, last - 1, last, last - 1, last - 2] * 3)
    counts = count_phones(spoken, np.array([15]), 2**15)
    assert counts.fives[-1].tolist() == [last, last - 1, last, last - 1, last - 2, 3]
