"""Tables behind the plots: confusions, scores by phoneme, most confused pairs; and intervals.

`counts` is everywhere a (P, P) int64 confusion matrix: counts[a, p] is the number of
frames of phoneme a that were labelled p. Tables hold counts, never frames, so their
size depends on P only. What is undefined, such as the recall of a phoneme without
frames, is NaN, an empty field in CSV; 0 is a score. Axes run in phonetic order, which
puts phonemes that are easily confused next to each other: mistakes gather near the
diagonal.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from phonemes.inventory import phonetic_order
from phonemes.scoring.scores import Interval, Units
from phonemes.storage.layout import Labels

SCORE_DECIMALS = 4  # of the scores of a split: far finer than any corpus's interval
DECIMALS = 6  # of shares and scores in tables: one frame in a million


def confusion_counts(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Return the number of frames of each label, by row, and prediction, by column: (P, P)."""
    if classes == 1:  # of which scikit-learn warns
        return np.array([[len(labels)]])
    return confusion_matrix(labels, predicted, labels=np.arange(classes))


def score_table(scores: Mapping[str, Interval], units: Units) -> pd.DataFrame:
    """Return the scores of a split with their 95 % intervals.

    Args:
        scores: by name, from `intervals`.
        units: what the intervals count.

    Returns:
        Columns score (its name), value, low, high, unit and units (their number). low and
        high are NaN where there is no interval: with one unit. One row a score.
    """
    return pd.DataFrame(
        {
            "score": list(scores),
            **{
                part: [
                    round(float(getattr(each, part)), SCORE_DECIMALS) for each in scores.values()
                ]
                for part in Interval._fields
            },
            "unit": units.kind,
            "units": units.number,
        }
    )


def shares_of_actual(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return `counts` as shares of their row, (P, P) in [0, 1]; 0 where a phoneme has no frames."""
    frames = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(frames, 1)


def confusion_table(counts: NDArray[np.int64], phonemes: Sequence[str]) -> pd.DataFrame:
    """Return every pair of phonemes that occurs, and each phoneme with itself, in phonetic order.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.

    Returns:
        Columns actual, predicted (names), actual_order, predicted_order (places on the
        axes, 0 to P - 1), count (frames) and share (of the actual phoneme's frames; NaN
        where it has none). At least P rows and at most P * P.
    """
    order = phonetic_order(phonemes)
    names = np.array(phonemes, dtype=object)[order]
    counts = counts[np.ix_(order, order)]
    rows, columns = np.nonzero((counts > 0) | np.eye(len(counts), dtype=bool))
    return pd.DataFrame(
        {
            "actual": names[rows],
            "predicted": names[columns],
            "actual_order": rows,
            "predicted_order": columns,
            "count": counts[rows, columns],
            "share": np.where(
                counts[rows].sum(axis=1) > 0,
                shares_of_actual(counts)[rows, columns].round(DECIMALS),
                np.nan,
            ),
        }
    )


def phoneme_table(counts: NDArray[np.int64], phonemes: Sequence[str]) -> pd.DataFrame:
    """Return the scores of each phoneme, in the order of the labels.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.

    Returns:
        Columns phoneme, precision, recall, f1 (0 to 1) and support (frames). P rows.
        precision is NaN for a phoneme that is never predicted, recall and f1 for one without
        frames; the f1 of one that has frames and is never found is 0.
    """
    actual, predicted = np.nonzero(counts)
    precision, recall, f1, support = precision_recall_fscore_support(
        actual,
        predicted,
        labels=np.arange(len(phonemes)),
        sample_weight=counts[actual, predicted],
        zero_division=np.nan,
    )
    return pd.DataFrame(
        {
            "phoneme": list(phonemes),
            "precision": np.round(precision, DECIMALS),
            "recall": np.round(recall, DECIMALS),
            "f1": np.where(support > 0, np.round(f1, DECIMALS), np.nan),
            "support": support.astype(np.int64),
        }
    )


def confused_pairs_table(
    counts: NDArray[np.int64], phonemes: Sequence[str], pairs: int
) -> pd.DataFrame:
    """Return every mistake that was made, the most frequent first.

    All are listed, not the first alone, so that a pair that another run lists and this one
    does not is one that this run never confused.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.
        pairs: how many of the most frequent the plot shows.

    Returns:
        Columns pair ("actual → predicted"), actual, predicted, count (frames), share (of the
        actual phoneme's frames) and top (1 for the first `pairs` rows, 0 for others).
        At most P (P - 1) rows.
    """
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")  # stable: ties by label
    rows, columns = np.unravel_index(order[mistakes.flat[order] > 0], counts.shape)
    names = np.array(phonemes, dtype=object)
    return pd.DataFrame(
        {
            "pair": names[rows] + " → " + names[columns],
            "actual": names[rows],
            "predicted": names[columns],
            "count": counts[rows, columns],
            "share": shares_of_actual(counts)[rows, columns].round(DECIMALS),
            "top": (np.arange(len(rows)) < pairs).astype(int),
        }
    )
