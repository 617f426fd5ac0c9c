"""How phonemes follow each other and how long they last, by the counts of the training set.

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

from phonemes.model.phone_counts import PhoneCounts
from phonemes.schema import Number


@dataclass(frozen=True)
class SmoothParams:
    """How posteriors are smoothed over time, and divided by the phonemes' prior before."""

    lm_scale: Annotated[float, Number(0, 10, usual=(0, 2))]
    duration_scale: Annotated[float, Number(0, 10, usual=(0, 2))]
    acoustic_scale: Annotated[float, Number(0, 10, above=True, usual=(0.1, 1))]
    prior_scale: Annotated[float, Number(0, 10, usual=(0, 1))]


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


def phone_model(counts: PhoneCounts) -> PhoneModel:
    """Return the probabilities that the counts of the training set give."""
    classes = len(counts.single)
    single = counts.single.astype(np.float64)
    first = (single + 1) / (single + 1).sum()
    now = np.arange(classes)
    lower, orders = first, []
    for order, sequences in ((2, counts.pairs), (3, counts.triples)):
        occurred = np.zeros((classes,) * order)
        occurred[tuple(sequences[:, :order].T)] = sequences[:, order]
        lower = _interpolated(occurred, np.broadcast_to(lower, occurred.shape)).copy()
        lower[..., now, now] = 0
        lower /= np.maximum(lower.sum(-1, keepdims=True), 1e-30)  # 0 if P is 1
        orders.append(lower)
    bigram, trigram = orders
    following = np.concatenate([trigram, bigram[None]])
    frames = counts.frames + 1
    return PhoneModel(first, following, _exit_probabilities(counts), frames / frames.sum())


def _exit_probabilities(counts: PhoneCounts) -> NDArray[np.float64]:
    """Return the chance, (A, P), that a phoneme in a state ends, above 0 and below 1."""
    lived, ended = counts.lived, counts.ended
    common = (ended.sum(1, keepdims=True) + 0.1) / (lived.sum(1, keepdims=True) + 1)
    return (ended + PRIOR_FRAMES * common) / (lived + PRIOR_FRAMES)
