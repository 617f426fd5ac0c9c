"""What a run's figures mean, in sentences; each has a rule with a threshold.

A rule returns a finding or None. Accuracy on the training set is measured while training: with
dropout, on distorted input, over changing weights and, with multi-frame targets, for one window
alone where dev has the mean of several. So it is lower than that of the finished network: that
it lies far above dev's shows overfitting, that it lies below shows nothing else.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from phonemes.inventory import fold, stress_of
from phonemes.pages.report.matrix import counts_of
from phonemes.pages.report.run import Run
from phonemes.pages.report.text import named, number, percent, points

OVERFITS = 0.1  # accuracy on the training set above dev's
RISING = 0.002  # accuracy on dev gained in the last epoch
LATE_EPOCHS = 3  # after the best one
LOSS_RISES = 1.05  # cross-entropy of dev at the end over its lowest
LOSS_JUMPS = 1.1  # cross-entropy of dev over that of the epoch before
RATE_ENDS = 0.3  # learning rate of the last epoch over the highest
FEW_UNITS = 10  # speakers or utterances
AT_BOUNDARY = 1.5  # share of errors next to a boundary over the share of frames there
STRESS_ALONE = 0.05  # share of errors
SILENCE = 0.15  # share of errors between speech and silence
RARE = 0.02  # share of frames of phonemes that are never found
SPEAKER_BELOW = 0.05  # accuracy below the mean over speakers
FEWEST_SPEAKERS = 3  # that have a mean
MISCALIBRATED = 0.03  # calibration error
PHONES_MORE, PHONES_LESS = 1.1, 0.9  # predicted phones over phones


class Finding(NamedTuple):
    """A sentence about a run."""

    topic: str
    text: str
    advice: str = ""  # what may help; "" where nothing is known to


def findings(run: Run) -> list[Finding]:
    """Return what a run's figures mean, training first."""
    return [found for rule in RULES if (found := rule(run)) is not None]


# Training


def overfitting(run: Run) -> Finding | None:
    """Compare training set and dev at the epoch that was kept."""
    if (epoch := _kept(run)) is None:
        return None
    train, dev = float(epoch["train_accuracy"]), float(epoch["dev_accuracy"])
    if train - dev >= OVERFITS:
        return Finding(
            "Training",
            f"Overfits: accuracy on the training set is {number(train)}{_handicaps(run)}, on dev "
            f"it is {number(dev)}.",
            "Try more dropout, augmentation or fewer epochs.",
        )
    return None


def _handicaps(run: Run) -> str:
    """Return what made the training set harder than dev while training, as far as is known."""
    augment = run.params.get("augment")
    sizes = augment.items() if isinstance(augment, dict) else ()
    distorted = any(value for name, value in sizes if not name.endswith("_width"))
    found = ["dropout"] * bool(run.param("model", "dropout")) + ["distortions"] * distorted
    return f" even with {' and '.join(found)}" if found else ""


def still_rising(run: Run) -> Finding | None:
    """Look at what the last epoch gained."""
    if run.history is None or len(run.history) < 2:
        return None
    dev = run.history["dev_accuracy"].to_numpy()
    gained = float(dev[-1] - dev[-2])
    if dev.argmax() == len(dev) - 1 and gained >= RISING:
        return Finding(
            "Training",
            f"Accuracy on dev still rose by {points(gained)} in the last epoch.",
            f"Train longer: train.epochs above {len(dev)}.",
        )
    return None


def best_epoch_early(run: Run) -> Finding | None:
    """Look for epochs after the best one."""
    if run.history is None:
        return None
    dev = run.history["dev_accuracy"].to_numpy()
    best = int(dev.argmax())
    if len(dev) - 1 - best >= LATE_EPOCHS:
        return Finding(
            "Training",
            f"Epoch {best + 1} of {len(dev)} was the best on dev: the {len(dev) - 1 - best} epochs "
            "after it did not help.",
            "Train for fewer epochs, or with more dropout or augmentation.",
        )
    return None


def loss_rises(run: Run) -> Finding | None:
    """Compare the cross-entropy of dev at the end with its lowest."""
    if run.history is None:
        return None
    loss = run.history["dev_loss"].to_numpy()
    if loss[-1] >= LOSS_RISES * loss.min():
        return Finding(
            "Training",
            f"Cross-entropy of dev was lowest after epoch {int(loss.argmin()) + 1}, "
            f"{number(loss.min())}, and rose to {number(loss[-1])}: the network became too sure "
            "of its errors.",
            "Try label smoothing, dropout or fewer epochs.",
        )
    return None


def rate_too_high(run: Run) -> Finding | None:
    """Look for an epoch that made dev worse, and that a later one made good."""
    if run.history is None:
        return None
    loss, rates = (run.history[name].to_numpy() for name in ("dev_loss", "lr"))
    for epoch in range(1, len(loss) - 1):
        if (
            loss[epoch] >= LOSS_JUMPS * loss[epoch - 1]
            and loss[epoch + 1 :].min() < loss[epoch - 1]
        ):
            return Finding(
                "Training",
                f"Cross-entropy of dev jumped from {number(loss[epoch - 1])} to "
                f"{number(loss[epoch])} in epoch {epoch + 1}, at a learning rate of "
                f"{rates[epoch]:.2g}, and fell again later.",
                "A lower train.lr may be better: `phonemes rate` suggests one.",
            )
    return None


def rate_ends_high(run: Run) -> Finding | None:
    """Compare the learning rate of the last epoch with the highest."""
    if run.history is None or len(run.history) < 3:
        return None
    rates = run.history["lr"].to_numpy()
    if rates[-1] > RATE_ENDS * rates.max():
        return Finding(
            "Training",
            f"The learning rate of the last epoch was {percent(rates[-1] / rates.max())} of its "
            "highest.",
            "A schedule that ends near 0, such as train.schedule: cosine, usually ends higher.",
        )
    return None


def _kept(run: Run) -> pd.Series | None:
    """Return the row of the history whose network was kept."""
    if run.history is None:
        return None
    rows = run.history[run.history["epoch"] == run.model["epoch"]]
    return None if rows.empty else rows.iloc[0]


# Scores


def few_units(run: Run) -> Finding | None:
    """Tell how far the interval of accuracy reaches where it counts few speakers."""
    row = run.dev["scores"].set_index("score").loc["accuracy"]
    if row["units"] >= FEW_UNITS or pd.isna(row["low"]):
        return None
    return Finding(
        "Scores",
        f"Dev has {row['units']:g} {row['unit']} only: for others like them, accuracy may lie "
        f"anywhere from {number(row['low'])} to {number(row['high'])} (95 % interval).",
        f"Compare runs with `phonemes report A B`: the same {row['unit']} are in both.",
    )


def unknown_speakers(run: Run) -> Finding | None:
    """Tell that intervals over utterances leave out what the utterances of a speaker share."""
    if (run.dev["scores"]["unit"] != "utterances").all():
        return None
    return Finding(
        "Speakers",
        "They are unknown. Intervals count utterances, as if each had a speaker of its own, so "
        "they are too narrow where speakers have several; and nothing shows that the speakers of "
        "dev are not in the training set.",
    )


def splits_differ(run: Run) -> Finding | None:
    """Compare test with the interval of dev."""
    test = run.score("accuracy", "test")
    scores = run.dev["scores"].set_index("score")
    low, high = (float(scores[side]["accuracy"]) for side in ("low", "high"))
    if test is None or not (test < low or test > high):
        return None
    side = "below" if test < low else "above"
    return Finding(
        "Scores",
        f"Accuracy on test, {number(test)}, lies {side} the interval of dev, {number(low)} to "
        f"{number(high)}: the two splits are not alike.",
    )


# Errors


def at_boundaries(run: Run) -> Finding | None:
    """Compare the share of errors next to a boundary with the share of frames there."""
    table = run.dev.get("boundaries")
    if table is None:
        return None
    row = table.iloc[0]
    if not row["share_of_errors"] >= AT_BOUNDARY * row["share_of_frames"]:
        return None
    return Finding(
        "Boundaries",
        f"{percent(row['share_of_errors'])} of errors lie in the {percent(row['share_of_frames'])} "
        f"of frames next to a phoneme boundary, where accuracy is {number(row['accuracy'])}.",
    )


def stress_alone(run: Run) -> Finding | None:
    """Add up the errors that are stress alone."""
    table = run.dev.get("stress")
    share = 0.0 if table is None else float(table["share_of_errors"].sum())
    if share < STRESS_ALONE:
        return None
    folded = run.score("folded_accuracy")
    without = "" if folded is None else f" Without stress, accuracy is {number(folded)}."
    return Finding(
        "Stress",
        f"{percent(share)} of errors are the stress of a vowel alone.{without}",
    )


def within_classes(run: Run) -> Finding | None:
    """Add up the errors that stay in the phonetic class, and name the class with most."""
    table = run.dev.get("phonetic_classes")
    if table is None or table.empty or table["share_of_errors"].isna().all():
        return None
    wrong = (table["frames"] * (1 - table["accuracy"])).sum()
    inside = (table["frames"] * (table["class_accuracy"] - table["accuracy"])).sum()
    most = table.iloc[int(table["share_of_errors"].to_numpy().argmax())]
    return Finding(
        "Phonetic classes",
        f"{percent(inside / wrong)} of errors stay within the phonetic class. Most errors are in "
        f"{most['class']}: {percent(most['share_of_errors'])} of all.",
    )


def silence(run: Run) -> Finding | None:
    """Add up the errors between speech and silence."""
    folded = fold(run.phonemes)
    if folded is None or "SIL" not in folded:
        return None
    counts = counts_of(run.dev["confusion"], run.phonemes)
    silent = np.array(folded) == "SIL"
    wrong = counts.sum() - np.trace(counts)
    missed, invented = counts[~silent][:, silent].sum(), counts[silent][:, ~silent].sum()
    if missed + invented < SILENCE * wrong:
        return None
    return Finding(
        "Silence",
        f"{percent((missed + invented) / wrong)} of errors are between speech and silence: "
        f"{int(missed):,} frames of speech taken for silence, {int(invented):,} of silence for "
        "speech.",
    )


def never_found(run: Run) -> Finding | None:
    """Name the phonemes that occur and are never predicted where they are."""
    table = run.dev["phonemes"]
    occurring = table[table["support"] > 0]
    lost = occurring[occurring["recall"] == 0]
    if lost.empty:
        return None
    share = lost["support"].sum() / table["support"].sum()
    rare = share <= RARE and run.param("train", "class_weights") == "none"
    return Finding(
        "Never found",
        f"{len(lost)} of the {len(occurring)} phonemes that occur "
        f"{'is' if len(lost) == 1 else 'are'} never found, {percent(share)} of all frames: "
        f"{named(lost['phoneme'].tolist())}.",
        "train.class_weights: sqrt favours rare phonemes, and costs accuracy." if rare else "",
    )


def most_frequent(run: Run) -> Finding | None:
    """Name the most frequent mistake that is not stress alone."""
    table = run.dev["confusion"]
    folded = dict(zip(run.phonemes, fold(run.phonemes) or run.phonemes, strict=True))
    stressed = any(stress_of(name) for name in run.phonemes)
    names = (table["actual"], table["predicted"])
    alike = names[0].map(folded) == names[1].map(folded) if stressed else names[0] == names[1]
    wrong = table[~alike & (table["count"] > 0)]
    if wrong.empty:
        return None
    most = wrong.iloc[int(wrong["count"].to_numpy().argmax())]
    share = most["count"] / table.loc[table["actual"] == most["actual"], "count"].sum()
    return Finding(
        "Mistakes",
        f"The most frequent mistake{' but for stress' if stressed else ''} is {most['actual']} "
        f"taken for {most['predicted']}: {int(most['count']):,} frames, {percent(share)} of "
        f"{most['actual']}.",
    )


# Speakers, confidence and phones


def speakers_below(run: Run) -> Finding | None:
    """Name the speakers far below the mean over speakers."""
    table = run.dev.get("speakers")
    if table is None or len(table) < FEWEST_SPEAKERS:
        return None
    mean = float(table["accuracy"].mean())
    below = table[table["accuracy"] <= mean - SPEAKER_BELOW].sort_values("accuracy")
    if below.empty:
        return None
    if len(below) == 1:
        only = below.iloc[0]
        text = (
            f"Speaker {only['speaker']} is {points(mean - only['accuracy'])} below the mean of the "
            f"{len(table)} speakers, {number(only['accuracy'])} against {number(mean)}."
        )
    else:
        text = (
            f"{len(below)} of {len(table)} speakers are {points(SPEAKER_BELOW)} or more below the "
            f"mean, {number(mean)}: {named(below['speaker'].tolist())}."
        )
    return Finding("Speakers", text)


def miscalibrated(run: Run) -> Finding | None:
    """Compare confidence with accuracy."""
    table = run.dev.get("calibration")
    error = run.score("calibration_error")
    if table is None or error is None or error < MISCALIBRATED:
        return None
    full = table[table["frames"] > 0]
    confidence, accuracy = (
        float((full[name] * full["frames"]).sum() / full["frames"].sum())
        for name in ("confidence", "accuracy")
    )
    end = f"(expected calibration error {number(error)})."
    if abs(confidence - accuracy) < error / 2:
        return Finding(
            "Confidence",
            f"Confidences are too high for some frames and too low for others {end}",
        )
    side = "high" if confidence > accuracy else "low"
    return Finding(
        "Confidence",
        f"Confidences are too {side}: {number(confidence)} on average, "
        f"{number(abs(confidence - accuracy))} {'above' if side == 'high' else 'below'} the share "
        f"of frames that are right {end}",
        _calibration_advice(run, side),
    )


def _calibration_advice(run: Run, side: str) -> str:
    """Return what makes confidences lower or higher than they should be."""
    smoothed = run.param("smooth", "lm_scale")
    if side == "high" and smoothed:
        return "Smoothing over time sharpens them: a lower smooth.acoustic_scale makes them lower."
    smoothing = run.param("train", "label_smoothing")
    if side == "high" and smoothing == 0:
        return "Label smoothing (train.label_smoothing) makes them lower."
    if side == "low" and smoothing:
        return f"Less label smoothing (train.label_smoothing, now {smoothing:g}) makes them higher."
    return ""


def number_of_phones(run: Run) -> Finding | None:
    """Compare the number of predicted phones with that of the truth."""
    table = run.dev.get("phone_errors")
    if table is None or table.empty or not table["phones"][0]:
        return None
    row = table.iloc[0]
    ratio = row["predicted_phones"] / row["phones"]
    rate = f"The phone error rate is {number(row['error_rate'])}."
    if ratio >= PHONES_MORE:
        smoothed = run.param("smooth", "lm_scale")
        return Finding(
            "Phones",
            f"Predictions have {percent(ratio - 1)} more phones than are spoken: labels change too "
            f"often. {rate}",
            "Smooth them over time: `dvc exp run $(phonemes recipe smoothed)`."
            if smoothed == 0
            else "",
        )
    if ratio <= PHONES_LESS:
        return Finding(
            "Phones",
            f"Predictions have {percent(1 - ratio)} fewer phones than are spoken: short ones are "
            f"lost. {rate}",
        )
    return None


RULES: Sequence[Callable[[Run], Finding | None]] = (
    overfitting, still_rising, best_epoch_early, loss_rises, rate_too_high, rate_ends_high,
    few_units, unknown_speakers, splits_differ, at_boundaries, stress_alone, within_classes,
    silence, never_found, most_frequent, speakers_below, miscalibrated, number_of_phones,
)  # fmt: skip
