"""What is counted in the training set's labels: how phonemes follow each other and last.

A model file holds these counts, so that posteriors are smoothed, and words aligned, without
the training set. Runs of equal labels are phones; none crosses utterances. P phonemes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.layout import Labels

DURATION_STATES = 3  # first frame, second, any later one; A of them
LEAST = 2  # how often three or four phonemes occur before another, or what follows is not counted
MOST = 2**13  # of such histories of each length, the most frequent
MOST_CODES = 2**62  # that int64 holds


class PhoneCounts(NamedTuple):
    """Sums over the phones of the training set, of int64."""

    single: NDArray[np.int64]  # (P,) phones
    pairs: NDArray[np.int64]  # (M, 3) phoneme, the next, how often; those that occur
    triples: NDArray[np.int64]  # (M, 4) phoneme, the next two, how often; those that occur
    fours: NDArray[np.int64]  # (M, 5) phoneme, the next three, how often; see `LEAST` and `MOST`
    fives: NDArray[np.int64]  # (M, 6) phoneme, the next four, how often; see there too
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
    durations = np.diff(first, append=len(labels))
    followed = np.append(utterance[1:] == utterance[:-1], False)
    lived, ended = _lives(phone, durations, followed, classes)
    pairs, triples, fours, fives = (
        _sequences(phone, utterance, classes, length) for length in (2, 3, 4, 5)
    )
    return PhoneCounts(
        np.bincount(phone, minlength=classes),
        pairs,
        triples,
        fours,
        fives,
        lived,
        ended,
        lived.sum(0),
    )


def _sequences(
    phone: NDArray[np.int64], utterance: NDArray[np.integer], classes: int, length: int
) -> NDArray[np.int64]:
    """Return the sequences of `length` phonemes, in their order, and how often, (M, length + 1).

    Args:
        phone: (N,) phonemes of the training set.
        utterance: (N,) that each is in.
        classes: P.
        length: of the sequences. Of long ones, those that begin with a frequent history.
    """
    count = max(len(phone) - length + 1, 0)
    inside = utterance[length - 1 :] == utterance[:count]
    parts = [phone[at : at + count][inside] for at in range(length)]
    if length > 3:
        code = _coded(parts[:-1], classes)
        histories, occur = np.unique(code, return_counts=True)
        frequent = np.argsort(-occur, kind="stable")[:MOST]
        kept = np.isin(code, histories[frequent[occur[frequent] >= LEAST]])
        parts = [part[kept] for part in parts]
    _, first, counts = np.unique(_coded(parts, classes), return_index=True, return_counts=True)
    return np.stack([*(part[first] for part in parts), counts], axis=1).astype(np.int64)


def _coded(parts: list[NDArray[np.int64]], classes: int) -> NDArray[np.int64]:
    """Return a number for each sequence, (M,), in their order; alike ones have the same.

    Args:
        parts: the first, second, ... phoneme of each, (M,).
        classes: P.
    """
    code, codes = np.zeros(len(parts[0]), np.int64), 1
    for part in parts:
        if codes * classes > MOST_CODES:  # as few as there are sequences
            _, code = np.unique(code, return_inverse=True)
            codes = len(code)
        code, codes = code * classes + part, codes * classes
    return code


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
