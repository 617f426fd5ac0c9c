"""How accurate the recipes are on a corpus, what each of their parts is worth, and more data.

    python -m benchmarks.accuracy FOLDER recipes ablation growth [--seeds 3] [--json FILE]

FOLDER is a checkout in which the stage corpus ran. Every row is trained with several seeds
and scored on dev alone, at the epoch that is best there, as the train stage keeps it; with
and without smoothing over time. What is refined is scored before that too, as a row of its
own. What FILE already holds is not trained again.
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

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from phonemes import fitting
from phonemes.context import window_starts
from phonemes.corpus import Frames, Labels
from phonemes.device import choose_device, choose_precision
from phonemes.inference import as_posteriors, place
from phonemes.model import Model, Trained
from phonemes.normalize import group_utterances, normalized, split_statistics
from phonemes.params import Data, Normalize, Params, Smooth, Train, parse
from phonemes.recipes import merged, read_recipe
from phonemes.recognition import log_posteriors
from phonemes.refining import second_networks, without_parts
from phonemes.schema import Loader
from phonemes.smoothing import Smoothing, count_sequences
from phonemes.stored import read_frames, read_labels, read_lengths, read_phonemes
from stages import CORPUS

ROOT = Path(__file__).parent.parent
SMOOTH = Smooth(**read_recipe("smoothed")["smooth"])
BATCH = 32_768  # frames of a forward pass
ALL = "all of train"  # what the network learns from whose history is kept
WITHOUT = {"mel_scale": 0, "mel_shift": 0, "speed": 0, "gain": 0, "tilt": 0, "noise": 0}
MASKLESS = {"time_masks": 0, "band_masks": 0}
SHORT: dict[str, Any] = {"epochs": 20, "weight_decay": 0.1}  # of residual, to compare its parts
PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no labels of neighbours": {"neighbours": 0},
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
    "weights of five epochs averaged": {"average": 5},
    "labels softened, 0.3": {"soften": 0.3},
    "auxiliary labels": {"auxiliary": True},
    "shifts of two frames": {"augment": {"shift": 2}},
    "bands dropped, 0.1": {"augment": {"band_dropout": 0.1}},
    "width 1024": {"hidden": [1024] * 7},
    "width 2048": {"hidden": [2048] * 7},
    "five hidden layers": {"hidden": [1536] * 5},
    "nine hidden layers": {"hidden": [1536] * 9},
}


class Row(NamedTuple):
    """One setting to be trained with several seeds."""

    name: str
    params: Params
    share: float = 1.0  # of the utterances of train


class Result(NamedTuple):
    """What a model came to, on dev."""

    accuracy: float
    smoothed: float
    seconds: float  # of all epochs of all its networks, dev included
    elapsed: float  # s of everything from the corpus's frames to these figures
    history: list[dict[str, Any]]  # of the network that learnt from all of train


class Arrays(NamedTuple):
    """One split."""

    frames: Frames
    lengths: NDArray[np.integer]
    labels: Labels


def with_recipe(*names: str, **changes: dict[str, Any]) -> Params:
    """Return the shipped parameters with recipes, if any, and changes by section."""
    values = yaml.load((ROOT / "params.yaml").read_text("utf-8"), Loader)
    recipe = read_recipe(*names) if names else {}
    return parse(yaml.safe_dump(merged(merged(values, recipe), changes)))


def rows(study: str) -> Iterator[Row]:
    """Yield the rows of a study."""
    if study == "recipes":
        yield Row("shipped", with_recipe())
        for name in ("course", "pyramid", "masks"):
            yield Row(name, with_recipe(name))
        yield Row("residual", with_recipe("residual", "refined"))
    elif study == "ablation":
        for name, change in PARTS.items():
            yield Row(f"residual, short: {name}", with_recipe("residual", train=SHORT | change))
        unshrunk = with_recipe("residual", train=SHORT, normalize={"prior": 0})
        yield Row("residual, short: statistics of the utterance alone", unshrunk)
        for k in (25, 45):
            yield Row(
                f"residual, short: k {k}", with_recipe("residual", train=SHORT, data={"k": k})
            )
        taught = {"train": SHORT | {"distill": 0.33}, "refine": {"folds": 5, "members": 0}}
        yield Row("residual, short: a third from a teacher", with_recipe("residual", **taught))
    else:
        course, short = with_recipe("course"), with_recipe("residual", train=SHORT)
        for share in (0.1, 0.3):
            yield Row(f"course, {share:.0%} of train", course, share)
            yield Row(f"residual, short: all, {share:.0%} of train", short, share)
            yield Row(f"residual, {share:.0%} of train", with_recipe("residual"), share)
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


def trained(
    train: Arrays, dev: Arrays, params: Params, phonemes: Sequence[str]
) -> Iterator[tuple[str, Result]]:
    """Normalize and train as the stages do; yield what comes of it, scored on dev.

    The first result, named "", is of the network that learnt from all of train; another,
    ", refined", follows where the parameters say so.
    """
    began = time.perf_counter()
    train, dev = normal((train, dev), params.normalize)
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    data, classes, seconds = params.data, len(phonemes), 0.0
    history: list[dict[str, Any]] = []
    seen, judged = (
        fitting.Arrays(
            arrays.frames, window_starts(arrays.lengths, data.k, data.padding), arrays.labels
        )
        for arrays in (train, dev)
    )
    split = place(*judged, data, device, dtype)
    smoothing = Smoothing(count_sequences(train.labels, train.lengths, classes), SMOOTH)

    def fit(
        seen: fitting.Arrays,
        judged: fitting.Arrays,
        data: Data,
        how: Train,
        which: str,
        taught: NDArray[np.float32] | None = None,
    ) -> Trained:
        nonlocal history, seconds
        training, architecture = fitting.prepare(
            seen, judged, phonemes, device, dtype, data, how, taught
        )
        training.rehearse()
        started = time.perf_counter()
        with redirect_stdout(StringIO()):
            epochs = [epoch._asdict() for epoch in training.epochs(False)]
        seconds += time.perf_counter() - started
        history = epochs if which == ALL else history
        return Trained(architecture, training.best_state)

    def placed(every: Sequence[Trained]) -> list[nn.Sequential]:
        return [each.network(device) for each in every]

    def score(first: Sequence[Trained], second: Sequence[Trained]) -> Result:
        model = Model(placed(first), placed(second), {})
        shares = log_posteriors(model, split, dev.lengths, BATCH, dtype)
        told = shares, smoothing.applied(shares, dev.lengths)
        labels = torch.from_numpy(dev.labels).to(device)
        plain, better = ((each.argmax(1) == labels).double().mean().item() for each in told)
        return Result(plain, better, seconds, time.perf_counter() - began, history)

    inputs = seen, judged, phonemes, device, dtype
    left_out = without_parts(*inputs, params, fit) if params.train.distill else None
    taught = as_posteriors(left_out[1], classes) if left_out else None
    first = fit(seen, judged, data, params.train, ALL, taught)
    yield "", score([first], [])
    if not params.refine.folds or not params.refine.members:
        return
    others, unheard = left_out or without_parts(*inputs, params, fit)
    firsts = [first, *others]
    second = second_networks(firsts, unheard, seen, judged, device, dtype, params, fit)
    yield ", refined", score(firsts, second)


def spread(values: list[float]) -> str:
    """Return mean, lowest and highest."""
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def line(name: str, runs: Sequence[Result]) -> str:
    """Return a row of the printed table."""
    accuracies, smoother, seconds, elapsed, _ = ([*values] for values in zip(*runs, strict=True))
    times = f"{mean(seconds):.1f} | {mean(elapsed):.1f}"
    return f"| {name} | {spread(accuracies)} | {spread(smoother)} | {times} |"


def plot(results: dict[str, list[Result]], path: Path) -> None:
    """Draw the accuracy of every row's first seed over the epochs: dev's, and train's dashed."""
    import matplotlib.pyplot as plt

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
    phonemes = read_phonemes(arguments.folder / CORPUS)
    results: dict[str, list[Result]] = {}
    if arguments.json and arguments.json.exists():
        stored = json.loads(arguments.json.read_text())
        results = {name: [Result(**run) for run in runs] for name, runs in stored.items()}
    print("| setting | dev accuracy | smoothed | s of training | s in all |\n|---|---|---|---|---|")
    studied = [row for study in arguments.studies for row in rows(study)]
    for row in studied:
        done = len(results.get(row.name, []))
        for seed in range(done + 1, arguments.seeds + 1):
            chosen = replace(row.params.train, seed=seed)
            if arguments.epochs:
                chosen = replace(chosen, epochs=arguments.epochs)
            params = replace(row.params, train=chosen)
            for stage, result in trained(part(train, row.share, seed), dev, params, phonemes):
                results.setdefault(row.name + stage, []).append(result)
        for name in (row.name, row.name + ", refined"):
            runs = results.get(name, [])
            if runs:
                print(line(name, runs), flush=True)
        if arguments.json:
            stored = {name: [run._asdict() for run in runs] for name, runs in results.items()}
            arguments.json.write_text(json.dumps(stored) + "\n")
    if arguments.plot:
        plot({row.name: results[row.name] for row in studied}, arguments.plot)


if __name__ == "__main__":
    main()
