"""Smooth posteriors over time: each frame's posterior given its whole utterance.

A frame's network sees its window alone. With a model of how long phonemes last and which
follow which (`phonemes.decoding.phone_model`), the forward-backward algorithm (Rabiner,
1989, "A tutorial on hidden Markov models") gives each frame's posterior given its whole
utterance: its likeliest phoneme is the best guess of a frame, while Viterbi's path is the
best guess of a whole utterance.

Neighbouring frames hold nearly the same: raised to a power below 1, their posteriors count
as the fewer independent ones that they are worth. So do the exit probabilities, of which
there is one a frame.

Posteriors divided by the frequencies of phonemes are their likelihoods, up to a factor
that all phonemes of a frame share (Bourlard and Morgan, 1994, "Connectionist speech
recognition"): how frequent a phoneme is then counts in the phone model alone, or, without
it, not at all, for the sake of rare phonemes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from phonemes.decoding.phone_model import Histories, PhoneModel, SmoothParams

BATCH = 32  # utterances at a time, at most: with more, as fast, the states need more memory
ROOM = 2**28  # numbers for the states of a batch, unless one utterance needs more
LEAST_WEIGHT = 1e-12  # of staying, leaving and what was seen: float32 holds their product
LEAST_POSTERIOR = 1e-30


def divided_by_prior(log_posteriors: Tensor, frames: NDArray[np.float64], power: float) -> Tensor:
    """Return log posteriors (N, P) divided by a power of the phonemes' prior, (P,).

    Those of a frame add up to 1 again.
    """
    prior = torch.tensor(power * np.log(frames), dtype=torch.float32, device=log_posteriors.device)
    return torch.log_softmax(log_posteriors - prior, 1)


def smoothed(
    log_posteriors: Tensor, lengths: NDArray[np.integer], phones: PhoneModel, smooth: SmoothParams
) -> Tensor:
    """Return the log posteriors of frames given their utterances, (N, P) float32.

    Args:
        log_posteriors: (N, P) of frames given their windows.
        lengths: (U,) frames of each utterance.
        phones: of the training set.
        smooth: how much both count.
    """
    device = log_posteriors.device
    weights = Weights.of(phones, smooth, device)
    size = len(phones.histories.phone)
    result = torch.empty_like(log_posteriors, dtype=torch.float32)
    room = torch.empty(0, device=device)
    for frames, alive in _batches(lengths, size):
        frames = frames.to(device)
        seen = smooth.acoustic_scale * log_posteriors[frames].float()  # (T, U, P)
        seen = (seen - seen.amax(2, keepdim=True)).exp().clamp(min=LEAST_WEIGHT)
        seen = seen.transpose(1, 2).contiguous()  # (T, P, U)
        needed = _room(alive, size)
        if room.numel() < needed:
            room = torch.empty(needed, device=device)
        shares = _forward_backward(seen, alive, weights, room[:needed])
        for time, count in enumerate(alive):
            result[frames[time, :count]] = shares[time, :, :count].t()
    return result.clamp(min=LEAST_POSTERIOR).log()


def _batches(lengths: NDArray[np.integer], size: int) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield utterances, the longest first: frames (T, U), and how many last at each time.

    So many that the states of all, S = `size` histories each, have room.
    """
    order = np.argsort(-lengths, kind="stable")
    begins = np.cumsum(lengths) - lengths
    first = 0
    while first < len(order):
        fitting = ROOM // _room([1] * int(lengths[order[first]]), size)
        chosen = order[first : first + min(max(fitting, 1), BATCH)]
        first += len(chosen)
        time = np.arange(lengths[chosen[0]])[:, None]
        frames = np.minimum(begins[chosen] + time, begins[chosen] + lengths[chosen] - 1)
        yield torch.from_numpy(frames), (time < lengths[chosen]).sum(1).tolist()


class Sums(NamedTuple):
    """Weighted sums of rows, of some of them each: a sparse matrix."""

    rows: Tensor  # (M,) int32, those of the first sum, then those of the second, ...
    begins: Tensor  # (sums,) int32, where those of each begin
    weights: Tensor  # (M,)

    @classmethod
    def of(
        cls,
        sums: NDArray[np.integer],
        rows: NDArray[np.integer],
        weights: NDArray[np.floating],
        count: int,
        device: torch.device,
    ) -> "Sums":
        """Return `count` sums: each of M weights says of which sum and which row it is."""
        order = np.argsort(sums, kind="stable")
        begins = np.searchsorted(sums[order], np.arange(count))
        return cls(
            torch.tensor(rows[order], dtype=torch.int32, device=device),
            torch.tensor(begins, dtype=torch.int32, device=device),
            torch.tensor(weights[order], dtype=torch.float32, device=device),
        )

    def __call__(self, values: Tensor) -> Tensor:
        """Return the sums, (sums, U), of values (rows, U)."""
        return F.embedding_bag(
            self.rows, values, self.begins, mode="sum", per_sample_weights=self.weights
        )


class Weights(NamedTuple):
    """What paths through the states are weighed by; a state is a history and its age."""

    phone: Tensor  # (S,) last phoneme of each history
    first: Tensor  # (P,) of beginning with a phoneme, at any age
    leaving: Tensor  # (A, P) of leaving a phoneme at an age, above 0
    staying: Tensor  # (A, P) of staying, above 0
    shorten: Sums  # for each history, over the longer ones that end with it, and itself
    lengthen: Sums  # for each history, over those that it ends with, and itself
    arrive: Sums  # for each history, over those that the arcs to it come from
    leave: Sums  # for each history, over those that its own arcs go to
    by_phone: Sums  # for each phoneme, over the histories that end with it

    @classmethod
    def of(cls, phones: PhoneModel, smooth: SmoothParams, device: torch.device) -> "Weights":
        """Return the powers of the probabilities that `smooth` says."""
        histories, scale = phones.histories, smooth.lm_scale
        size, classes = len(histories.phone), len(phones.first)
        longer, shorter, share = _shortened(histories)
        own = histories.probability**scale - histories.inherited**scale
        share, source, target = share**scale, histories.source, histories.target

        def powered(values: NDArray[np.float64], power: float) -> Tensor:
            return torch.tensor(values**power, dtype=torch.float32, device=device)

        return cls(
            torch.tensor(histories.phone, device=device),
            powered(phones.first, scale),
            powered(phones.leaving, smooth.duration_scale).clamp(min=LEAST_WEIGHT),
            powered(1 - phones.leaving, smooth.duration_scale).clamp(min=LEAST_WEIGHT),
            Sums.of(shorter, longer, share, size, device),
            Sums.of(longer, shorter, share, size, device),
            Sums.of(target, source, own, size, device),
            Sums.of(source, target, own, size, device),
            Sums.of(histories.phone, np.arange(size), np.ones(size), classes, device),
        )


def _shortened(
    histories: Histories,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return all pairs of a history and a shorter one, itself among them, and its share of it."""
    longer = shorter = np.arange(len(histories.phone))
    share = np.ones(len(longer))
    found = [(longer, shorter, share)]
    while len(longer):
        share = share * histories.share[shorter]
        left = share > 0
        longer, shorter, share = longer[left], histories.shorter[shorter[left]], share[left]
        found.append((longer, shorter, share))
    longer, shorter, share = (np.concatenate(each) for each in zip(*found, strict=True))
    return longer, shorter, share


class States(NamedTuple):
    """Weights of all paths up to each time, (S, U) each, by history.

    A phoneme's second frame has no states of its own: they are those of its first frame one
    time earlier, times a weight that all histories of the phoneme have in common.
    """

    fresh: list[Tensor]  # first frames; number t + 1 is of time t, number 0 of the time before
    old: list[Tensor]  # third and later frames, by time
    aged: list[Tensor]  # (P, U) the weight of second frames, by time


def _forward_backward(seen: Tensor, alive: list[int], weights: Weights, room: Tensor) -> Tensor:
    """Return the posterior shares, (T, P, U), of a batch.

    Passing through the states takes most of the time, so they are laid out for few passes:
    utterances next to each other; with the weight of staying on the way forward, without it on
    the way back; second frames as in `States`. What was seen is scaled by about the sum of all
    states, so that not all of them vanish.

    Args:
        seen: (T, P, U) weight of what was seen at each time.
        alive: (T,) how many utterances, the first ones, last at each time.
        weights: of paths.
        room: for the states that are kept, `_room` numbers.
    """
    return _backward(seen, alive, weights, _forward(seen, alive, weights, room))


def _forward(seen: Tensor, alive: list[int], weights: Weights, room: Tensor) -> States:
    """Return the states at each time, on the way forward."""
    phone, staying = weights.phone, weights.staying
    size, (_, classes, utterances) = len(phone), seen.shape
    counts = [alive[0], *alive]  # fresh ones of a time before the first too
    parts = room.split([size * count for count in counts + alive])
    states = [part.view(size, -1) for part in parts]
    fresh, old = states[: len(counts)], states[len(counts) :]
    start = seen[0] * weights.first[:, None] * staying[:, :, None]  # (A, P, U)
    for state, weight in zip((fresh[1], fresh[0], old[0]), start, strict=True):
        state.zero_()
        state[:classes] = weight
    odds = (weights.leaving / staying)[:, phone, None]  # (A, S, 1)
    aged = [seen.new_ones(classes, utterances)]
    for time, count in enumerate(alive[1:], 1):
        one, two, three = (
            state[:, :count] for state in (fresh[time], fresh[time - 1], old[time - 1])
        )
        second = aged[-1][:, :count].index_select(0, phone).mul_(two)
        going = (odds[0] * one).addcmul_(odds[1], second).addcmul_(odds[2], three)
        stays = staying[..., None] * (seen[time, :, :count] / going.sum(0))  # (A, P, U)
        began = weights.arrive(weights.shorten(going))
        torch.mul(began, stays[0].index_select(0, phone), out=fresh[time + 1])
        torch.mul(second.add_(three), stays[2].index_select(0, phone), out=old[time])
        aged.append(stays[1])
    return States(fresh, old, aged)


def _backward(seen: Tensor, alive: list[int], weights: Weights, states: States) -> Tensor:
    """Return the posterior shares, (T, P, U), on the way back."""
    phone, staying = weights.phone, weights.staying
    fresh, old, aged = states
    times, _, utterances = seen.shape
    odds = (weights.leaving / staying)[:, phone, None]  # (A, S, 1)
    later = (1 / staying)[:, phone, None].expand(-1, -1, utterances).contiguous()  # (A, S, U)
    shares = torch.empty_like(seen)
    for time, count in reversed([*enumerate(alive)]):
        if time + 1 < times:
            going_on = later[..., : alive[time + 1]]
            scaled = seen[time + 1, :, : alive[time + 1]] / going_on[2].sum(0)
            ahead = (staying[..., None] * scaled).index_select(1, phone).mul_(going_on)
            onwards = weights.lengthen(weights.leave(ahead[0]))
            for age, then in enumerate((ahead[1], ahead[2], ahead[2])):
                torch.addcmul(then, odds[age], onwards, out=going_on[age])
        one, two, three = later[..., :count]
        both = (fresh[time + 1] * one).addcmul_(old[time], three)
        second = aged[time][:, :count].index_select(0, phone).mul_(fresh[time][:, :count])
        both.addcmul_(second, two)
        shares[time, :, :count] = weights.by_phone(both)
    shares.clamp_(min=LEAST_POSTERIOR)
    return shares / shares.sum(1, keepdim=True)


def _room(alive: list[int], size: int) -> int:
    """Return how many numbers a batch keeps: states at two ages, and of one more time."""
    return (2 * sum(alive) + alive[0]) * size
