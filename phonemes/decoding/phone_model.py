"""How phonemes follow each other and how long they last, by the counts of the training set.

A hidden Markov model: a state is a history, the last phonemes as far as they were counted, and
the age of the last one in frames, so that n-grams of phonemes are its transitions and hardly
any phoneme is shorter than an aligner makes them. Before an utterance's first phoneme there is
none, so that histories are short there.

Phonemes that are rare or missing after a history get their share from the history without its
first phoneme (Witten and Bell, 1991, "The zero-frequency problem"), up to single phonemes.
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


class Histories(NamedTuple):
    """The histories that count, S of them, and the phonemes that came after each.

    After a history come the phonemes of its own arcs, and with the probability `share` what comes
    after the shorter history: that of a phoneme is the sum of both. An arc leads to the longest
    known history of what its own one holds: after a much shorter one, some memory is lost.
    """

    phone: NDArray[np.int64]  # (S,) last phoneme of each; the first P have no other
    shorter: NDArray[np.int64]  # (S,) history without its first phoneme; of the first P: itself
    share: NDArray[np.float64]  # (S,) of the shorter history; 0 of the first P
    source: NDArray[np.int64]  # (M,) history of each arc
    target: NDArray[np.int64]  # (M,) history that the phoneme makes of it
    probability: NDArray[np.float64]  # (M,) of the phoneme after the history
    inherited: NDArray[np.float64]  # (M,) how much of it comes from the shorter history


class PhoneModel(NamedTuple):
    """How phonemes follow each other and how frequent they are, of float64."""

    first: NDArray[np.float64]  # (P,) probability of a phoneme, without what came before
    histories: Histories
    leaving: NDArray[np.float64]  # (A, P) probability, by state, that the next frame has another
    frames: NDArray[np.float64]  # (P,) share of the frames, all above 0


def phone_model(counts: PhoneCounts) -> PhoneModel:
    """Return the probabilities that the counts of the training set give."""
    single = counts.single.astype(np.float64)
    first = (single + 1) / (single + 1).sum()
    frames = counts.frames + 1
    return PhoneModel(
        first, _histories(counts, first), _exit_probabilities(counts), frames / frames.sum()
    )


def _histories(counts: PhoneCounts, first: NDArray[np.float64]) -> Histories:
    """Return the histories that the counts have, the short ones first."""
    classes = len(first)
    now = np.arange(classes)
    occurred = np.zeros((classes, classes))
    occurred[tuple(counts.pairs[:, :2].T)] = counts.pairs[:, 2]
    total, kinds = occurred.sum(1, keepdims=True), (occurred > 0).sum(1, keepdims=True)
    pair = (occurred + np.maximum(kinds, total == 0) * first) / np.maximum(total + kinds, 1)
    pair[now, now] = 0
    pair /= np.maximum(pair.sum(1, keepdims=True), 1e-30)  # 0 if P is 1

    known = Known(classes)
    sequences = [each for each in (counts.triples, counts.fours, counts.fives) if len(each)]
    for rows in sequences:
        known.add(rows[:, :-2])
    size = len(known)
    shorter, share = np.arange(size), np.zeros(size)
    probability = np.zeros((size, classes))  # of each phoneme after each history
    probability[:classes] = pair
    before, after = (each.ravel() for each in np.indices((classes, classes)))
    differ = before != after
    arcs = [(before[differ], after[differ], np.stack([before[differ], after[differ]], 1))]
    for rows in sequences:
        source, following, counted = known.find(rows[:, :-2]), rows[:, -2], rows[:, -1]
        own = np.unique(source)
        shorter[source] = known.find(rows[:, 1:-2])
        total, kinds = (np.bincount(source, of, size)[own] for of in (counted, counted > 0))
        share[own] = kinds / (total + kinds)
        probability[own] = share[own, None] * probability[shorter[own]]
        seen = counted / (total + kinds)[np.searchsorted(own, source)]
        probability[source, following] += seen
        arcs.append((source, following, rows[:, :-1]))
    source, following = (np.concatenate([each[part] for each in arcs]) for part in (0, 1))
    return Histories(
        known.phone,
        shorter,
        share,
        source,
        np.concatenate([known.find(reached) for _, _, reached in arcs]),
        probability[source, following],
        share[source] * probability[shorter[source], following],
    )


class Known:
    """Numbers of histories, by their phonemes; those of one phoneme have its own."""

    def __init__(self, classes: int) -> None:
        """Know those of one phoneme, P = `classes`."""
        self.phone = np.arange(classes)  # (S,) last phoneme of each
        self._base = classes
        self._codes = [np.arange(classes)]  # of the histories of 1, 2, ... phonemes, in order

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.phone)

    def add(self, phonemes: NDArray[np.int64]) -> None:
        """Add histories one phoneme longer than those before, (M, n); alike ones once."""
        codes = np.unique(self._coded(phonemes))
        self._codes.append(codes)
        self.phone = np.concatenate([self.phone, codes % self._base])

    def find(self, phonemes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the longest known end of each sequence, (M, n) of any n above 0."""
        found = phonemes[:, -1].copy()
        begin = self._base
        for length, codes in enumerate(self._codes[1 : phonemes.shape[1]], 2):
            wanted = self._coded(phonemes[:, -length:])
            at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
            known = codes[at] == wanted
            found[known] = begin + at[known]
            begin += len(codes)
        return found

    def _coded(self, phonemes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a number for each sequence of at most four, (M, n), in their order."""
        code = np.zeros(len(phonemes), np.int64)
        for part in phonemes.T:
            code = code * self._base + part
        return code


def _exit_probabilities(counts: PhoneCounts) -> NDArray[np.float64]:
    """Return the chance, (A, P), that a phoneme in a state ends, above 0 and below 1."""
    lived, ended = counts.lived, counts.ended
    common = (ended.sum(1, keepdims=True) + 0.1) / (lived.sum(1, keepdims=True) + 1)
    return (ended + PRIOR_FRAMES * common) / (lived + PRIOR_FRAMES)
