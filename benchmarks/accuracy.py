"""How accurate the recipes are on a corpus, what each of their parts is worth, and more data.

    python -m benchmarks.accuracy FOLDER recipes ablation growth [--seeds 3] [--json FILE]

FOLDER is a checkout in which the stage corpus ran. Every row is trained with several seeds
and scored on dev alone, at the epoch that is best there, as the train stage keeps it; with
and without smoothing over time. What FILE already holds is not trained again.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import yaml
from numpy.typing import NDArray

from phonemes import fitting
from phonemes.context import window_starts
from phonemes.corpus import Frames, Labels
from phonemes.device import choose_device, choose_precision
from phonemes.inference import posteriors
from phonemes.normalize import group_utterances, normalized, split_statistics
from phonemes.params import Normalize, Params, Smooth, parse
from phonemes.recipes import read_recipe
from phonemes.schema import Loader
from phonemes.smoothing import count_sequences, smoothed
from phonemes.stored import read_frames, read_labels, read_lengths, read_phonemes
from stages import CORPUS

ROOT = Path(__file__).parent.parent
SMOOTH = Smooth(sequence=1.0, frame=0.5)
BATCH = 32_768  # frames of a forward pass
WITHOUT = {"mel_scale": 0, "mel_shift": 0, "speed": 0, "gain": 0, "tilt": 0, "noise": 0}
MASKLESS = {"time_masks": 0, "band_masks": 0}
SHORT: dict[str, Any] = {"epochs": 20, "weight_decay": 0.1}  # of residual, to compare its parts
PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no distortion of the mel axis": {"augment": {"mel_scale": 0, "mel_shift": 0}},
    "no distortion of the time axis": {"augment": {"speed": 0}},
    "no gain, tilt and noise": {"augment": {"gain": 0, "tilt": 0, "noise": 0}},
    "no masks": {"augment": MASKLESS},
    "no distortion at all": {"augment": WITHOUT | MASKLESS},
    "every frame of the context whole": {"whole": 0},
    "no residual additions": {"residual": False},
    "no label smoothing": {"label_smoothing": 0},
    "weight decay 0.01": {"weight_decay": 0.01},
    "dropout 0.1": {"dropout": 0.1},
}


class Row(NamedTuple):
    """One setting to be trained with several seeds."""

    name: str
    params: Params
    share: float = 1.0  # of the utterances of train


class Result(NamedTuple):
    """What one training came to, on dev."""

    accuracy: float
    smoothed: float
    seconds: float  # of all epochs, dev included
    history: list[dict[str, Any]]


class Arrays(NamedTuple):
    """One split."""

    frames: Frames
    lengths: NDArray[np.integer]
    labels: Labels


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested mappings with some values changed."""
    return values | {
        key: merged(values[key], change) if isinstance(change, dict) else change
        for key, change in changes.items()
    }


def with_recipe(name: str, **train: Any) -> Params:
    """Return the shipped parameters with a recipe, "shipped" for none, and changes of train."""
    values = yaml.load((ROOT / "params.yaml").read_text("utf-8"), Loader)
    recipe = {} if name == "shipped" else read_recipe(name)
    return parse(yaml.safe_dump(merged(merged(values, recipe), {"train": train})))


def rows(study: str) -> Iterator[Row]:
    """Yield the rows of a study."""
    if study == "recipes":
        for name in ("shipped", "course", "pyramid", "masks", "residual"):
            yield Row(name, with_recipe(name))
    elif study == "ablation":
        for name, change in PARTS.items():
            yield Row(f"residual, short: {name}", with_recipe("residual", **SHORT | change))
    else:
        course, short = with_recipe("course"), with_recipe("residual", **SHORT)
        for share in (0.1, 0.3):
            yield Row(f"course, {share:.0%} of train", course, share)
            yield Row(f"residual, short: all, {share:.0%} of train", short, share)
        yield Row("course", course)
        yield Row("residual, short: all", short)


def read(split: str, folder: Path) -> Arrays:
    """Read a labelled split, its frames as they are."""
    lengths = read_lengths(folder / CORPUS, split)
    count, classes = int(lengths.sum()), len(read_phonemes(folder / CORPUS))
    frames = read_frames(folder / CORPUS / f"frames/{split}.npy", count)
    labels = read_labels(folder / CORPUS / f"labels/{split}.npy", count, classes)
    return Arrays(frames, lengths, labels)


def part(arrays: Arrays, share: float, seed: int) -> Arrays:
    """Return a run of consecutive utterances, and so few speakers where they lie in order."""
    if share == 1:
        return arrays
    utterances = len(arrays.lengths)
    taken = round(share * utterances)
    first = int(np.random.default_rng(seed).integers(utterances - taken + 1))
    ends = np.concatenate([[0], np.cumsum(arrays.lengths)])
    frames = slice(ends[first], ends[first + taken])
    lengths = arrays.lengths[first : first + taken]
    return Arrays(arrays.frames[frames], lengths, arrays.labels[frames])


def normal(splits: Sequence[Arrays], params: Normalize) -> list[Arrays]:
    """Return train and other splits, normalized over utterances as the stage does it."""
    told, made = None, []
    for frames, lengths, labels in splits:
        groups = group_utterances(params.over, [""] * len(lengths))
        given, told = split_statistics(frames, lengths, groups, params, told)
        parts = normalized(frames, lengths, groups, given, variance=params.variance)
        made.append(Arrays(np.concatenate([*parts]), lengths, labels))
    return made


def trained(train: Arrays, dev: Arrays, params: Params, classes: int) -> Result:
    """Normalize and train as the stages do; score dev at its best epoch."""
    train, dev = normal((train, dev), params.normalize)
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    data = params.data
    seen, judged = (
        fitting.Arrays(
            arrays.frames, window_starts(arrays.lengths, data.k, data.padding), arrays.labels
        )
        for arrays in (train, dev)
    )
    training, _ = fitting.prepare(seen, judged, classes, device, dtype, data, params.train)
    training.rehearse()
    started = time.perf_counter()
    with redirect_stdout(StringIO()):
        history = [epoch._asdict() for epoch in training.epochs(False)]
    seconds = time.perf_counter() - started
    assert training.best is not None
    training.network.load_state_dict(training.best_state)
    shares = posteriors(training.network, training.dev, BATCH, dtype)
    sequences = count_sequences(train.labels, train.lengths, classes)
    better = smoothed(shares, dev.lengths, sequences, SMOOTH).argmax(1).cpu().numpy()
    return Result(
        training.best.dev_accuracy, float((better == dev.labels).mean()), seconds, history
    )


def spread(values: list[float]) -> str:
    """Return mean, lowest and highest."""
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def plot(results: dict[str, list[Result]], path: Path) -> None:
    """Draw the accuracy of every row's first seed over the epochs: dev's, and train's dashed."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for number, (name, runs) in enumerate(results.items()):
        for split, style in (("dev", "-"), ("train", "--")):
            accuracies = [epoch[f"{split}_accuracy"] for epoch in runs[0].history]
            label = name if split == "dev" else None
            axes.plot(range(1, len(accuracies) + 1), accuracies, style, c=f"C{number}", label=label)
    axes.set(xlabel="epoch", ylabel="frame accuracy: dev, and train (dashed)", xscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train every row of the studies, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("studies", nargs="+", choices=("recipes", "ablation", "growth"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file of all figures, to write and to go on from")
    parser.add_argument("--plot", type=Path, help="picture of the learning curves")
    parser.add_argument("--epochs", type=int, help="of every row, for a trial")
    arguments = parser.parse_args()
    train, dev = read("train", arguments.folder), read("dev", arguments.folder)
    classes = len(read_phonemes(arguments.folder / CORPUS))
    results: dict[str, list[Result]] = {}
    if arguments.json and arguments.json.exists():
        stored = json.loads(arguments.json.read_text())
        results = {name: [Result(**run) for run in runs] for name, runs in stored.items()}
    print("| setting | dev accuracy | smoothed | s of training |\n|---|---|---|---|")
    studied = [row for study in arguments.studies for row in rows(study)]
    for row in studied:
        runs = results.setdefault(row.name, [])
        for seed in range(len(runs) + 1, arguments.seeds + 1):
            chosen = replace(row.params.train, seed=seed)
            if arguments.epochs:
                chosen = replace(chosen, epochs=arguments.epochs)
            params = replace(row.params, train=chosen)
            runs.append(trained(part(train, row.share, seed), dev, params, classes))
        accuracies, smoother, seconds = (
            [getattr(run, name) for run in runs] for name in ("accuracy", "smoothed", "seconds")
        )
        print(
            f"| {row.name} | {spread(accuracies)} | {spread(smoother)} | {mean(seconds):.1f} |",
            flush=True,
        )
        if arguments.json:
            stored = {name: [run._asdict() for run in runs] for name, runs in results.items()}
            arguments.json.write_text(json.dumps(stored) + "\n")
    if arguments.plot:
        plot({row.name: results[row.name] for row in studied}, arguments.plot)


if __name__ == "__main__":
    main()
