"""Smooth posteriors over time with what train's labels tell about the order of phonemes.

A frame's network knows its window alone. How long phonemes last and which follow which is
counted in the labels of train: a hidden Markov model whose states are a phoneme and the
one before it, so that trigrams of phonemes are its transitions. What comes out is each
frame's posterior given its whole utterance, by the forward-backward algorithm (Rabiner,
1989, "A tutorial on hidden Markov models"): its likeliest phoneme is the best guess of a
frame, while Viterbi's path is the best guess of a whole utterance.

Trigrams that are rare or missing get their share from bigrams, those theirs from single
phonemes (Witten and Bell, 1991, "The zero-frequency problem"). Neighbouring frames hold
nearly the same: raised to a power below 1, their posteriors count as the fewer independent
ones that they are worth.

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

BATCH = 64  # utterances at a time


class Sequences(NamedTuple):
    """How phonemes follow each other and how frequent they are, of float64."""

    first: NDArray[np.float64]  # (P,) probability of a phoneme, without what came before
    following: NDArray[np.float64]  # (P, P, P): before, now, next; 0 where next is now
    leaving: NDArray[np.float64]  # (P,) probability that the next frame has another phoneme
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
    frames = np.bincount(label, minlength=classes)
    leaving = np.minimum((single + 1) / (frames + 2), 0.5)
    return Sequences(first, following, leaving, (frames + 1) / (frames + 1).sum())


class Smoothing(NamedTuple):
    """What posteriors are smoothed with, or divided by."""

    sequences: Sequences
    smooth: Smooth


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
    following, leaving, first = (
        torch.tensor(values**smooth.sequence, dtype=torch.float32, device=device)
        for values in (
            sequences.following.transpose(1, 0, 2), sequences.leaving, sequences.first,
        )
    )  # fmt: skip
    onward = following * leaving[:, None, None]  # (now, before, next)
    staying = torch.tensor((1 - sequences.leaving) ** smooth.sequence, device=device).float()
    result = torch.empty_like(log_posteriors, dtype=torch.float32)
    for frames, alive in _batches(lengths):
        frames = frames.to(device)
        seen = smooth.frame * log_posteriors[frames].float()  # (T, U, P)
        seen = (seen - seen.amax(2, keepdim=True)).exp()
        shares = _forward_backward(seen, alive, first, onward, staying)
        for time, count in enumerate(alive):
            result[frames[time, :count]] = shares[time, :count]
    return result.clamp(min=1e-30).log()


def _batches(lengths: NDArray[np.integer]) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield utterances, the longest first: frames (T, U), and how many last at each time."""
    order = np.argsort(-lengths, kind="stable")
    begins = np.cumsum(lengths) - lengths
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        time = np.arange(lengths[chosen[0]])[:, None]
        frames = np.minimum(begins[chosen] + time, begins[chosen] + lengths[chosen] - 1)
        yield torch.from_numpy(frames), (time < lengths[chosen]).sum(1).tolist()


def _forward_backward(
    seen: Tensor, alive: list[int], first: Tensor, onward: Tensor, staying: Tensor
) -> Tensor:
    """Return the posterior shares, (T, U, P), of a batch.

    States are (P, U, P): the phoneme now, the utterance, the phoneme before. Each is scaled
    to a sum of 1, so that none vanishes.

    Args:
        seen: (T, U, P) weight of what was seen at each time.
        alive: (T,) how many utterances, the first ones, last at each time.
        first: (P,) weight of beginning with a phoneme.
        onward: (P, P, P) weight of the next phoneme: now, before, next.
        staying: (P,) weight of staying.
    """
    times, utterances, classes = seen.shape
    seen = seen.transpose(1, 2).contiguous()  # (T, P, U)
    states = seen.new_empty((times, classes, utterances, classes))
    stay = staying[:, None, None]
    now = seen.new_zeros((classes, utterances, classes))
    now[:, :, 0] = seen[0] * first[:, None]  # the phoneme before is any
    for time, count in enumerate(alive):
        if time:
            before = now[:, :count].contiguous()
            now = torch.empty_like(before)
            torch.addcmul(torch.bmm(before, onward).permute(2, 1, 0), before, stay, out=now)
            now *= seen[time, :, :count, None]
        now /= now.sum((0, 2), keepdim=True)
        states[time, :, :count] = now
    backward = onward.transpose(1, 2).contiguous()
    later = seen.new_ones((classes, utterances, classes))
    shares = seen.new_empty((times, utterances, classes))
    for time, count in reversed(list(enumerate(alive))):
        if time + 1 < times:
            going = alive[time + 1]
            ahead = later[:, :going] * seen[time + 1, :, :going, None]
            now = torch.bmm(ahead.permute(2, 1, 0).contiguous(), backward)
            now.addcmul_(ahead, stay)
            later[:, :going] = now / now.sum((0, 2), keepdim=True)
        both = torch.linalg.vecdot(states[time, :, :count], later[:, :count]).t()  # (U, P)
        shares[time, :count] = both / both.sum(1, keepdim=True)
    return shares
