"""Score dev, and test where it has labels: model and labels -> metrics and plot tables."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from phonemes.decoding.devices import Replica, decode_on_all, load_on_all
from phonemes.decoding.smoothing import Smoothing, smoothing_of
from phonemes.inference.device import choose_devices, choose_precision
from phonemes.model.purpose import read_purpose, require_purpose
from phonemes.model.size import parameter_count
from phonemes.params import Params
from phonemes.scoring.breakdowns import breakdowns
from phonemes.scoring.predictions import save_predictions
from phonemes.scoring.scores import (
    Interval,
    Predictions,
    Units,
    independent_units,
    intervals,
    unit_sums,
)
from phonemes.scoring.tables import (
    SCORE_DECIMALS,
    confused_pairs_table,
    confusion_counts,
    confusion_table,
    phoneme_table,
    score_table,
)
from phonemes.storage.atomic import Outputs
from phonemes.storage.layout import (
    CORPUS,
    FRAME_PREDICTIONS,
    MODEL,
    SCORES,
    TABLES,
    HostSplit,
)
from phonemes.storage.read import (
    read_phonemes,
    read_split,
    read_split_with_lengths,
    read_utterances,
)
from stages import run

NOT_COMPARED = {"calibration_error", "phone_error_rate"}  # scores that are in scores.csv alone


class Evaluation(NamedTuple):
    """What is written of a split."""

    predictions: Predictions
    scores: dict[str, Interval]
    units: Units  # that the intervals count
    tables: dict[str, pd.DataFrame]  # by the name of their file


def predict(
    split: HostSplit,
    lengths: NDArray[np.integer],
    classes: int,
    replicas: Sequence[Replica],
    smoothing: Smoothing | None,
    params: Params,
    dtype: torch.dtype,
) -> Predictions:
    """Classify a labelled split, whose utterances have `lengths`, (U,)."""
    scores = decode_on_all(replicas, split, params.data, lengths, classes, dtype, smoothing)
    assert split.labels is not None
    predicted, *others = (values.cpu().numpy() for values in scores)
    return Predictions(split.labels, predicted.astype(split.labels.dtype), *others)


def evaluate(
    name: str,
    phonemes: tuple[str, ...],
    replicas: Sequence[Replica],
    smoothing: Smoothing | None,
    params: Params,
    dtype: torch.dtype,
) -> Evaluation:
    """Score a labelled split by its name, and tell where its errors lie."""
    split, lengths = read_split_with_lengths(name, len(phonemes))
    utterances = read_utterances(CORPUS, name, len(lengths))
    units = independent_units([speaker for _, speaker in utterances])
    predictions = predict(split, lengths, len(phonemes), replicas, smoothing, params, dtype)
    counts = confusion_counts(predictions.labels, predictions.predicted, len(phonemes))
    scores = intervals(unit_sums(predictions, lengths, units, phonemes))
    tables = {
        "scores": score_table(scores, units),
        "confusion": confusion_table(counts, phonemes),
        "phonemes": phoneme_table(counts, phonemes),
        "confused_pairs": confused_pairs_table(counts, phonemes, params.evaluate.pairs),
    } | breakdowns(predictions, lengths, utterances, counts, phonemes)
    return Evaluation(predictions, scores, units, tables)


def write_tables(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write the tables of a split into a new folder."""
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def compared(scores: dict[str, Interval]) -> dict[str, float]:
    """Return scores to be compared between runs, without those that are undefined."""
    values = {name: round(float(each.value), SCORE_DECIMALS) for name, each in scores.items()}
    return {
        name: value
        for name, value in values.items()
        if name not in NOT_COMPARED and not np.isnan(value)
    }


def summary(name: str, found: Evaluation) -> str:
    """Return a line about a split."""
    value, low, high = found.scores["accuracy"]
    kind = found.units.kind if found.units.number > 1 else found.units.kind.removesuffix("s")
    units = f"{found.units.number:,} {kind}"
    interval = f"95 % {low:.4f} to {high:.4f}; {units}"
    return (
        f"{name + ':':<6}accuracy {value:.4f} "
        f"({f'no interval: {units}' if np.isnan(low) else interval}), "
        f"macro F1 {found.scores['macro_f1'].value:.4f}, "
        f"cross-entropy {found.scores['cross_entropy'].value:.4f} nats"
    )


def main(params: Params, outputs: Outputs) -> None:
    """Write the scores and tables of each labelled split; of dev also the predictions of frames."""
    tables = outputs.folder(TABLES)
    scores = outputs.file(SCORES)
    devices = choose_devices(params.runtime.device, params.runtime.gpus)
    dtype = choose_precision(params.model.precision, devices[0])
    (model, purpose, phones, facts), replicas = load_on_all(MODEL, devices)
    phonemes = read_phonemes(CORPUS)
    smoothing = smoothing_of(phones, params.smooth)
    count = parameter_count(each.architecture for each in (*model.base, *model.stacked))
    bands = read_split("dev", None).frames.shape[1]
    require_purpose(purpose, read_purpose(params.data, bands))
    splits = ["dev", *(["test"] if (CORPUS / "labels/test.npy").exists() else [])]
    found = {name: evaluate(name, phonemes, replicas, smoothing, params, dtype) for name in splits}
    results: dict[str, dict[str, float]] = {"model": {"parameters": count, "epoch": facts.epoch}}
    results |= {name: compared(each.scores) for name, each in found.items()}
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    for name, each in found.items():
        write_tables(tables / name, each.tables)
        print(summary(name, each))
    print("next: phonemes report writes a page about the errors")
    save_predictions(tables / "dev" / FRAME_PREDICTIONS, found["dev"].predictions)
    scores.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    run(main, "data", "evaluate", "smooth", "model")
