"""How accurate the recipes are on a corpus, what each of their parts is worth, and more data.

    python -m benchmarks.accuracy FOLDER recipes deep growth [--seeds 3] [--json FILE]

FOLDER is a checkout in which the stage corpus ran. Every row is trained with several seeds
and scored on dev alone, at the epoch that is best there, as the train stage keeps it; with
and without smoothing over time. What is refined is scored before that too, as a row of its
own. What FILE already holds is not trained again.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import mean
from types import MappingProxyType
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
from phonemes.inference import place
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

STUDIES = ("recipes", "deep", "residual", "shipped", "second", "smoothing", "growth")
ROOT = Path(__file__).parent.parent
SMOOTH = Smooth(**read_recipe("smoothed")["smooth"])
BATCH = 32_768  # frames of a forward pass
ALL = "all of train"  # what the network learns from whose history is kept
SHORT = "train.epochs=20 train.weight_decay=0.1"  # of residual, to compare its parts
MEL = "train.augment.mel_scale=0 train.augment.mel_shift=0"
COLOUR = "train.augment.gain=0 train.augment.tilt=0 train.augment.noise=0"
MASKS = "train.augment.time_masks=0 train.augment.band_masks=0"
PARTS = {  # each left out
    "no labels of neighbours": "train.neighbours=0",
    "no distortion of the mel axis": MEL,
    "no distortion of the time axis": "train.augment.speed=0",
    "no gain, tilt and noise": COLOUR,
    "no masks": MASKS,
    "no distortion at all": f"train.augment.speed=0 {MEL} {COLOUR} {MASKS}",
    "every frame of the context whole": "train.whole=0",
    "no residual additions": "train.residual=false",
    "no label smoothing": "train.label_smoothing=0",
    "statistics of the utterance alone": "normalize.prior=0",
    "weight decay 0.01": "train.weight_decay=0.01",
    "dropout 0.1": "train.dropout=0.1",
}
OTHERS = {  # other values, and things added
    "weight decay 0.2": "train.weight_decay=0.2",
    "weight decay 0.3": "train.weight_decay=0.3",
    "dropout 0.2": "train.dropout=0.2",
    "dropout 0.4": "train.dropout=0.4",
    "three labels of neighbours on a side": "train.neighbours=3",
    "fifteen labels of neighbours on a side": "train.neighbours=15",
    "four frames whole on a side": "train.whole=4",
    "twelve frames whole on a side": "train.whole=12",
    "k 25": "data.k=25",
    "k 45": "data.k=45",
    "width 1024": f"train.hidden={[1024] * 7}",
    "width 2048": f"train.hidden={[2048] * 7}",
    "five hidden layers": f"train.hidden={[1536] * 5}",
    "nine hidden layers": f"train.hidden={[1536] * 9}",
    "no residual additions, normalization after": "train.residual=false train.normalize=after",
    "layer normalization": "train.normalization=layer",
    "ReLU": "train.activation=relu",
    "half the learning rate": "train.lr=1e-3",
    "twice the learning rate": "train.lr=4e-3",
    "batches of 1,024": "train.batch_size=1024",
    "batches of 16,384": "train.batch_size=16384",
    "more of the mel axis": "train.augment.mel_scale=0.15 train.augment.mel_shift=2",
    "more of the time axis": "train.augment.speed=0.3",
    "wider masks": "train.augment.time_mask=15 train.augment.band_mask=8",
    "rare phonemes count more": "train.class_weights=sqrt",
    "what helps, together": (
        "train.neighbours=15 train.batch_size=1024 train.augment.speed=0.3 "
        f"train.augment.time_mask=15 train.augment.band_mask=8 train.hidden={[1536] * 9}"
    ),
}
CHANGES = {  # of the shipped parameters
    "no labels of neighbours": "train.neighbours=0",
    "three labels of neighbours on a side": "train.neighbours=3",
    "eight labels of neighbours on a side": "train.neighbours=8",
    "statistics of the utterance alone": "normalize.prior=0",
    "prior 400": "normalize.prior=400",
    "no distortion": MEL,
    "less of the mel axis": "train.augment.mel_scale=0.08 train.augment.mel_shift=1",
    "more of the mel axis": "train.augment.mel_scale=0.15 train.augment.mel_shift=2",
    "gain and tilt": "train.augment.gain=0.2 train.augment.tilt=0.3",
    "masks": "train.augment.time_masks=2 train.augment.band_masks=2",
    "dropout 0.25": "train.dropout=0.25",
    "weight decay 0.2": "train.weight_decay=0.2",
    "width 512": "train.hidden=[512, 512, 512]",
    "width 1024": "train.hidden=[1024, 1024, 1024]",
}
SECOND = {  # of one second network
    "": "",
    "four epochs": "refine.epochs=4",
    "twelve epochs": "refine.epochs=12",
    "dropout 0.35": "refine.dropout=0.35",
    "dropout 0.6": "refine.dropout=0.6",
    "k 20": "refine.k=20",
    "k 50": "refine.k=50",
    "width 512": "refine.hidden=[512, 512, 512]",
    "width 2048": "refine.hidden=[2048, 2048, 2048]",
    "two hidden layers": "refine.hidden=[1024, 1024]",
    "five hidden layers": f"refine.hidden={[1024] * 5}",
    "ten of them": "refine.members=10",
}
POWERS = (  # of sequences, lengths, frames and the phonemes' frequencies, for smoothing
    (0.7, 0.5, 0.5, 0), (0.85, 0.5, 0.6, 0), (1, 0.6, 0.75, 0), (1, 0.7, 1, 0), (1, 1, 0.5, 0.2),
    (0.7, 0.5, 0.5, 0.2), (0.85, 0.5, 0.5, 0.2), (0.85, 0.5, 0.5, 0.3), (1, 0.5, 0.5, 0.2),
    (0, 0.5, 0.5, 0.25), (0, 0.5, 0.5, 1),
)  # fmt: skip


class Row(NamedTuple):
    """One setting to be trained with several seeds."""

    name: str
    params: Params
    share: float = 1.0  # of the utterances of train
    further: Mapping[str, Params] = MappingProxyType({})  # that start from the same networks


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


def overrides(changes: str) -> dict[str, Any]:
    """Return values by section, as `dvc exp run -S` takes them: "train.lr=1e-3 data.k=32"."""
    values: dict[str, Any] = {}
    for name, value in re.findall(r"(\S+?)=(\[.*?\]|\S+)", changes):
        *sections, last = name.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = yaml.load(value, Loader)
    return values


def with_recipe(*names: str, changes: str = "") -> Params:
    """Return the shipped parameters with recipes, if any, and changes."""
    values = yaml.load((ROOT / "params.yaml").read_text("utf-8"), Loader)
    recipe = read_recipe(*names) if names else {}
    return parse(yaml.safe_dump(merged(merged(values, recipe), overrides(changes))))


def rows(study: str) -> Iterator[Row]:
    """Yield the rows of a study."""
    residual, deep = with_recipe("residual"), with_recipe("deep")
    short = with_recipe("residual", changes=SHORT)
    if study == "recipes":
        yield Row("shipped", with_recipe())
        for name in ("course", "pyramid", "masks"):
            yield Row(name, with_recipe(name))
        narrow = "train.augment.time_mask=10 train.augment.band_mask=6"
        yield Row("masks, narrower", with_recipe("masks", changes=narrow))
        for name, params in (("residual", residual), ("deep", deep)):
            yield Row(name, params, further={"refined": with_recipe(name, "refined")})
    elif study == "deep":
        yield Row("deep", deep)
        for name in (*PARTS, "three labels of neighbours on a side"):
            changes = (PARTS | OTHERS)[name]
            yield Row(f"deep: {name}", with_recipe("deep", changes=changes))
    elif study == "residual":
        yield Row("residual, short: all", short)
        for name, changes in (PARTS | OTHERS).items():
            params = with_recipe("residual", changes=f"{SHORT} {changes}")
            yield Row(f"residual, short: {name}", params)
    elif study == "shipped":
        for name, changes in CHANGES.items():
            yield Row(f"shipped: {name}", with_recipe(changes=changes))
    elif study == "second":
        one = f"{SHORT} refine.members=1"
        further = {
            f"second network {name}".strip(): with_recipe(
                "residual", "refined", changes=f"{one} {changes}"
            )
            for name, changes in SECOND.items()
        }
        yield Row("residual, short: all", short, further=further)
    elif study == "smoothing":
        further = {
            "{}, {}, {}, {}".format(*powers): replace(residual, smooth=Smooth(*powers))
            for powers in POWERS
        }
        yield Row("residual", residual, further=further)
    else:
        for name, params in (
            ("course", with_recipe("course")), ("residual, short: all", short),
            ("residual", residual), ("deep", deep),
        ):  # fmt: skip
            for share in (0.1, 0.3):
                yield Row(f"{name}, {share:.0%} of train", params, share)
            yield Row(name, params)


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
    train: Arrays,
    dev: Arrays,
    params: Params,
    phonemes: Sequence[str],
    further: Mapping[str, Params] = MappingProxyType({}),
) -> Iterator[tuple[str, Result]]:
    """Normalize and train as the stages do; yield what comes of it, scored on dev.

    The first result, named "", is of the network that learnt from all of train. Each of
    `further`, which differ in how they refine and smooth alone, starts from there, and from
    the same networks that never saw a part of train.
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
    sequences = count_sequences(train.labels, train.lengths, classes)

    def fit(
        seen: fitting.Arrays, judged: fitting.Arrays, data: Data, how: Train, which: str
    ) -> Trained:
        nonlocal history, seconds
        training, architecture = fitting.prepare(seen, judged, phonemes, device, dtype, data, how)
        training.rehearse()
        started = time.perf_counter()
        with redirect_stdout(StringIO()):
            epochs = [epoch._asdict() for epoch in training.epochs(False)]
        seconds += time.perf_counter() - started
        history = epochs if which == ALL else history
        return Trained(architecture, training.best_state)

    def placed(every: Sequence[Trained]) -> list[nn.Sequential]:
        return [each.network(device) for each in every]

    def score(first: Sequence[Trained], second: Sequence[Trained], smooth: Smooth) -> Result:
        smoothing = Smoothing(sequences, smooth if smooth.sequence or smooth.prior else SMOOTH)
        model = Model(placed(first), placed(second), {})
        shares = log_posteriors(model, split, dev.lengths, BATCH, dtype)
        told = shares, smoothing.applied(shares, dev.lengths)
        labels = torch.from_numpy(dev.labels).to(device)
        plain, better = ((each.argmax(1) == labels).double().mean().item() for each in told)
        return Result(plain, better, seconds, time.perf_counter() - began, history)

    first = fit(seen, judged, data, params.train, ALL)
    yield "", score([first], [], params.smooth)
    refined = [each for each in further.values() if each.refine.folds]
    left_out = without_parts(seen, judged, device, dtype, refined[0], fit) if refined else None
    shared, passed = seconds, time.perf_counter() - began
    for name, then in further.items():
        seconds, began = shared, time.perf_counter() - passed
        firsts, second = [first], []
        if left_out and then in refined:
            assert then.refine.folds == refined[0].refine.folds
            firsts = [first, *left_out[0]]
            second = second_networks(firsts, left_out[1], seen, judged, device, dtype, then, fit)
        yield f", {name}", score(firsts, second, then.smooth)


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
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train every row of the studies, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("studies", nargs="+", choices=STUDIES)
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
        names = [row.name, *(f"{row.name}, {name}" for name in row.further)]
        done = min(len(results.get(name, [])) for name in names)
        for seed in range(done + 1, arguments.seeds + 1):
            chosen = replace(row.params.train, seed=seed)
            if arguments.epochs:
                chosen = replace(chosen, epochs=arguments.epochs)
            params = replace(row.params, train=chosen)
            taken = part(train, row.share, seed)
            further = {
                name: replace(each, train=replace(each.train, seed=seed, epochs=chosen.epochs))
                for name, each in row.further.items()
            }
            for stage, result in trained(taken, dev, params, phonemes, further):
                results.setdefault(row.name + stage, [])[seed - 1 : seed] = [result]
        for name in names:
            print(line(name, results[name]), flush=True)
        if arguments.json:
            stored = {name: [run._asdict() for run in runs] for name, runs in results.items()}
            arguments.json.write_text(json.dumps(stored) + "\n")
    if arguments.plot:
        plot({row.name: results[row.name] for row in studied}, arguments.plot)


if __name__ == "__main__":
    main()
