"""How phonemes follow each other and how long they last, counted in the training set's labels.

A hidden Markov model: a state is a phoneme, the one before it and its age in frames, so that
trigrams of phonemes are its transitions and hardly any phoneme is shorter than an aligner
makes them. Before an utterance's first phoneme there is none: its second follows by the bigram.

Trigrams that are rare or missing get their share from bigrams, those theirs from single
phonemes (Witten and Bell, 1991, "The zero-frequency problem").
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.schema import Number
from phonemes.storage.layout import Labels


@dataclass(frozen=True)
class SmoothParams:
    """How posteriors are smoothed over time, and divided by the phonemes' prior before."""

    lm_scale: Annotated[float, Number(0, 10, usual=(0, 2))]
    duration_scale: Annotated[float, Number(0, 10, usual=(0, 2))]
    acoustic_scale: Annotated[float, Number(0, 10, above=True, usual=(0.1, 1))]
    prior_scale: Annotated[float, Number(0, 10, usual=(0, 1))]


DURATION_STATES = 3  # first frame, second, any later one; each has its own exit probability
PRIOR_FRAMES = 5  # weight of all phonemes' exit probability against a phoneme's own, in frames


class PhoneModel(NamedTuple):
    """How phonemes follow each other and how frequent they are, of float64."""

    first: NDArray[np.float64]  # (P,) probability of a phoneme, without what came before
    # (P + 1, P, P): before (P where there is none), now, next; 0 where next is now
    following: NDArray[np.float64]
    leaving: NDArray[np.float64]  # (A, P) probability, by state, that the next frame has another
    frames: NDArray[np.float64]  # (P,) share of the frames, all above 0


def _interpolated(counts: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities along the last axis, those of `lower` order where counts are few."""
    total = counts.sum(-1, keepdims=True)
    kinds = (counts > 0).sum(-1, keepdims=True)
    return (counts + np.maximum(kinds, total == 0) * lower) / np.maximum(total + kinds, 1)


def count_phones(labels: Labels, lengths: NDArray[np.integer], classes: int) -> PhoneModel:
    """Count the phonemes of the training set.

    Args:
        labels: (N,) of all utterances, end to end.
        lengths: (U,) frames of each.
        classes: P.
    """
    label = labels.astype(np.int64)
    begins = np.diff(label, prepend=-1) != 0
    ends = np.cumsum(lengths)
    begins[ends - lengths] = True
    phone = label[begins]  # (M,) one for each run of frames
    utterance = np.repeat(np.arange(len(lengths)), lengths)[begins]
    single = np.bincount(phone, minlength=classes).astype(np.float64)
    pair, triple = np.zeros((classes,) * 2), np.zeros((classes,) * 3)
    two, three = utterance[1:] == utterance[:-1], utterance[2:] == utterance[:-2]
    np.add.at(pair, (phone[:-1][two], phone[1:][two]), 1)
    np.add.at(triple, (phone[:-2][three], phone[1:-1][three], phone[2:][three]), 1)
    first = (single + 1) / (single + 1).sum()
    now = np.arange(classes)
    lower, orders = first, []
    for counts in (pair, triple):
        lower = _interpolated(counts, np.broadcast_to(lower, counts.shape)).copy()
        lower[..., now, now] = 0
        lower /= np.maximum(lower.sum(-1, keepdims=True), 1e-30)  # 0 if P is 1
        orders.append(lower)
    bigram, trigram = orders
    following = np.concatenate([trigram, bigram[None]])
    frames = np.bincount(label, minlength=classes) + 1
    durations = np.diff(np.flatnonzero(np.append(begins, True)))
    leaving = _exit_probabilities(phone, durations, np.append(two, False), classes)
    return PhoneModel(first, following, leaving, frames / frames.sum())


def _exit_probabilities(
    phone: Labels, lengths: NDArray[np.integer], left: NDArray[np.bool_], classes: int
) -> NDArray[np.float64]:
    """Return the chance, (A, P), that a phoneme of an age ends, above 0 and below 1.

    Args:
        phone: (M,) phonemes.
        lengths: (M,) frames of each.
        left: (M,) whether another follows in the utterance; otherwise it is just cut off.
        classes: P.
    """
    chances = np.empty((DURATION_STATES, classes))
    for age in range(1, DURATION_STATES + 1):
        last = age == DURATION_STATES
        ending = left & (lengths >= age if last else lengths == age)
        lived = np.maximum(lengths - age + 1, 0) if last else lengths >= age  # frames of that age
        ends, frames = (np.bincount(phone, values, minlength=classes) for values in (ending, lived))
        common = (ends.sum() + 0.1) / (frames.sum() + 1)
        chances[age - 1] = (ends + PRIOR_FRAMES * common) / (frames + PRIOR_FRAMES)
    return chances
