"""Where the errors of a split lie: tables by class, boundary, stress, speaker and confidence.

An error is a frame whose prediction is not its label. Every share of errors is one of all
errors of the split, and NaN where there is none. Where a table has no meaning for the data, as
stress for labels without, or speakers where they are unknown, it has no rows. N frames,
U utterances, P phonemes; counts are (P, P) frames by actual and predicted phoneme.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonemes.inventory import PHONETIC_GROUPS, fold, phonetic_classes, stress_of
from phonemes.scoring.phones import PhoneErrors, phone_errors
from phonemes.scoring.scores import BINS, Predictions, confidence_bins
from phonemes.scoring.tables import DECIMALS
from phonemes.storage.layout import Labels

FARTHEST = 5  # frames from a boundary; that far or farther is one row


def breakdowns(
    predictions: Predictions,
    lengths: NDArray[np.integer],
    utterances: Sequence[tuple[str, str]],
    counts: NDArray[np.int64],
    phonemes: Sequence[str],
) -> dict[str, pd.DataFrame]:
    """Return all tables of this module, by the names of their files.

    Args:
        predictions: of the split.
        lengths: (U,) frames of each utterance.
        utterances: U names and speakers, "" where unknown.
        counts: (P, P) frames by actual and predicted phoneme.
        phonemes: P names.
    """
    errors = phone_errors(predictions.labels, predictions.predicted, lengths)
    by_utterance = utterance_table(predictions, lengths, utterances, errors)
    return {
        "phonetic_classes": phonetic_class_table(counts, phonemes),
        "boundaries": boundary_table(predictions, lengths),
        "stress": stress_table(counts, phonemes),
        "speakers": speaker_table(by_utterance),
        "utterances": by_utterance,
        "calibration": calibration_table(predictions),
        "phone_errors": phone_error_table(predictions, lengths, phonemes),
    }


def shares(part: NDArray | pd.Series, whole: NDArray | pd.Series | int) -> NDArray[np.float64]:
    """Return part / whole, rounded; NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(*(np.asarray(each, np.float64) for each in (part, whole)))
    ratio = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio.round(DECIMALS)


def phonetic_class_table(counts: NDArray[np.int64], phonemes: Sequence[str]) -> pd.DataFrame:
    """Return the accuracy of each phonetic class that the inventory has.

    Returns:
        Columns class, frames (whose phoneme is of the class), accuracy, class_accuracy (share
        of the frames predicted as a phoneme of the class, right or not) and share_of_errors.
        No rows where the names are of no known inventory.
    """
    classes = np.array(phonetic_classes(phonemes) or (), dtype=object)
    rows = []
    for name in PHONETIC_GROUPS:
        if len(inside := np.flatnonzero(classes == name)):
            own = counts[inside]
            right = counts[inside, inside].sum()
            rows.append((name, own.sum(), right, own[:, inside].sum()))
    table = pd.DataFrame(rows, columns=["class", "frames", "right", "of_class"])
    return pd.DataFrame(
        {
            "class": table["class"],
            "frames": table["frames"],
            "accuracy": shares(table["right"], table["frames"]),
            "class_accuracy": shares(table["of_class"], table["frames"]),
            "share_of_errors": shares(table["frames"] - table["right"], _errors(counts)),
        }
    )


def stress_table(counts: NDArray[np.int64], phonemes: Sequence[str]) -> pd.DataFrame:
    """Return the accuracy of vowels by their stress: 0 none, 1 primary, 2 secondary.

    Returns:
        Columns stress, frames, accuracy, vowel_accuracy (share whose vowel is right, whatever
        its stress), stress_errors (frames whose vowel is right and stress wrong) and
        share_of_errors (those that are stress alone). No rows where labels have no stress.
    """
    stress = np.array([stress_of(name) for name in phonemes])
    vowels = fold(phonemes)
    rows = []
    if vowels is not None and (stress != "").any():
        same = np.equal.outer(np.array(vowels), np.array(vowels))  # (P, P)
        for digit in "012":
            inside = np.flatnonzero(stress == digit)
            own, right = counts[inside], counts[inside, inside].sum()
            rows.append((digit, own.sum(), right, own[same[inside]].sum()))
    table = pd.DataFrame(rows, columns=["stress", "frames", "right", "vowel"])
    alone = table["vowel"] - table["right"]
    return pd.DataFrame(
        {
            "stress": table["stress"],
            "frames": table["frames"],
            "accuracy": shares(table["right"], table["frames"]),
            "vowel_accuracy": shares(table["vowel"], table["frames"]),
            "stress_errors": alone,
            "share_of_errors": shares(alone, _errors(counts)),
        }
    )


def boundary_distances(labels: Labels, lengths: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return how many frames lie between each frame and the nearest phoneme boundary, (N,).

    Both frames at a boundary, the last of a phoneme and the first of the next one, have 0.
    FARTHEST stands for all distances from there on, and for utterances of one phoneme: where
    an utterance begins or ends is no boundary.

    Args:
        labels: (N,) of the frames.
        lengths: (U,) frames of each utterance.
    """
    joined = np.ones(len(labels), bool)  # whether a frame and the one before are of one utterance
    joined[np.cumsum(lengths) - lengths] = False
    edge = (labels[1:] != labels[:-1]) & joined[1:]
    near = np.zeros(len(labels), bool)
    near[1:] |= edge
    near[:-1] |= edge
    distances = np.full(len(labels), FARTHEST, np.uint8)
    for distance in range(FARTHEST):
        distances[near & (distances == FARTHEST)] = distance
        wider = near.copy()
        wider[1:] |= near[:-1] & joined[1:]
        wider[:-1] |= near[1:] & joined[1:]
        near = wider
    return distances


def boundary_table(predictions: Predictions, lengths: NDArray[np.integer]) -> pd.DataFrame:
    """Return the accuracy of frames by their distance from a phoneme boundary.

    Returns:
        Columns distance ("0" to "4", "5+", see `boundary_distances`), frames, accuracy,
        share_of_frames and share_of_errors.
    """
    distances = boundary_distances(predictions.labels, lengths)
    right = predictions.labels == predictions.predicted
    frames = np.bincount(distances, minlength=FARTHEST + 1)
    hits = np.bincount(distances[right], minlength=FARTHEST + 1)
    return pd.DataFrame(
        {
            "distance": [*map(str, range(FARTHEST)), f"{FARTHEST}+"],
            "frames": frames,
            "accuracy": shares(hits, frames),
            "share_of_frames": shares(frames, frames.sum()),
            "share_of_errors": shares(frames - hits, (frames - hits).sum()),
        }
    )


def utterance_table(
    predictions: Predictions,
    lengths: NDArray[np.integer],
    utterances: Sequence[tuple[str, str]],
    errors: PhoneErrors,
) -> pd.DataFrame:
    """Return the accuracy of each utterance, in the order of the split.

    Args:
        predictions: of the split.
        lengths: (U,) frames of each utterance.
        utterances: U names and speakers, "" where unknown.
        errors: of its phones.

    Returns:
        Columns utterance, speaker, frames, right (frames), accuracy, phones and phone_errors.
    """
    hits = predictions.labels == predictions.predicted
    right = np.add.reduceat(hits, np.cumsum(lengths) - lengths, dtype=np.int64)
    return pd.DataFrame(
        {
            "utterance": [name for name, _ in utterances],
            "speaker": [speaker for _, speaker in utterances],
            "frames": lengths,
            "right": right,
            "accuracy": shares(right, lengths),
            "phones": errors.phones,
            "phone_errors": errors.total,
        }
    )


def speaker_table(utterances: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of each known speaker, in the order in which they first speak.

    Args:
        utterances: from `utterance_table`.

    Returns:
        Columns speaker, utterances (their number), frames, right (frames) and accuracy.
    """
    known = utterances[utterances["speaker"] != ""].groupby("speaker", sort=False)
    table = known.agg(
        utterances=("utterance", "size"), frames=("frames", "sum"), right=("right", "sum")
    ).reset_index()
    return table.assign(accuracy=shares(table["right"], table["frames"]))


def calibration_table(predictions: Predictions) -> pd.DataFrame:
    """Return how often predictions of each confidence are right.

    Bins of equal width, as in the reliability diagrams of Guo et al. (2017), "On calibration
    of modern neural networks".

    Returns:
        Columns low and high (of the bin; high is excluded but for 1), frames, confidence (mean)
        and accuracy; both are NaN where a bin has no frames. BINS rows.
    """
    bins = confidence_bins(predictions.confidence)
    right = predictions.labels == predictions.predicted
    frames = np.bincount(bins, minlength=BINS)
    edges = np.linspace(0, 1, BINS + 1).round(DECIMALS)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "frames": frames,
            "confidence": shares(np.bincount(bins, predictions.confidence, BINS), frames),
            "accuracy": shares(np.bincount(bins, right, BINS), frames),
        }
    )


def phone_error_table(
    predictions: Predictions, lengths: NDArray[np.integer], phonemes: Sequence[str]
) -> pd.DataFrame:
    """Return the errors of phones, with and without stress and silence.

    Returns:
        Columns labels ("all", or "folded" to those without stress; TIMIT's to 39), silence
        ("kept", or "dropped" after runs were collapsed), phones (of the truth),
        predicted_phones, insertions, deletions, substitutions and error_rate. One row where
        the names are of no known inventory.
    """
    rows = []
    for labels, silence, classes, left_out in _countings(phonemes):
        errors = phone_errors(predictions.labels, predictions.predicted, lengths, classes, left_out)
        rows.append((labels, silence, *(int(each.sum()) for each in errors)))
    columns = ["labels", "silence", "phones", "predicted_phones"]
    table = pd.DataFrame(rows, columns=[*columns, "insertions", "deletions", "substitutions"])
    edits = table[["insertions", "deletions", "substitutions"]].sum(axis=1)
    return table.assign(error_rate=shares(edits, table["phones"]))


def _countings(
    phonemes: Sequence[str],
) -> Iterator[tuple[str, str, NDArray[np.int64], int | None]]:
    """Yield the ways to count phones: labels, silence, each label's class, and that left out."""
    folded = fold(phonemes)
    silent = np.array(folded or [""] * len(phonemes)) == "SIL"
    ways = {"all": np.arange(len(phonemes))}
    if folded is not None and len({*folded}) < len(phonemes):
        ways["folded"] = np.unique(folded, return_inverse=True)[1]
    for labels, classes in ways.items():
        yield labels, "kept", classes, None
        if silent.any():  # several labels of TIMIT are
            yield labels, "dropped", np.where(silent, len(phonemes), classes), len(phonemes)


def _errors(counts: NDArray[np.int64]) -> int:
    return int(counts.sum() - np.trace(counts))
