"""Tables behind the plots: confusions, scores by phoneme, most confused pairs.

`counts` is everywhere a (P, P) int64 confusion matrix: counts[a, p] is the number of
frames of phoneme a that were labelled p. Tables hold counts, never frames, so their
size depends on P only. Axes run in phonetic order, which puts phonemes that are easily
confused next to each other: mistakes gather near the diagonal.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonemes.inventory import phonetic_order

DECIMALS = 6  # of shares and scores in tables: one frame in a million


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
        axes, 0 to P - 1), count (frames) and share (of the actual phoneme's frames).
        At least P rows and at most P * P.
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
            "share": shares_of_actual(counts)[rows, columns].round(DECIMALS),
        }
    )


def phoneme_table(
    phonemes: Sequence[str],
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
    f1: NDArray[np.float64],
    support: NDArray[np.int64],
) -> pd.DataFrame:
    """Return the scores of each phoneme, each argument (P,), in the order of the labels.

    Returns:
        Columns phoneme, precision, recall, f1 (0 to 1; NaN where undefined, an empty
        field in CSV, which the plot shows as 0) and support (frames). P rows.
    """
    return pd.DataFrame(
        {
            "phoneme": list(phonemes),
            "precision": np.round(precision, DECIMALS),
            "recall": np.round(recall, DECIMALS),
            "f1": np.round(f1, DECIMALS),
            "support": support,
        }
    )


def confused_pairs_table(
    counts: NDArray[np.int64], phonemes: Sequence[str], pairs: int
) -> pd.DataFrame:
    """Return the `pairs` most frequent mistakes, the most frequent first.

    Args:
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.
        pairs: most rows wanted; there are fewer where fewer kinds of mistakes were made.

    Returns:
        Columns pair ("actual → predicted"), actual, predicted, count (frames) and share
        (of the actual phoneme's frames).
    """
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    most = np.argsort(-mistakes, axis=None, kind="stable")[:pairs]  # stable: ties by label
    rows, columns = np.unravel_index(most[mistakes.flat[most] > 0], counts.shape)
    names = np.array(phonemes, dtype=object)
    return pd.DataFrame(
        {
            "pair": names[rows] + " → " + names[columns],
            "actual": names[rows],
            "predicted": names[columns],
            "count": counts[rows, columns],
            "share": shares_of_actual(counts)[rows, columns].round(DECIMALS),
        }
    )
