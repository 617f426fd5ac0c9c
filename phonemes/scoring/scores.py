"""Scores of a split's predictions, each with an interval for other speakers like its own.

Frames of one speaker resemble each other, and scores are meant for speakers that the
training set lacks: intervals count speakers, not frames. Every score is a ratio of sums
over speakers, or a mean of such ratios, so that the score without one speaker comes from
sums too. From those the jackknife estimates the standard error (Miller, 1974, "The
jackknife: a review", Biometrika 61), and the interval is Student's t. Its degrees of
freedom are the effective number of speakers less one: as many speakers of equal length
would weigh as evenly (Kish, 1965, "Survey sampling"). A bootstrap over 4 or 5 speakers is
too narrow: it covers .79 to .82 where .95 is meant. Where speakers are unknown, utterances
take their place, by the same method; utterances of one speaker are not independent, so
that such an interval does not hold for other speakers.

N frames, U utterances, P phonemes and S units (speakers or utterances) of a split, BINS bins of
confidence.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from phonemes.inventory import fold
from phonemes.scoring.phones import phone_errors
from phonemes.storage.layout import Labels

CONFIDENCE = 0.95  # share of such intervals that hold the score over all speakers
UNBOUNDED = {"cross_entropy", "phone_error_rate"}  # all other scores are at most 1
BINS = 10  # of confidence, equally wide
Sums = dict[str, NDArray[np.float64]]  # each (...,) or (..., P), summed over some frames


class Predictions(NamedTuple):
    """Label and prediction of each frame of a labelled split."""

    labels: Labels  # (N,)
    predicted: Labels  # (N,)
    loss: NDArray[np.floating]  # (N,) nats
    top3: NDArray[np.bool_]  # (N,) whether the label is among the three likeliest
    confidence: NDArray[np.floating]  # (N,) posterior of what was predicted


class Units(NamedTuple):
    """What an interval counts as independent of each other."""

    kind: str  # speakers, utterances, or both where some utterances' speakers are unknown
    number: int  # S
    of_utterance: NDArray[np.int64]  # (U,) in [0, S)


class Interval(NamedTuple):
    """A score and its 95 % interval, each of shape (...,); NaN where undefined."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def independent_units(speakers: Sequence[str]) -> Units:
    """Return the units of a split: its speakers, and each utterance whose speaker is unknown.

    Args:
        speakers: of each utterance, U; "" where unknown.
    """
    names = [
        ("speaker", name) if name else ("utterance", str(u)) for u, name in enumerate(speakers)
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    kinds = sorted({f"{kind}s" for kind, _ in names})
    return Units(" and ".join(kinds), len(numbers), np.array([numbers[name] for name in names]))


def unit_sums(
    predictions: Predictions,
    lengths: NDArray[np.integer],
    units: Units,
    phonemes: Sequence[str],
) -> Sums:
    """Return the sums that scores are ratios of, by unit.

    Each is (S,), or (S, P) by phoneme, or (S, BINS) by confidence.

    Args:
        predictions: of the split.
        lengths: (U,) frames in each utterance.
        units: of its utterances.
        phonemes: P names.
    """
    labels, predicted = predictions.labels, predictions.predicted
    unit = np.repeat(units.of_utterance, lengths)  # (N,)
    right = labels == predicted
    excess = predictions.confidence - right

    def total(values: NDArray, of: NDArray[np.int64] = unit) -> NDArray[np.float64]:
        return np.bincount(of, values, units.number).astype(np.float64)

    def by_class(
        classes: NDArray,
        size: int,
        rows: NDArray | slice = slice(None),
        values: NDArray | None = None,
    ) -> NDArray[np.float64]:
        cells = unit[rows] * size + classes[rows]
        sums = np.bincount(cells, values, units.number * size)
        return sums.reshape(units.number, size).astype(np.float64)

    errors = phone_errors(labels, predicted, lengths)
    sums = {
        "frames": total(np.ones(len(labels), bool)),
        "right": total(right),
        "top3": total(predictions.top3),
        "loss": total(predictions.loss),
        "support": by_class(labels, len(phonemes)),
        "claimed": by_class(predicted, len(phonemes)),
        "hits": by_class(labels, len(phonemes), right),
        "excess": by_class(confidence_bins(predictions.confidence), BINS, values=excess),
        "phones": total(errors.phones, units.of_utterance),
        "phone_errors": total(errors.total, units.of_utterance),
    }
    if (folded := fold(phonemes)) is not None:
        classes = np.unique(folded, return_inverse=True)[1]
        sums["folded"] = total(classes[labels] == classes[predicted])
        speech = np.array(folded)[labels] != "SIL"
        sums["speech"] = total(speech)
        sums["speech_right"] = total(right & speech)
    return sums


def confidence_bins(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the bin of each confidence, (N,) in [0, BINS)."""
    return np.minimum((confidence * BINS).astype(np.uint8), BINS - 1)


def scores(sums: Sums) -> dict[str, NDArray[np.float64]]:
    """Return the scores of summed frames, each of shape (...,); NaN where there are no frames.

    accuracy, top3_accuracy; macro_f1 over the phonemes that occur; cross_entropy in nats
    a frame; phone_error_rate of runs of labels, see `phones`; calibration_error, how far
    confidence and accuracy are apart in a bin of confidence, the mean over frames (Naeini,
    Cooper and Hauskrecht, 2015, "Obtaining well calibrated probabilities using Bayesian
    binning", expected calibration error); and where stress can be folded, folded_accuracy
    (39 phones, SIL and SPN) and accuracy_without_sil, over the frames whose label is not
    silence.
    """
    support, claimed, frames = sums["support"], sums["claimed"], sums["frames"]
    f1 = 2 * sums["hits"] / np.maximum(support + claimed, 1)  # 0 for absent phonemes
    results = {
        "accuracy": _ratio(sums["right"], frames),
        "macro_f1": _ratio(f1.sum(-1), (support > 0).sum(-1)),
        "cross_entropy": _ratio(sums["loss"], frames),
        "top3_accuracy": _ratio(sums["top3"], frames),
        "phone_error_rate": _ratio(sums["phone_errors"], sums["phones"]),
        "calibration_error": _ratio(np.abs(sums["excess"]).sum(-1), frames),
    }
    if "folded" in sums:
        results["folded_accuracy"] = _ratio(sums["folded"], frames)
        results["accuracy_without_sil"] = _ratio(sums["speech_right"], sums["speech"])
    return results


def _ratio(part: NDArray[np.float64], whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def intervals(sums: Sums) -> dict[str, Interval]:
    """Return every score with its interval; with one unit there is a score and no interval.

    Args:
        sums: of each unit, from `unit_sums`: (S, ...) or (S, ..., P).
    """
    totals = {name: values.sum(0) for name, values in sums.items()}
    without_one = scores({name: totals[name] - values for name, values in sums.items()})
    results = {}
    for name, value in scores(totals).items():
        reach = interval_reach(without_one[name], sums["frames"])
        highest = np.inf if name in UNBOUNDED else 1.0
        results[name] = Interval(
            value, np.maximum(value - reach, 0.0), np.minimum(value + reach, highest)
        )
    return results


def interval_reach(
    without_one: NDArray[np.float64], frames: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far a score's interval reaches to both sides, (...,); NaN with one unit.

    Args:
        without_one: (S, ...) the score without each unit.
        frames: (S, ...) of each unit.
    """
    units = len(frames)
    effective = frames.sum(0) ** 2 / (frames**2).sum(0)
    quantile = stdtrit(np.maximum(effective - 1, 1), (1 + CONFIDENCE) / 2)
    squares = ((without_one - without_one.mean(0)) ** 2).sum(0)
    return quantile * np.sqrt((units - 1) / units * squares)
