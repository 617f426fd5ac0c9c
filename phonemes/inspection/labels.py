"""What labels say of an utterance: its runs, which of them are silence, and how long each may last.

A run is a stretch of frames with one label. T frames, R runs, P phonemes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.inventory import comparable, phonetic_place
from phonemes.storage.layout import Labels

SILENCES = {"SIL", "SP", "H#", "PAU", "EPI"}  # not the closures of stops, which are parts of them
NOISES = {"SPN"}  # speech without phonemes, of any length
# the longest that a phoneme is spoken, in seconds: a cautious limit, which slow children keep
LONGEST = 1.0
LONGEST_BRIEF = 0.5  # of stops, affricates and glides, which nobody can hold
LONGEST_SILENCE = 3.0  # longer ones are often speech that was not transcribed
BRIEF = {phonetic_place(phoneme)[0] for phoneme in ("T", "CH", "W")}
BLOCK = 2**20  # labels


class Runs(NamedTuple):
    """The runs of an utterance, in order."""

    labels: Labels  # (R,)
    starts: NDArray[np.int64]  # (R,) frames
    lengths: NDArray[np.int64]  # (R,) frames


class Kinds(NamedTuple):
    """What kind each phoneme is."""

    silent: NDArray[np.bool_]  # (P,)
    spoken: NDArray[np.bool_]  # (P,) neither silence nor noise; all where no name is a silence
    longest: NDArray[np.int64]  # (P,) frames that it lasts at most


class LabelFacts(NamedTuple):
    """What the labels of an utterance are like."""

    distinct: int  # different labels
    first: int  # its first label
    spoken_runs: int  # phonemes
    spoken_frames: int
    median_run: float  # frames of a phoneme; NaN where there is none
    excess: float  # of the run that is longest for its phoneme: its length by what it may be
    excess_label: int
    excess_start: int  # frame
    excess_frames: int


def runs(labels: Labels) -> Runs:
    """Return the runs of an utterance's labels, (T,)."""
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    return Runs(labels[starts], starts, np.diff(starts, append=len(labels)))


def kinds(phonemes: Sequence[str], stride: float) -> Kinds:
    """Return the kinds of P phonemes.

    Args:
        phonemes: their names.
        stride: ms from one frame to the next.
    """
    names = [comparable(name) for name in phonemes]
    silent = np.array([name in SILENCES for name in names])
    noise = np.array([name in NOISES for name in names])
    brief = np.array([phonetic_place(name)[0] in BRIEF for name in names])
    # where no name says what is silence, any phoneme may be
    seconds = np.where(brief, LONGEST_BRIEF, LONGEST if silent.any() else LONGEST_SILENCE)
    seconds = np.where(silent, LONGEST_SILENCE, np.where(noise, np.inf, seconds))
    frames = np.minimum(seconds * 1000 / stride, np.iinfo(np.int32).max)
    return Kinds(silent, ~(silent | noise), np.maximum(frames, 1).astype(np.int64))


def label_facts(labels: Labels, kinds: Kinds) -> LabelFacts:
    """Return what the labels of an utterance, (T,), at least one, are like."""
    found = runs(labels)
    spoken = found.lengths[kinds.spoken[found.labels]]
    excess = found.lengths / kinds.longest[found.labels]
    worst = int(excess.argmax())
    return LabelFacts(
        distinct=len(np.unique(found.labels)),
        first=int(labels[0]),
        spoken_runs=len(spoken),
        spoken_frames=int(spoken.sum()),
        median_run=float(np.median(spoken)) if len(spoken) else np.nan,
        excess=float(excess[worst]),
        excess_label=int(found.labels[worst]),
        excess_start=int(found.starts[worst]),
        excess_frames=int(found.lengths[worst]),
    )


def label_counts(labels: Labels, classes: int) -> NDArray[np.int64]:
    """Return how many frames each phoneme has, (P,), P = `classes`, of labels, (N,)."""
    counts = np.zeros(classes, np.int64)
    for start in range(0, len(labels), BLOCK):
        counts += np.bincount(labels[start : start + BLOCK], minlength=classes)
    return counts
