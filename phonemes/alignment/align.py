"""Find when the words of a text, and their phonemes, are spoken in a recording.

T frames, P phonemes of a network, K classes of them, Q nodes of a text's graph.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.alignment.acoustics import Acoustics
from phonemes.alignment.fit import Stretch, log_ratios, worst_stretches
from phonemes.alignment.graph import Graph, Pronunciations, text_graph
from phonemes.alignment.lexicon import Lexicon
from phonemes.alignment.viterbi import best_path
from phonemes.errors import InputError
from phonemes.inventory import VOWELS
from phonemes.transcription.segments import Segment, Track, runs


class Spoken(NamedTuple):
    """A word of a text, with all that it may sound like."""

    written: str
    pronunciations: Pronunciations  # of ARPAbet, at least one


class Clock(NamedTuple):
    """When frames are, in s from the beginning of the recording."""

    start: float  # of the first frame's time
    stride: float  # from one frame to the next
    duration: float  # of the recording


class Aligned(NamedTuple):
    """The phonemes and words of a recording, as in `phonemes.transcription.transcript`."""

    phones: tuple[Segment, ...]
    words: tuple[Segment, ...]
    fits: tuple[Stretch, Stretch]  # see `fit.worst_stretches`
    misfit: str  # from which word on the text does not fit, "" where it does


class Outcome(NamedTuple):
    """A recording that is aligned, and what by."""

    aligned: Aligned
    track: Track
    samples: NDArray[np.float32]  # (S,) at the rate of the network


class Batch(NamedTuple):
    """What becomes of several recordings."""

    spelled: Lexicon  # words that the lexicon lacks, as espeak-ng spelled them
    outcomes: Iterator[Outcome | InputError]  # of each recording, or why there is none


def align(
    log_posteriors: NDArray[np.float32],
    words: Sequence[Spoken],
    acoustics: Acoustics,
    clock: Clock,
) -> Aligned:
    """Return when each word and phoneme of a text is spoken.

    Args:
        log_posteriors: (T, P) of the frames of a recording.
        words: of the text, at least one.
        acoustics: of the network.
        clock: when frames are.

    Raises:
        InputError: there are fewer frames than phonemes, or the network lacks a phoneme.
    """
    graph = _graph(words, acoustics)
    if len(log_posteriors) < graph.least:
        raise InputError(
            f"it is too short for its text: {clock.duration:.2f} s are {len(log_posteriors)} "
            f"frames, and its {len(words)} words have {graph.least} phonemes, each a frame at least"
        )
    posteriors = acoustics.log_posteriors(log_posteriors)  # (T, K)
    scores = acoustics.scores(posteriors)
    path = best_path(scores, graph, acoustics.durations)  # (T,)
    label, word = graph.label[path], graph.word[path]
    confidence = np.exp(posteriors[np.arange(len(path)), label])
    ratios = log_ratios(scores, label, acoustics.durations)
    spoken = [span for span in runs(path) if word[span[0]] < len(words)]
    fits = worst_stretches(ratios, spoken, clock.stride)
    names = [*(each.written for each in words), ""]
    return Aligned(
        _segments(path, graph.name, confidence, clock),
        tuple(each for each in _segments(word, names, confidence, clock) if each.label),
        fits,
        _misfit(fits, ratios, path, graph, names, clock),
    )


def _graph(words: Sequence[Spoken], acoustics: Acoustics) -> Graph:
    """Return the graph of a text, of pronunciations that differ for the network."""
    labels = acoustics.labels
    distinct: list[Pronunciations] = []
    for written, pronunciations in words:
        by_labels: dict[tuple[int, ...], Sequence[str]] = {}
        for pronunciation in pronunciations:
            for phoneme in pronunciation:
                if phoneme not in labels:
                    raise InputError(f"the model has no phoneme {phoneme}, as in {written!r}")
                if acoustics.stress and phoneme in VOWELS:
                    raise InputError(
                        f"the vowel {phoneme} of {written!r} has no stress, as all others have; "
                        f"write {phoneme}0, {phoneme}1 or {phoneme}2 in --lexicon"
                    )
            key = tuple(labels[phoneme] for phoneme in pronunciation)
            plain = [phoneme.rstrip("012") for phoneme in pronunciation]
            by_labels.setdefault(key, pronunciation if acoustics.stress else plain)
        distinct.append([*by_labels.values()])
    return text_graph(distinct, acoustics.pauses, labels)


def _segments(
    of: NDArray[np.int64], names: Sequence[str], confidence: NDArray[np.float32], clock: Clock
) -> tuple[Segment, ...]:
    """Return the runs of what frames are of, (T,), each with its name and mean confidence."""
    spans = runs(of)
    inner = (clock.start + begin * clock.stride for begin, _ in spans[1:])
    return tuple(
        Segment(start, end, names[of[begin]], float(confidence[begin:after].mean()))
        for (start, end), (begin, after) in zip(
            pairwise([0.0, *inner, clock.duration]), spans, strict=True
        )
    )


def _misfit(
    fits: Sequence[Stretch],
    ratios: NDArray[np.float32],
    path: NDArray[np.int64],
    graph: Graph,
    names: Sequence[str],
    clock: Clock,
) -> str:
    """Return from which word on, and when, the text does not fit; "" where it does.

    Args:
        fits: the stretches that fit worst.
        ratios: (T,) of frames.
        path: (T,) nodes of frames.
        graph: of the text.
        names: of its words, and "" for pauses.
        clock: when frames are.
    """
    begin, end, fit, least = min(fits, key=lambda stretch: stretch.fit - stretch.least)
    if fit >= least:
        return ""
    spans = runs(path)
    low = [bool(ratios[slice(*span)].mean() < least) for span in spans]
    within = [place for place, span in enumerate(spans) if span[0] < end and span[1] > begin]
    place = next((place for place in within if low[place]), within[0])
    while place and low[place - 1]:
        place -= 1
    frame = spans[place][0]
    word = graph.word[path]
    if names[word[frame]]:
        where = f"from word {word[frame] + 1}, {names[word[frame]]!r},"
    elif spoken := [number for number in word[:frame].tolist() if names[number]]:
        where = f"after word {spoken[-1] + 1}, {names[spoken[-1]]!r},"
    else:
        where = f"before word 1, {names[0]!r},"
    return (
        f"{where} at {clock.start + frame * clock.stride:.2f} s: up to "
        f"{clock.start + end * clock.stride:.2f} s the mean log ratio of its phonemes to any is "
        f"{fit:.2f}, expected {least} or more"
    )
