"""Score dev, and test where it has labels: model and labels -> metrics and plot tables."""

import json
from typing import Any

import torch

from phonemes.device import choose_device, choose_precision
from phonemes.files import replacing
from phonemes.inference import place, require_fit
from phonemes.model import Model, load_model, parameter_count
from phonemes.params import Params
from phonemes.plots import (
    confused_pairs_table,
    confusion_figure,
    confusion_table,
    phoneme_table,
    save_png,
)
from phonemes.recognition import recognize
from phonemes.scoring import (
    Predictions,
    confusion_counts,
    phoneme_scores,
    utterance_sums,
    with_intervals,
)
from phonemes.smoothing import Smoothing, read_smoothing
from phonemes.stored import read_frames, read_labels, read_lengths, read_phonemes, read_starts
from stages import CONFUSION, CONTEXT, CORPUS, MODEL, NORMALIZED, SCORES, TABLES, run

DECIMALS = 5  # of stored scores: finer than any corpus's interval


def predict(
    split: str,
    classes: int,
    model: Model,
    smoothing: Smoothing | None,
    params: Params,
    device: torch.device,
    dtype: torch.dtype,
) -> Predictions:
    """Classify a labelled split."""
    lengths = read_lengths(CORPUS, split)
    starts = read_starts(CONTEXT / f"{split}.npy", int(lengths.sum()))
    frames = read_frames(NORMALIZED / f"{split}.npy", len(starts))
    labels = read_labels(CORPUS / f"labels/{split}.npy", len(starts), classes)
    placed = place(frames, starts, labels, params.data, device, dtype)
    require_fit(model.first[0], placed, classes)
    outcomes = recognize(model, placed, lengths, params.runtime.batch_size, dtype, smoothing)
    return Predictions(labels, *(values.cpu().numpy() for values in outcomes))


def main(params: Params) -> None:
    """Write the scores and tables of each labelled split, and a picture of dev's confusions."""
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    model = load_model(MODEL, device)
    phonemes = read_phonemes(CORPUS)
    smoothing = read_smoothing(CORPUS, params.smooth, len(phonemes))
    count = sum(parameter_count(network) for network in (*model.first, *model.second))
    results: dict[str, Any] = {"model": {"parameters": count, "epoch": model.facts["epoch"]}}
    labelled = [split for split in ("dev", "test") if (CORPUS / f"labels/{split}.npy").exists()]
    with replacing(TABLES) as tables:
        for split in labelled:
            predictions = predict(split, len(phonemes), model, smoothing, params, device, dtype)
            sums = utterance_sums(predictions, read_lengths(CORPUS, split), phonemes)
            scores = with_intervals(sums, params.evaluate.resamples, params.evaluate.seed)
            results[split] = {name: round(score, DECIMALS) for name, score in scores.items()}
            counts = confusion_counts(predictions.labels, predictions.predicted, len(phonemes))
            whole = {name: values.sum(0) for name, values in sums.items()}
            (tables / split).mkdir(parents=True)
            for name, table in {
                "confusion": confusion_table(counts, phonemes),
                "phonemes": phoneme_table(phonemes, *phoneme_scores(whole)),
                "confused_pairs": confused_pairs_table(counts, phonemes, params.evaluate.pairs),
            }.items():
                table.to_csv(tables / f"{split}/{name}.csv", index=False, lineterminator="\n")
            if split == "dev":
                picture = confusion_figure(counts, phonemes, "Confusions on dev")
            print(
                f"{split}: accuracy {scores['accuracy']:.4f} "
                f"({scores['accuracy_low']:.4f} to {scores['accuracy_high']:.4f}), "
                f"macro F1 {scores['macro_f1']:.4f}, cross-entropy {scores['cross_entropy']:.4f}"
            )
    with replacing(CONFUSION) as path:
        save_png(picture, path)
    with replacing(SCORES) as path:
        path.write_text(json.dumps(results, indent=2) + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    run(main)
