"""Score dev, and test where it has labels: model and labels -> metrics and plot tables."""

import json
from pathlib import Path
from typing import Any

import torch

from phonemes.context import utterance_lengths
from phonemes.decoding.decode import Smoothing, decode, read_smoothing
from phonemes.inference.device import choose_device, choose_precision
from phonemes.inference.windows import require_fit, to_device
from phonemes.model.architecture import parameter_count
from phonemes.model.store import Model, load_model
from phonemes.params import Params
from phonemes.scoring.figures import confusion_figure, save_png
from phonemes.scoring.scores import (
    Predictions,
    confusion_counts,
    phoneme_scores,
    utterance_sums,
    with_intervals,
)
from phonemes.scoring.tables import confused_pairs_table, confusion_table, phoneme_table
from phonemes.storage.atomic import replacing
from phonemes.storage.layout import CONFUSION, CORPUS, MODEL, SCORES, TABLES, HostSplit
from phonemes.storage.read import read_phonemes, read_split
from stages import run

DECIMALS = 5  # of stored scores: finer than any corpus's interval


def predict(
    split: HostSplit,
    classes: int,
    model: Model,
    smoothing: Smoothing | None,
    params: Params,
    device: torch.device,
) -> Predictions:
    """Classify a labelled split."""
    dtype = choose_precision(params.model.precision, device)
    on_device = to_device(split, params.data, device, dtype)
    require_fit(model.base[0].architecture, on_device, classes)
    lengths, batch = utterance_lengths(split.starts), params.runtime.batch_size
    scores = decode(model, on_device, lengths, batch, dtype, smoothing)
    assert split.labels is not None
    return Predictions(split.labels, *(values.cpu().numpy() for values in scores))


def write_tables(
    folder: Path,
    predictions: Predictions,
    sums: dict[str, Any],
    phonemes: tuple[str, ...],
    pairs: int,
) -> None:
    """Write the confusions, scores by phoneme and most confused pairs of a split."""
    folder.mkdir(parents=True)
    counts = confusion_counts(predictions.labels, predictions.predicted, len(phonemes))
    by_phoneme = phoneme_scores({name: values.sum(0) for name, values in sums.items()})
    for name, table in {
        "confusion": confusion_table(counts, phonemes),
        "phonemes": phoneme_table(phonemes, *by_phoneme),
        "confused_pairs": confused_pairs_table(counts, phonemes, pairs),
    }.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def main(params: Params) -> None:
    """Write the scores and tables of each labelled split, and a picture of dev's confusions."""
    device = choose_device(params.runtime.device)
    model = load_model(MODEL, device)
    phonemes = read_phonemes(CORPUS)
    smoothing = read_smoothing(params.smooth, len(phonemes))
    count = sum(parameter_count(network) for network, _ in (*model.base, *model.stacked))
    results: dict[str, Any] = {"model": {"parameters": count, "epoch": model.facts["epoch"]}}
    with replacing(TABLES) as tables:
        for name in ("dev", "test"):
            if not (CORPUS / f"labels/{name}.npy").exists():
                continue
            split = read_split(name, len(phonemes))
            predictions = predict(split, len(phonemes), model, smoothing, params, device)
            sums = utterance_sums(predictions, utterance_lengths(split.starts), phonemes)
            scores = with_intervals(sums, params.evaluate.resamples, params.evaluate.seed)
            results[name] = {key: round(score, DECIMALS) for key, score in scores.items()}
            write_tables(tables / name, predictions, sums, phonemes, params.evaluate.pairs)
            if name == "dev":
                counts = confusion_counts(predictions.labels, predictions.predicted, len(phonemes))
                picture = confusion_figure(counts, phonemes, "Confusions on dev")
            print(
                f"{name}: accuracy {scores['accuracy']:.4f} "
                f"({scores['accuracy_low']:.4f} to {scores['accuracy_high']:.4f}), "
                f"macro F1 {scores['macro_f1']:.4f}, cross-entropy {scores['cross_entropy']:.4f}"
            )
    with replacing(CONFUSION) as path:
        save_png(picture, path)
    with replacing(SCORES) as path:
        path.write_text(json.dumps(results, indent=2) + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    run(main, "data", "evaluate", "smooth", "model")
