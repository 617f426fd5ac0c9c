"""Smooth posteriors over time with what train's labels tell about the order of phonemes.

A frame's network knows its window alone. How long phonemes last and which follow which is
counted in the labels of train: a hidden Markov model whose states are a phoneme, the one
before it and its age in frames, so that trigrams of phonemes are its transitions and hardly
any is shorter than an aligner makes them. What comes out is each
frame's posterior given its whole utterance, by the forward-backward algorithm (Rabiner,
1989, "A tutorial on hidden Markov models"): its likeliest phoneme is the best guess of a
frame, while Viterbi's path is the best guess of a whole utterance.

Trigrams that are rare or missing get their share from bigrams, those theirs from single
phonemes (Witten and Bell, 1991, "The zero-frequency problem"). Neighbouring frames hold
nearly the same: raised to a power below 1, their posteriors count as the fewer independent
ones that they are worth. So do the chances of leaving a phoneme, of which there is one a
frame.

Posteriors divided by the frequencies of phonemes are their likelihoods, up to a factor
that all phonemes of a frame share (Bourlard and Morgan, 1994, "Connectionist speech
recognition"): how frequent a phoneme is then counts in the sequences alone, or, without
these, not at all, for the sake of rare phonemes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.corpus import Labels
from phonemes.params import Smooth
from phonemes.stored import read_labels, read_lengths

BATCH = 48  # utterances at a time, at most
ROOM = 2**29  # numbers for the states of a batch, unless one utterance needs more
AGES = 3  # of a phoneme, with a chance of leaving it at each: its first frame, second, all later
BELIEF = 5  # frames that the chance of all phonemes counts for beside a phoneme's own
FAINT = 1e-12  # the least weight of staying, leaving and what was seen: float32 holds their product
LEAST = 1e-30  # the least posterior


class Sequences(NamedTuple):
    """How phonemes follow each other and how frequent they are, of float64."""

    first: NDArray[np.float64]  # (P,) probability of a phoneme, without what came before
    following: NDArray[np.float64]  # (P, P, P): before, now, next; 0 where next is now
    leaving: NDArray[np.float64]  # (A, P) probability, by age, that the next frame has another
    frames: NDArray[np.float64]  # (P,) share of the frames, all above 0


def _interpolated(counts: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities along the last axis, those of `lower` order where counts are few."""
    total = counts.sum(-1, keepdims=True)
    kinds = (counts > 0).sum(-1, keepdims=True)
    return (counts + np.maximum(kinds, total == 0) * lower) / np.maximum(total + kinds, 1)


def count_sequences(labels: Labels, lengths: NDArray[np.integer], classes: int) -> Sequences:
    """Count the phonemes of train.

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
    following = np.broadcast_to(first, pair.shape)
    for counts in (pair, triple):
        following = _interpolated(counts, np.broadcast_to(following, counts.shape)).copy()
        following[..., now, now] = 0
        following /= np.maximum(following.sum(-1, keepdims=True), 1e-30)  # 0 if P is 1
    frames = np.bincount(label, minlength=classes) + 1
    durations = np.diff(np.flatnonzero(np.append(begins, True)))
    leaving = _chances_of_leaving(phone, durations, np.append(two, False), classes)
    return Sequences(first, following, leaving, frames / frames.sum())


def _chances_of_leaving(
    phone: Labels, lengths: NDArray[np.integer], left: NDArray[np.bool_], classes: int
) -> NDArray[np.float64]:
    """Return the chance, (A, P), that a phoneme of an age ends, above 0 and below 1.

    Args:
        phone: (M,) phonemes.
        lengths: (M,) frames of each.
        left: (M,) whether another follows in the utterance; otherwise it is just cut off.
        classes: P.
    """
    chances = np.empty((AGES, classes))
    for age in range(1, AGES + 1):
        last = age == AGES
        ending = left & (lengths >= age if last else lengths == age)
        lived = np.maximum(lengths - age + 1, 0) if last else lengths >= age  # frames of that age
        ends, frames = (np.bincount(phone, values, minlength=classes) for values in (ending, lived))
        common = (ends.sum() + 0.1) / (frames.sum() + 1)
        chances[age - 1] = (ends + BELIEF * common) / (frames + BELIEF)
    return chances


class Smoothing(NamedTuple):
    """What posteriors are smoothed with, or divided by."""

    sequences: Sequences
    smooth: Smooth

    def applied(self, log_posteriors: Tensor, lengths: NDArray[np.integer]) -> Tensor:
        """Return log posteriors, (N, P), divided and smoothed as far as is asked for."""
        if self.smooth.prior:
            log_posteriors = divided_by_prior(
                log_posteriors, self.sequences.frames, self.smooth.prior
            )
        if self.smooth.sequence:
            return smoothed(log_posteriors, lengths, self.sequences, self.smooth)
        return log_posteriors


def read_smoothing(corpus: Path, smooth: Smooth, classes: int) -> Smoothing | None:
    """Count the phonemes of the train split that lies in a folder, unless none are asked for."""
    if smooth.sequence == 0 and smooth.prior == 0:
        return None
    lengths = read_lengths(corpus, "train")
    labels = read_labels(corpus / "labels/train.npy", int(lengths.sum()), classes)
    return Smoothing(count_sequences(labels, lengths, classes), smooth)


def divided_by_prior(log_posteriors: Tensor, frames: NDArray[np.float64], power: float) -> Tensor:
    """Return log posteriors (N, P) divided by a power of each phoneme's share, (P,) of train.

    Those of a frame add up to 1 again.
    """
    prior = torch.tensor(power * np.log(frames), dtype=torch.float32, device=log_posteriors.device)
    return torch.log_softmax(log_posteriors - prior, 1)


def smoothed(
    log_posteriors: Tensor, lengths: NDArray[np.integer], sequences: Sequences, smooth: Smooth
) -> Tensor:
    """Return the log posteriors of frames given their utterances, (N, P) float32.

    Args:
        log_posteriors: (N, P) of frames given their windows.
        lengths: (U,) frames of each utterance.
        sequences: of train.
        smooth: how much both count.
    """
    device = log_posteriors.device
    first, onward, leaving, staying = (
        torch.tensor(values**power, dtype=torch.float32, device=device)
        for values, power in (
            (sequences.first, smooth.sequence),
            (sequences.following.transpose(1, 2, 0), smooth.sequence),  # (now, next, before)
            (sequences.leaving[:, :, None, None], smooth.length),
            (1 - sequences.leaving[:, :, None, None], smooth.length),
        )
    )
    leaving, staying = leaving.clamp(min=FAINT), staying.clamp(min=FAINT)
    result = torch.empty_like(log_posteriors, dtype=torch.float32)
    room = torch.empty(0, device=device)
    for frames, alive in _batches(lengths, len(first)):
        frames = frames.to(device)
        seen = smooth.frame * log_posteriors[frames].float()  # (T, U, P)
        seen = (seen - seen.amax(2, keepdim=True)).exp().clamp(min=FAINT)
        seen = seen.transpose(1, 2)[:, :, None].contiguous()  # (T, P, 1, U)
        needed = _room(alive, len(first))
        if room.numel() < needed:
            room = torch.empty(needed, device=device)
        weights = first, onward, leaving, staying
        shares = _forward_backward(seen, alive, *weights, room[:needed])
        for time, count in enumerate(alive):
            result[frames[time, :count]] = shares[time, :, :count].t()
    return result.clamp(min=LEAST).log()


def _batches(lengths: NDArray[np.integer], classes: int) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield utterances, the longest first: frames (T, U), and how many last at each time.

    So many that the states of all have room.
    """
    order = np.argsort(-lengths, kind="stable")
    begins = np.cumsum(lengths) - lengths
    first = 0
    while first < len(order):
        fitting = ROOM // _room([1] * int(lengths[order[first]]), classes)
        chosen = order[first : first + min(max(fitting, 1), BATCH)]
        first += len(chosen)
        time = np.arange(lengths[chosen[0]])[:, None]
        frames = np.minimum(begins[chosen] + time, begins[chosen] + lengths[chosen] - 1)
        yield torch.from_numpy(frames), (time < lengths[chosen]).sum(1).tolist()


def _forward_backward(
    seen: Tensor,
    alive: list[int],
    first: Tensor,
    onward: Tensor,
    leaving: Tensor,
    staying: Tensor,
    room: Tensor,
) -> Tensor:
    """Return the posterior shares, (T, P, U), of a batch.

    States are (P, P, U) for each age: the phoneme now, the one before, the utterance. To pass
    through them takes the time here, so they lie and are weighed in a way that needs few
    passes: utterances side by side; with the weight of staying on the way forward, without it
    on the way back; and those in the second frame of a phoneme are the fresh ones of the time
    before, times a weight that every phoneme before has in common. What was seen is scaled by
    about the sum of all states, so that not all of them vanish.

    Args:
        seen: (T, P, 1, U) weight of what was seen at each time.
        alive: (T,) how many utterances, the first ones, last at each time.
        first: (P,) weight of beginning with a phoneme, at any age.
        onward: (P, P, P) weight of the next phoneme: now, next, before.
        leaving: (A, P, 1, 1) weight of leaving at an age, above 0.
        staying: (A, P, 1, 1) weight of staying, above 0.
        room: for the states that are kept, `_room` numbers.
    """
    times, classes, _, utterances = seen.shape
    square, counts = classes**2, [alive[0], *alive]  # fresh ones of a time before the first too
    parts = room.split([square * count for count in counts + alive])
    states = [part.view(classes, classes, -1) for part in parts]
    fresh, old = states[: len(counts)], states[len(counts) :]
    start = seen[0, :, 0] * first[:, None] * staying[:, :, 0]  # (A, P, U)
    for state, weight in zip((fresh[1], fresh[0], old[0]), start, strict=True):
        state.zero_()
        state[:, 0] = weight  # any was before
    odds = leaving / staying
    aged = [seen.new_ones(classes, 1, utterances)]  # the weight of second frames at each time
    for time, count in enumerate(alive[1:], 1):
        one, two, three = (
            state[..., :count] for state in (fresh[time], fresh[time - 1], old[time - 1])
        )
        older = aged[-1][..., :count]
        going = (odds[0] * one).addcmul_(odds[1] * older, two).addcmul_(odds[2], three)
        stays = staying * (seen[time, ..., :count] / going.sum((0, 1)))  # (A, P, 1, U)
        torch.mul(torch.bmm(onward, going).transpose(0, 1), stays[0], out=fresh[time + 1])
        torch.mul(three, stays[2], out=old[time]).addcmul_(older * stays[2], two)
        aged.append(stays[1])
    backward = onward.transpose(1, 2)
    later = (1 / staying).expand(AGES, classes, classes, utterances).contiguous()
    shares = seen.new_empty((times, classes, utterances))
    for time, count in reversed([*enumerate(alive)]):
        if time + 1 < times:
            going_on = later[..., : alive[time + 1]]
            scaled = seen[time + 1, ..., : alive[time + 1]] / going_on[2].sum((0, 1))
            ahead = going_on * (staying * scaled)
            onwards = torch.bmm(backward, ahead[0].transpose(0, 1))
            for age, then in enumerate((ahead[1], ahead[2], ahead[2])):
                torch.addcmul(then, odds[age], onwards, out=going_on[age])
        one, two, three = later[..., :count]
        both = (fresh[time + 1] * one).addcmul_(old[time], three).sum(1)
        both.addcmul_(aged[time][:, 0], (fresh[time][..., :count] * two).sum(1))
        shares[time, :, :count] = both
    shares.clamp_(min=LEAST)
    return shares / shares.sum(1, keepdim=True)


def _room(alive: list[int], classes: int) -> int:
    """Return how many numbers a batch keeps: states at two ages, and of one more time."""
    return (2 * sum(alive) + alive[0]) * classes**2
