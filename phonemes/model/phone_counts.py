"""What is counted in the training set's labels: how phonemes follow each other and last.

A model file holds these counts, so that posteriors are smoothed, and words aligned, without
the training set. Runs of equal labels are phones; none crosses utterances. P phonemes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.layout import Labels

DURATION_STATES = 3  # first frame, second, any later one; A of them


class PhoneCounts(NamedTuple):
    """Sums over the phones of the training set, of int64."""

    single: NDArray[np.int64]  # (P,) phones
    pairs: NDArray[np.int64]  # (M, 3) phoneme, the next, how often; those that occur
    triples: NDArray[np.int64]  # (M, 4) phoneme, the next two, how often; those that occur
    lived: NDArray[np.int64]  # (A, P) frames in each duration state
    ended: NDArray[np.int64]  # (A, P) of those, after which another phoneme follows
    frames: NDArray[np.int64]  # (P,)


def count_phones(labels: Labels, lengths: NDArray[np.integer], classes: int) -> PhoneCounts:
    """Count the phones of the training set.

    Args:
        labels: (N,) of all utterances, end to end.
        lengths: (U,) frames of each.
        classes: P.
    """
    begins = np.empty(len(labels), bool)  # a byte a frame; all else is counted by phones
    np.not_equal(labels[1:], labels[:-1], out=begins[1:])
    ends = np.cumsum(lengths)
    begins[ends - lengths] = True
    first = np.flatnonzero(begins)  # (M,) frame of each phone
    phone = labels[first].astype(np.int64)
    utterance = np.searchsorted(ends, first, "right")
    two, three = utterance[1:] == utterance[:-1], utterance[2:] == utterance[:-2]
    durations = np.diff(first, append=len(labels))
    lived, ended = _lives(phone, durations, np.append(two, False), classes)
    return PhoneCounts(
        np.bincount(phone, minlength=classes),
        _sequences(classes, phone[:-1][two], phone[1:][two]),
        _sequences(classes, phone[:-2][three], phone[1:-1][three], phone[2:][three]),
        lived,
        ended,
        lived.sum(0),
    )


def _sequences(classes: int, *phones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sequences that occur, in their order, and how often, (M, n + 1).

    Args:
        classes: P.
        phones: the first, second, ... phoneme of each, n of the same size.
    """
    shape = (classes,) * len(phones)
    codes, counts = np.unique(np.ravel_multi_index(phones, shape), return_counts=True)
    return np.stack([*np.unravel_index(codes, shape), counts], axis=1).astype(np.int64)


def _lives(
    phone: Labels, durations: NDArray[np.integer], left: NDArray[np.bool_], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the frames in each duration state, and of those the last of a phone, (A, P) each.

    Args:
        phone: (M,) phonemes.
        durations: (M,) frames of each.
        left: (M,) whether another follows in the utterance; otherwise it is just cut off.
        classes: P.
    """
    lived, ended = (np.zeros((DURATION_STATES, classes), np.int64) for _ in range(2))
    for age in range(1, DURATION_STATES + 1):
        last = age == DURATION_STATES
        ending = left & (durations >= age if last else durations == age)
        frames = np.maximum(durations - age + 1, 0) if last else durations >= age
        lived[age - 1] = np.bincount(phone, frames, minlength=classes)
        ended[age - 1] = np.bincount(phone, ending, minlength=classes)
    return lived, ended
