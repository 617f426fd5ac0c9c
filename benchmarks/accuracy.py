"""How accurate the recipes are on a corpus, what each of their parts is worth, and more data.

    python -m benchmarks.accuracy FOLDER recipes deep growth [--seeds 3] [--json FILE]

FOLDER is a checkout in which the stage corpus ran. Every row of a study (benchmarks/studies.py)
is trained with several seeds and scored on dev alone, at the epoch that is best there, as the
train stage keeps it; with and without smoothing over time. A row's stacked networks are rows of
their own, over the same base networks. What FILE already holds is not trained again.
"""

import argparse
import json
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
from numpy.typing import NDArray

from benchmarks.settings import RECIPES
from benchmarks.studies import STUDIES, Row, rows
from phonemes.decoding.phone_model import SmoothParams, phone_model
from phonemes.decoding.smoothing import Smoothing
from phonemes.inference.device import Compute, choose_compute
from phonemes.inference.stacked import log_posteriors
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.model.phone_counts import count_phones
from phonemes.model.store import Model, TrainedNetwork
from phonemes.params import Params
from phonemes.recipes import read_recipe
from phonemes.search.corpus import CorpusSplit, host_split, normalized_splits, read_labelled
from phonemes.storage.layout import CORPUS, HostSplit
from phonemes.storage.read import read_phonemes
from phonemes.training.loop import epochs
from phonemes.training.params import FitParams
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile
from phonemes.training.stacking import Fit, FittedModel, fit_model

SMOOTH = SmoothParams(**read_recipe("smoothed", folder=RECIPES)["smooth"])


class Result(NamedTuple):
    """How good a model is on dev, and how long it took."""

    accuracy: float
    smoothed: float
    seconds: float  # of all epochs of all its networks, dev included
    elapsed: float  # s from the corpus's frames to these figures
    history: list[dict[str, Any]]  # of the network trained on the whole training set


class Fitted(NamedTuple):
    """The training of one network."""

    began: float  # s, of time.perf_counter
    seconds: float  # of all epochs, dev included
    history: list[dict[str, Any]]


def part(split: CorpusSplit, share: float, seed: int) -> CorpusSplit:
    """Return a run of consecutive utterances: of few speakers, where they are in order."""
    if share == 1:
        return split
    utterances = len(split.lengths)
    taken = round(share * utterances)
    first = int(np.random.default_rng(seed).integers(utterances - taken + 1))
    ends = np.concatenate([[0], np.cumsum(split.lengths)])
    frames, chosen = slice(ends[first], ends[first + taken]), slice(first, first + taken)
    return CorpusSplit(
        split.frames[frames], split.lengths[chosen], split.labels[frames], split.speakers[chosen]
    )


def timed_fit(classes: int, compute: Compute, fits: list[Fitted]) -> Fit:
    """Return how to train a network without a word, which adds to `fits` how that went."""

    def fit(train: HostSplit, dev: HostSplit, how: FitParams, name: str) -> TrainedNetwork:
        began = time.perf_counter()
        run = prepare(train, dev, classes, compute, how)
        profile(run)
        started = time.perf_counter()
        with redirect_stdout(StringIO()):
            history = [epoch._asdict() for epoch in epochs(run, progress=False)]
        fits.append(Fitted(began, time.perf_counter() - started, history))
        return run.trained

    return fit


def accuracies(
    model: FittedModel,
    dev: DeviceSplit,
    lengths: NDArray[np.integer],
    smoothing: Smoothing,
    compute: Compute,
) -> tuple[float, float]:
    """Return the accuracy of a model on dev, without and with smoothing."""
    base, stacked = (
        [network.classifier(compute.device) for network in networks] for networks in model
    )
    found = log_posteriors(Model(base, stacked), dev, lengths, compute.dtype)
    assert dev.labels is not None
    plain, smoothed = (
        (each.argmax(1) == dev.labels).double().mean().item()
        for each in (found, smoothing.applied(found, lengths))
    )
    return plain, smoothed


def trained(
    train: CorpusSplit,
    dev: CorpusSplit,
    params: Params,
    classes: int,
    further: Mapping[str, Params] = MappingProxyType({}),
) -> Iterator[Result]:
    """Normalize and train as the stages do; yield the results on dev.

    The first is that of the network trained on the whole training set. Then comes that of each
    of `further`, which differ in stacking and smooth alone, over the same base networks.
    """
    began = time.perf_counter()
    train, dev = normalized_splits((train, dev), params.normalize)
    compute = choose_compute(params.runtime.device, params.model.precision)
    learnt, chosen_on = (host_split(split, params.data) for split in (train, dev))
    on_dev = to_device(chosen_on, params.data, *compute)
    phones = phone_model(count_phones(train.labels, train.lengths, classes))
    fits: list[Fitted] = []
    others = 0.0  # s that results before this one took for themselves

    def result(model: FittedModel, smooth: SmoothParams) -> Result:
        nonlocal others
        own = fits[len(fits) - len(model.stacked) :]
        since = own[0].began if own else time.perf_counter()
        smoothing = Smoothing(phones, smooth if smooth.lm_scale or smooth.prior_scale else SMOOTH)
        scores = accuracies(model, on_dev, dev.lengths, smoothing, compute)
        now = time.perf_counter()
        elapsed = now - began - others
        others += now - since
        seconds = sum(each.seconds for each in (*fits[: len(model.base)], *own))
        return Result(*scores, seconds, elapsed, fits[0].history)

    stackings = [each.stacking for each in further.values() if each.stacking.folds]
    fit = timed_fit(classes, compute, fits)
    models = fit_model(learnt, chosen_on, compute, params.fit, stackings, train.speakers, fit)
    single = next(models)
    yield result(single, params.smooth)
    for variant in further.values():
        model = next(models) if variant.stacking.folds else single
        yield result(model, variant.smooth)


def spread(values: list[float]) -> str:
    """Return mean, lowest and highest."""
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def line(name: str, runs: Sequence[Result]) -> str:
    """Return a row of the printed table."""
    plain, smoothed, seconds, elapsed, _ = ([*values] for values in zip(*runs, strict=True))
    times = f"{mean(seconds):.1f} | {mean(elapsed):.1f}"
    return f"| {name} | {spread(plain)} | {spread(smoothed)} | {times} |"


def plot(results: dict[str, list[Result]], path: Path) -> None:
    """Draw the accuracy of every row's first seed over the epochs, of dev and training set."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for number, (name, runs) in enumerate(results.items()):
        for split, style in (("dev", "-"), ("train", "--")):
            curve = [epoch[f"{split}_accuracy"] for epoch in runs[0].history]
            label = name if split == "dev" else None
            axes.plot(range(1, len(curve) + 1), curve, style, c=f"C{number}", label=label)
    label = "frame accuracy: dev, and the training set (dashed)"
    axes.set(xlabel="epoch", ylabel=label, xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def run_row(
    row: Row, train: CorpusSplit, dev: CorpusSplit, classes: int, seed: int, planned: int | None
) -> dict[str, Result]:
    """Train a row with a seed, for so many epochs if it is not for its own; return its results."""
    how = replace(row.params.train, seed=seed)
    params = replace(row.params, train=replace(how, epochs=planned) if planned else how)
    taken = part(train, row.share, seed)
    results = trained(taken, dev, params, classes, row.further)
    return dict(zip(row.names, results, strict=True))


def read_results(path: Path | None) -> dict[str, list[Result]]:
    """Return the results that a file holds, if there is one, by name and seed."""
    if path is None or not path.exists():
        return {}
    stored = json.loads(path.read_text("utf-8"))
    return {name: [Result(**run) for run in runs] for name, runs in stored.items()}


def write_results(results: dict[str, list[Result]], path: Path) -> None:
    """Write results, to be read by `read_results`."""
    stored = {name: [run._asdict() for run in runs] for name, runs in results.items()}
    path.write_text(json.dumps(stored) + "\n", "utf-8")


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
    train, dev = (read_labelled(split, arguments.folder) for split in ("train", "dev"))
    classes = len(read_phonemes(arguments.folder / CORPUS))
    results = read_results(arguments.json)
    print("| setting | dev accuracy | smoothed | s of training | s in all |\n|---|---|---|---|---|")
    studied = [row for study in arguments.studies for row in rows(study)]
    for row in studied:
        done = min(len(results.get(name, [])) for name in row.names)
        for seed in range(done + 1, arguments.seeds + 1):
            found = run_row(row, train, dev, classes, seed, arguments.epochs)
            for name, result in found.items():
                results.setdefault(name, [])[seed - 1 : seed] = [result]
        for name in row.names:
            print(line(name, results[name]), flush=True)
        if arguments.json:
            write_results(results, arguments.json)
    if arguments.plot:
        plot({row.name: results[row.name] for row in studied}, arguments.plot)


if __name__ == "__main__":
    main()
