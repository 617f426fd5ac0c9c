"""Phones are counted within utterances."""

import numpy as np

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
