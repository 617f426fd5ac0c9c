"""Name the utterances of a split that look wrong, each with its reason, for somebody to listen to.

How far a value is from those of the other utterances is its robust z-score, 0.6745 (x - median) /
MAD, where MAD is the median absolute deviation; beyond 3.5 it is an outlier (Iglewicz and Hoaglin,
1993, "How to detect and handle outliers", ASQC). U utterances, P phonemes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.inspection.frames import FrameFacts
from phonemes.inspection.labels import LabelFacts
from phonemes.wording import percent

OUTLIER = 3.5  # robust z-score
FEWEST = 10  # utterances, for an outlier among them; phonemes of an utterance, for its rate
NORMAL = 0.6745  # the MAD of a standard normal distribution
# smallest MAD that counts, so that what differs little is no outlier in data that are very alike
LEAST_LEVEL = 0.1  # of levels, as a part of the deviation of bands; with log-mel frames about 1 dB
LEAST_RATE = 0.1  # of the logarithm of speaking rates
FASTEST = 25.0  # phonemes a second
SHORTEST = 0.03  # seconds of a phoneme; aligners have at least three states of 10 ms
EQUAL = 0.1  # seconds of equal frames that no microphone records
SEPARATED = 0.75  # median probability that speech is louder, where bands are levels at all
INVERTED = 0.5  # of an utterance: its silence is louder than its speech


class Facts(NamedTuple):
    """What an utterance is like."""

    length: int  # frames
    frames: FrameFacts
    labels: LabelFacts | None  # None where it has none


class Suspicion(NamedTuple):
    """One reason to listen to an utterance."""

    utterance: int  # in [0, U)
    reason: str  # one of a few
    detail: str  # with its figures
    severity: float  # by which those of one reason are ordered
    start: float | None = None  # seconds, of a place in it
    seconds: float | None = None  # that the place lasts


def robust_z(values: NDArray[np.floating], least: float = 0.0) -> NDArray[np.float64]:
    """Return the robust z-score of each value, (U,); 0 for NaN, and where nearly all are the same.

    Args:
        values: (U,).
        least: the MAD, where it is smaller.
    """
    known = values[~np.isnan(values)]
    if len(known) < FEWEST:
        return np.zeros(len(values))
    centre = np.median(known)
    mad = max(float(np.median(np.abs(known - centre))), least)
    if mad == 0:
        return np.zeros(len(values))
    return np.nan_to_num(NORMAL * (values - centre) / mad)


def suspicions(
    facts: Sequence[Facts], phonemes: Sequence[str], stride: float, deviation: float
) -> list[Suspicion]:
    """Return all suspicions of a split, by reason, the most severe first.

    Args:
        facts: of each utterance, U.
        phonemes: P names.
        stride: ms from one frame to the next.
        deviation: of a band within the split, on average.
    """
    seconds = stride / 1000
    found = [
        *_equal_frames(facts, seconds),
        *_levels(facts, deviation),
        *_labels(facts, phonemes, seconds),
        *_rates(facts, seconds),
        *_inverted(facts),
    ]
    reasons = list(dict.fromkeys(each.reason for each in found))
    return sorted(found, key=lambda each: (reasons.index(each.reason), -each.severity))


def _equal_frames(facts: Sequence[Facts], seconds: float) -> Iterator[Suspicion]:
    for u, (length, frames, _) in enumerate(facts):
        lasts, start = frames.equal_frames * seconds, frames.equal_start * seconds
        if frames.equal_frames == length > 1:
            yield Suspicion(
                u, "frames that do not change", f"all {length:,} frames are equal", lasts
            )
        elif lasts >= EQUAL:
            detail = f"{frames.equal_frames:,} equal frames, {lasts:.2f} s from {start:.2f} s"
            yield Suspicion(u, "frames that do not change", detail, lasts, start, lasts)


def _levels(facts: Sequence[Facts], deviation: float) -> Iterator[Suspicion]:
    levels = np.array([each.frames.level for each in facts])
    scores = robust_z(levels, LEAST_LEVEL * deviation)
    for u in np.flatnonzero(np.abs(scores) > OUTLIER).tolist():
        detail = f"{levels[u]:.2f}, the median is {np.median(levels):.2f} (z = {scores[u]:.1f})"
        yield Suspicion(u, "level far from that of the others", detail, float(abs(scores[u])))


def _labels(facts: Sequence[Facts], phonemes: Sequence[str], seconds: float) -> Iterator[Suspicion]:
    for u, (length, _, labels) in enumerate(facts):
        if labels is None:
            continue
        if labels.distinct == 1 and length > 1:
            detail = f"all {length:,} frames are labelled {phonemes[labels.first]}"
            yield Suspicion(u, "one label for all frames", detail, length)
        elif labels.excess >= 1:
            lasts, start = labels.excess_frames * seconds, labels.excess_start * seconds
            detail = f"{phonemes[labels.excess_label]} lasts {lasts:.2f} s from {start:.2f} s"
            yield Suspicion(
                u, "a phoneme or pause too long to be right", detail, labels.excess, start, lasts
            )
        # half a frame: 0.03 s may be 0.029999 s
        if labels.spoken_runs >= FEWEST and (labels.median_run + 0.5) * seconds < SHORTEST:
            lasts = labels.median_run * seconds
            detail = f"half of its {labels.spoken_runs:,} phonemes last {lasts:.3g} s or less"
            yield Suspicion(u, "phonemes too short to be spoken", detail, 1 / lasts)


def _rates(facts: Sequence[Facts], seconds: float) -> Iterator[Suspicion]:
    rates = np.array([_rate(each.labels, seconds) for each in facts])
    scores = robust_z(np.log(rates), LEAST_RATE)
    for u in np.flatnonzero((np.abs(scores) > OUTLIER) | (rates > FASTEST)).tolist():
        detail = f"{rates[u]:.1f} phonemes/s, the median is {np.nanmedian(rates):.1f}"
        yield Suspicion(
            u, "extreme speaking rate", f"{detail} (z = {scores[u]:.1f})", float(abs(scores[u]))
        )


def _rate(labels: LabelFacts | None, seconds: float) -> float:
    """Return the phonemes in a second of speech, NaN where there are too few."""
    if labels is None or labels.spoken_runs < FEWEST:
        return np.nan
    return labels.spoken_runs / (labels.spoken_frames * seconds)


def _inverted(facts: Sequence[Facts]) -> Iterator[Suspicion]:
    """Yield utterances whose labels are hardly where the speech is."""
    separations = np.array([each.frames.separation for each in facts])
    known = separations[~np.isnan(separations)]
    if not len(known) or np.median(known) < SEPARATED:  # as of cepstra, whose mean is no level
        return
    for u in np.flatnonzero(separations < INVERTED).tolist():
        share = 1 - float(separations[u])
        detail = f"louder in {percent(share)} of the pairs of a silent and a spoken frame"
        yield Suspicion(u, "silence that is louder than speech", detail, share)
