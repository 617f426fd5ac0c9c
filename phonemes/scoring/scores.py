"""Scores of a split's predictions, each with a bootstrap interval over its utterances.

Frames of one utterance resemble each other, so intervals resample utterances, not frames
(Bisani and Ney, 2004, "Bootstrap estimates for confidence intervals in ASR performance
evaluation", ICASSP). Every score is a ratio of sums over utterances, so that the scores of
a resample come from the sums of its utterances, without another pass over the frames.
N frames, U utterances and P phonemes of a split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.inventory import fold
from phonemes.schema import Number, Seed
from phonemes.storage.layout import Labels

Sums = dict[str, NDArray[np.float64]]  # each (..., ) or (..., P), summed over some utterances
RESAMPLES_AT_ONCE = 100


@dataclass(frozen=True)
class EvaluateParams:
    """How scores and their intervals are computed."""

    resamples: Annotated[int, Number(100, 100_000)]  # of the bootstrap
    pairs: Annotated[int, Number(1, 1000)]  # rows of the table of confused pairs
    seed: Seed


class Predictions(NamedTuple):
    """Label and prediction of each frame of a labelled split."""

    labels: Labels  # (N,)
    predicted: Labels  # (N,)
    loss: NDArray[np.floating]  # (N,) nats
    top3: NDArray[np.bool_]  # (N,) whether the label is among the three likeliest


class PhonemeScores(NamedTuple):
    """Scores by phoneme, each (..., P)."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]  # frames


def utterance_sums(
    predictions: Predictions, lengths: NDArray[np.integer], phonemes: Sequence[str]
) -> Sums:
    """Return the sums that scores are ratios of, by utterance: each (U,), or (U, P) by phoneme.

    Args:
        predictions: of the split.
        lengths: (U,) frames in each utterance.
        phonemes: P names.
    """
    labels, predicted = predictions.labels, predictions.predicted
    starts = np.cumsum(lengths) - lengths
    utterance = np.repeat(np.arange(len(lengths)), lengths)  # (N,)
    right = labels == predicted

    def total(values: NDArray) -> NDArray[np.float64]:
        return np.add.reduceat(values, starts, dtype=np.float64)

    def by_phoneme(classes: Labels, rows: NDArray) -> NDArray[np.float64]:
        cells = utterance[rows] * len(phonemes) + classes[rows]
        counts = np.bincount(cells, minlength=len(lengths) * len(phonemes))
        return counts.reshape(len(lengths), len(phonemes)).astype(np.float64)

    everywhere = np.ones(len(labels), bool)
    sums = {
        "frames": total(everywhere),
        "right": total(right),
        "top3": total(predictions.top3),
        "loss": total(predictions.loss),
        "support": by_phoneme(labels, everywhere),
        "claimed": by_phoneme(predicted, everywhere),
        "hits": by_phoneme(labels, right),
    }
    if (folded := fold(phonemes)) is not None:
        classes = np.unique(folded, return_inverse=True)[1]
        sums["folded"] = total(classes[labels] == classes[predicted])
        speech = np.array(folded)[labels] != "SIL"
        sums["speech"] = total(speech)
        sums["speech_right"] = total(right & speech)
    return sums


def scores(sums: Sums) -> dict[str, NDArray[np.float64]]:
    """Return the scores of summed utterances, each of shape (...,).

    accuracy, top3_accuracy; macro_f1 over the phonemes that occur; cross_entropy in nats
    a frame; and where stress can be folded, folded_accuracy (39 phones, SIL and SPN) and
    accuracy_without_sil, over the frames whose label is not silence.
    """
    results = {
        "accuracy": sums["right"] / sums["frames"],
        "macro_f1": _macro(phoneme_scores(sums).f1, sums["support"] > 0),
        "cross_entropy": sums["loss"] / sums["frames"],
        "top3_accuracy": sums["top3"] / sums["frames"],
    }
    if "folded" in sums:
        results["folded_accuracy"] = sums["folded"] / sums["frames"]
        results["accuracy_without_sil"] = sums["speech_right"] / np.maximum(sums["speech"], 1)
    return results


def phoneme_scores(sums: Sums) -> PhonemeScores:
    """Return the scores of each phoneme; 0 where a phoneme neither occurs nor is predicted."""
    hits, support, claimed = sums["hits"], sums["support"], sums["claimed"]
    return PhonemeScores(
        hits / np.maximum(claimed, 1),
        hits / np.maximum(support, 1),
        2 * hits / np.maximum(support + claimed, 1),
        support.astype(np.int64),
    )


def _macro(values: NDArray[np.float64], occurs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of values, (..., P), over the phonemes that occur: (...,)."""
    return (values * occurs).sum(-1) / occurs.sum(-1)


def with_intervals(sums: Sums, resamples: int, seed: int) -> dict[str, float]:
    """Return every score of the split as name, name_low, name_high: a 95 % interval.

    Args:
        sums: of each utterance, from `utterance_sums`.
        resamples: bootstrap resamples of U utterances each.
        seed: of the resamples.
    """
    utterances = len(sums["frames"])
    random = np.random.default_rng(seed)
    resampled = []
    for first in range(0, resamples, RESAMPLES_AT_ONCE):
        count = min(RESAMPLES_AT_ONCE, resamples - first)
        weights = random.multinomial(utterances, np.full(utterances, 1 / utterances), count)
        resampled.append(scores({name: weights @ values for name, values in sums.items()}))
    results: dict[str, float] = {}
    for name, value in scores({name: values.sum(0) for name, values in sums.items()}).items():
        low, high = np.quantile(np.concatenate([draw[name] for draw in resampled]), [0.025, 0.975])
        results |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return results


def confusion_counts(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Return the number of frames of each label, by row, and prediction, by column: (P, P)."""
    cells = labels.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
