"""Inspect a packed corpus: every split by itself, and the splits against each other.

Utterances pass one at a time, from arrays that may be memory-mapped; what stays in memory is
some facts of each. N frames, U utterances, C bands and P phonemes of a split.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.inspection.duplicates import find_duplicates
from phonemes.inspection.frames import frame_facts
from phonemes.inspection.labels import Kinds, kinds, label_counts, label_facts
from phonemes.inspection.sums import BandSums, band_sums
from phonemes.inspection.suspicions import Facts, Suspicion, suspicions
from phonemes.normalize import SMALLEST_DEVIATION
from phonemes.storage.layout import Frames, Labels, Scales, StoredFrames

QUARTILES = (0, 25, 50, 75, 100)  # percentiles

Progress = Callable[[Iterable, int], Iterable]


class Split(NamedTuple):
    """One split of a packed corpus."""

    frames: Frames  # (N, C)
    lengths: NDArray[np.integer]  # (U,)
    labels: Labels | None  # (N,); None where there are none
    names: Sequence[str]  # U
    speakers: Sequence[str]  # U, "" where unknown


class Bands(NamedTuple):
    """Levels of the bands of a split."""

    mean: NDArray[np.float64]  # (C,)
    deviation: NDArray[np.float64]  # (C,)

    @property
    def constant(self) -> NDArray[np.intp]:
        """Return the bands that never change."""
        return np.flatnonzero(self.deviation < SMALLEST_DEVIATION)


class SplitReport(NamedTuple):
    """What a split is like."""

    names: Sequence[str]  # of its utterances, U
    speakers: Sequence[str]  # of each, "" where unknown
    frames: int
    lengths: NDArray[np.float64]  # (5,) frames of utterances: least, quartiles, most
    counts: NDArray[np.int64] | None  # (P,) frames of each phoneme
    silence: float | None  # share of the frames; None where no label or name tells
    bands: Bands
    suspicions: list[Suspicion]


class Copies(NamedTuple):
    """Utterances that are copies of each other."""

    identical: bool  # else some differ by a constant in each band
    members: list[tuple[str, str]]  # split and name of each


class Report(NamedTuple):
    """What a corpus is like."""

    phonemes: tuple[str, ...]
    stride: float  # ms from one frame to the next
    splits: dict[str, SplitReport]
    copies: list[Copies]
    shared_speakers: dict[str, list[str]]  # the splits of each speaker who is in several
    absent: dict[str, list[str]]  # by split, phonemes that it lacks and another split has


def utterances(split: Split) -> Iterator[tuple[Frames, Labels | None]]:
    """Yield the frames, (T, C), and labels, (T,), of each utterance."""
    ends = np.cumsum(split.lengths)
    for start, end in zip(ends - split.lengths, ends, strict=True):
        yield split.frames[start:end], None if split.labels is None else split.labels[start:end]


def inspect_corpus(
    splits: Mapping[str, Split],
    phonemes: Sequence[str],
    stride: float,
    progress: Progress = lambda items, total: items,
) -> Report:
    """Return what a corpus is like.

    Args:
        splits: by their names.
        phonemes: P names in label order.
        stride: ms from one frame to the next.
        progress: passes on the U utterances of a split, and may show how many have passed.
    """
    of_phonemes = kinds(phonemes, stride)
    facts, reports = {}, {}
    for name, split in splits.items():
        facts[name], bands = _measure(split, of_phonemes, progress)
        reports[name] = _report(split, facts[name], bands, of_phonemes, phonemes, stride)
    return Report(
        tuple(phonemes),
        stride,
        reports,
        _copies(splits, facts),
        _shared_speakers(splits),
        _absent(reports, phonemes),
    )


def band_levels(frames: StoredFrames, scales: Scales | None = None) -> Bands:
    """Return the levels of the bands of all frames of a split, (N, C), scaled if of 8 bits."""
    sums = band_sums(frames, scales)
    return Bands(sums.mean, sums.deviation)


def _measure(split: Split, of_phonemes: Kinds, progress: Progress) -> tuple[list[Facts], Bands]:
    """Return facts of each utterance, and the levels of the bands of all frames."""
    total = BandSums(split.frames.shape[1])
    facts = []
    for frames, labels in progress(utterances(split), len(split.lengths)):
        known = labels is not None and of_phonemes.silent.any()
        of_frames, sums = frame_facts(frames, of_phonemes.silent[labels] if known else None)
        of_labels = None if labels is None else label_facts(labels, of_phonemes)
        facts.append(Facts(len(frames), of_frames, of_labels))
        total.merge(sums)
    return facts, Bands(total.mean, total.deviation)


def _report(
    split: Split,
    facts: Sequence[Facts],
    bands: Bands,
    of_phonemes: Kinds,
    phonemes: Sequence[str],
    stride: float,
) -> SplitReport:
    counts = None if split.labels is None else label_counts(split.labels, len(phonemes))
    silence = None
    if counts is not None and of_phonemes.silent.any():
        silence = float(counts[of_phonemes.silent].sum() / counts.sum())
    return SplitReport(
        names=split.names,
        speakers=split.speakers,
        frames=len(split.frames),
        lengths=np.percentile(split.lengths, QUARTILES),
        counts=counts,
        silence=silence,
        bands=bands,
        suspicions=suspicions(facts, phonemes, stride, float(bands.deviation.mean())),
    )


def _copies(splits: Mapping[str, Split], facts: Mapping[str, Sequence[Facts]]) -> list[Copies]:
    """Return the copies among the utterances of all splits, given facts of each."""
    places = [(name, u) for name, split in splits.items() for u in range(len(split.lengths))]
    starts = {name: np.cumsum(split.lengths) - split.lengths for name, split in splits.items()}
    every = [each for name in splits for each in facts[name]]

    def frames_of(number: int) -> Frames:
        name, u = places[number]
        start = starts[name][u]
        return splits[name].frames[start : start + splits[name].lengths[u]]

    found = find_duplicates(
        [each.frames.digest for each in every],
        np.array([each.length for each in every]),
        np.array([each.frames.spread for each in every]),
        frames_of,
    )
    return [
        Copies(
            identical, [(name, splits[name].names[u]) for name, u in map(places.__getitem__, of)]
        )
        for identical, of in found
    ]


def _shared_speakers(splits: Mapping[str, Split]) -> dict[str, list[str]]:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for name, split in splits.items():
        for speaker in dict.fromkeys(split.speakers):
            homes[speaker].append(name)
    return {speaker: names for speaker, names in homes.items() if speaker and len(names) > 1}


def _absent(reports: Mapping[str, SplitReport], phonemes: Sequence[str]) -> dict[str, list[str]]:
    counts = {name: each.counts for name, each in reports.items() if each.counts is not None}
    present = sum(counts.values(), np.zeros(len(phonemes), np.int64)) > 0
    absent = {
        name: [phonemes[label] for label in np.flatnonzero(present & (own == 0)).tolist()]
        for name, own in counts.items()
    }
    return {name: missing for name, missing in absent.items() if missing}
