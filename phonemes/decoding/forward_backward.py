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
from numpy.typing import NDArray
from torch import Tensor

from phonemes.decoding.phone_model import PhoneModel, SmoothParams
from phonemes.model.phone_counts import DURATION_STATES

BATCH = 16  # utterances at a time, at most: with more, as fast, the states need more memory
ROOM = 2**29  # numbers for the states of a batch, unless one utterance needs more
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
    first, onward, leaving, staying = (
        torch.tensor(values**power, dtype=torch.float32, device=device)
        for values, power in (
            (phones.first, smooth.lm_scale),
            (phones.following.transpose(1, 2, 0), smooth.lm_scale),  # (now, next, before)
            (phones.leaving[:, :, None, None], smooth.duration_scale),
            (1 - phones.leaving[:, :, None, None], smooth.duration_scale),
        )
    )
    leaving, staying = leaving.clamp(min=LEAST_WEIGHT), staying.clamp(min=LEAST_WEIGHT)
    result = torch.empty_like(log_posteriors, dtype=torch.float32)
    room = torch.empty(0, device=device)
    for frames, alive in _batches(lengths, len(first)):
        frames = frames.to(device)
        seen = smooth.acoustic_scale * log_posteriors[frames].float()  # (T, U, P)
        seen = (seen - seen.amax(2, keepdim=True)).exp().clamp(min=LEAST_WEIGHT)
        seen = seen.transpose(1, 2)[:, :, None].contiguous()  # (T, P, 1, U)
        needed = _room(alive, len(first))
        if room.numel() < needed:
            room = torch.empty(needed, device=device)
        weights = Weights(first, onward, leaving, staying)
        shares = _forward_backward(seen, alive, weights, room[:needed])
        for time, count in enumerate(alive):
            result[frames[time, :count]] = shares[time, :, :count].t()
    return result.clamp(min=LEAST_POSTERIOR).log()


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


class Weights(NamedTuple):
    """What paths through the states are weighed by."""

    first: Tensor  # (P,) of beginning with a phoneme, in any duration state
    onward: Tensor  # (P, P, P + 1) of the next phoneme: now, next, before
    leaving: Tensor  # (A, P, 1, 1) of leaving a duration state, above 0
    staying: Tensor  # (A, P, 1, 1) of staying, above 0


class States(NamedTuple):
    """Weights of all paths up to each time, (P, P + 1, U) each: the phoneme now, the one before.

    Before an utterance's first phoneme is number P, which is none.
    A phoneme's second frame has no states of its own: they are those of its first frame one
    time earlier, times a weight that all phonemes before have in common.
    """

    fresh: list[Tensor]  # first frames; number t + 1 is of time t, number 0 of the time before
    old: list[Tensor]  # third and later frames, by time
    aged: list[Tensor]  # (P, 1, U) the weight of second frames, by time


def _forward_backward(seen: Tensor, alive: list[int], weights: Weights, room: Tensor) -> Tensor:
    """Return the posterior shares, (T, P, U), of a batch.

    Passing through the states takes most of the time, so they are laid out for few passes:
    utterances next to each other; with the weight of staying on the way forward, without it on
    the way back; second frames as in `States`. What was seen is scaled by about the sum of all
    states, so that not all of them vanish.

    Args:
        seen: (T, P, 1, U) weight of what was seen at each time.
        alive: (T,) how many utterances, the first ones, last at each time.
        weights: of paths.
        room: for the states that are kept, `_room` numbers.
    """
    return _backward(seen, alive, weights, _forward(seen, alive, weights, room))


def _forward(seen: Tensor, alive: list[int], weights: Weights, room: Tensor) -> States:
    """Return the states at each time, on the way forward."""
    first, onward, leaving, staying = weights
    _, classes, _, utterances = seen.shape
    counts = [alive[0], *alive]  # fresh ones of a time before the first too
    parts = room.split([classes * (classes + 1) * count for count in counts + alive])
    states = [part.view(classes, classes + 1, -1) for part in parts]
    fresh, old = states[: len(counts)], states[len(counts) :]
    start = seen[0, :, 0] * first[:, None] * staying[:, :, 0]  # (A, P, U)
    for state, weight in zip((fresh[1], fresh[0], old[0]), start, strict=True):
        state.zero_()
        state[:, classes] = weight
    odds = leaving / staying
    aged = [seen.new_ones(classes, 1, utterances)]
    for time, count in enumerate(alive[1:], 1):
        one, two, three = (
            state[..., :count] for state in (fresh[time], fresh[time - 1], old[time - 1])
        )
        older = aged[-1][..., :count]
        going = (odds[0] * one).addcmul_(odds[1] * older, two).addcmul_(odds[2], three)
        stays = staying * (seen[time, ..., :count] / going.sum((0, 1)))  # (A, P, 1, U)
        began = torch.bmm(onward, going).transpose(0, 1)  # (P, P, U): after each phoneme
        torch.mul(began, stays[0], out=fresh[time + 1][:, :classes])
        fresh[time + 1][:, classes].zero_()
        torch.mul(three, stays[2], out=old[time]).addcmul_(older * stays[2], two)
        aged.append(stays[1])
    return States(fresh, old, aged)


def _backward(seen: Tensor, alive: list[int], weights: Weights, states: States) -> Tensor:
    """Return the posterior shares, (T, P, U), on the way back."""
    _, onward, leaving, staying = weights
    fresh, old, aged = states
    times, classes, _, utterances = seen.shape
    odds, backward = leaving / staying, onward.transpose(1, 2)
    later = (1 / staying).expand(DURATION_STATES, classes, classes + 1, utterances).contiguous()
    shares = seen.new_empty((times, classes, utterances))
    for time, count in reversed([*enumerate(alive)]):
        if time + 1 < times:
            going_on = later[..., : alive[time + 1]]
            scaled = seen[time + 1, ..., : alive[time + 1]] / going_on[2].sum((0, 1))
            ahead = going_on * (staying * scaled)
            onwards = torch.bmm(backward, ahead[0][:, :classes].transpose(0, 1))
            for age, then in enumerate((ahead[1], ahead[2], ahead[2])):
                torch.addcmul(then, odds[age], onwards, out=going_on[age])
        one, two, three = later[..., :count]
        both = (fresh[time + 1] * one).addcmul_(old[time], three).sum(1)
        both.addcmul_(aged[time][:, 0], (fresh[time][..., :count] * two).sum(1))
        shares[time, :, :count] = both
    shares.clamp_(min=LEAST_POSTERIOR)
    return shares / shares.sum(1, keepdim=True)


def _room(alive: list[int], classes: int) -> int:
    """Return how many numbers a batch keeps: states at two ages, and of one more time."""
    return (2 * sum(alive) + alive[0]) * classes * (classes + 1)
