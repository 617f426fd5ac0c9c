"""How many networks an hour a search trains, several at a time, and their overhead.

    python -m benchmarks.search_speed [--folder FOLDER] [--parallel 1 2 4 8] [--networks 16]
    python -m benchmarks.search_speed --check [--parallel 4]
    python -m benchmarks.search_speed --optuna 5000 [--space course]
    python -m benchmarks.search_speed --queue 10 --folder CLONE [--space course] [--parallel 1]

Without FOLDER, a checkout in which the stage corpus ran, the frames are random. The first form
trains the network of a recipe, from one seed to the next, in threads as the search does, and
scores half of dev after each epoch and the other half in the end; the overhead is the
time from one network to the next in a thread. --check compares the weights of several networks
at once with those of one after the other, and with those of the train stage's functions, byte
for byte. --queue draws values of a space at random and has DVC's queue train them in CLONE, where
`dvc repro` has run. --optuna measures drawing, reporting and telling, by the number of trials
before.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import optuna
import torch

from benchmarks.settings import PARAMS, RECIPES, with_recipe
from benchmarks.training_speed import random_corpus
from phonemes.inference.device import choose_compute, choose_device
from phonemes.params import Params
from phonemes.recipes import merged, overrides
from phonemes.schema import read_yaml_file
from phonemes.search import journal
from phonemes.search.corpus import (
    Corpus,
    CorpusSplit,
    host_split,
    normalized_splits,
    read_labelled,
)
from phonemes.search.journal import Record
from phonemes.search.outcome import Trained
from phonemes.search.resident import Resident
from phonemes.search.space import SEARCHED, nested, read_space, suggest
from phonemes.search.trial import train
from phonemes.search.workers import in_threads, stream_of_its_own
from phonemes.storage.layout import CORPUS
from phonemes.storage.read import read_phonemes
from phonemes.training.loop import epochs
from phonemes.training.prepare import new_run, prepare
from phonemes.training.profile import profile

CLASSES = 71  # of random frames
DEV_SHARE = 0.1  # of the random frames of the training set
CHECKED = {  # networks whose results are compared, as changes of the recipe
    "recipe": "",
    "dropout": "model.dropout=0.3",
    "torch's step": "model.dropout=0.3 train.kernels=torch",
    "layer normalization": "model.dropout=0.3 model.norm=layer",
    "without normalization": "model.norm=none train.batch_size=2048",
    "distorted": "augment.noise=0.2 augment.mel_scale=0.1 train.optimizer=adamw",
    "distorted, torch's step": "augment.noise=0.2 augment.time_warp=0.1 train.kernels=torch",
    "another window": "data.k=20 model.target_context=3",
}


class Speed(NamedTuple):
    """How fast so many networks at a time are trained."""

    parallel: int
    networks_per_hour: float
    seconds: float  # of a network, in its thread
    overhead_seconds: float  # of a network, in its thread
    accuracy: float  # mean on the reporting half


def read(folder: Path | None, frames: int) -> Corpus:
    """Return the corpus of a checkout, or a random one of 8 speakers in dev."""
    if folder:
        train, dev = (read_labelled(split, folder) for split in ("train", "dev"))
        return Corpus(train, dev, len(read_phonemes(folder / CORPUS)))
    made = []
    for seed, count in enumerate((frames, round(DEV_SHARE * frames))):
        corpus = random_corpus(count, seed)
        speakers = [f"speaker {number % 8}" for number in range(len(corpus.lengths))]
        made.append(CorpusSplit(corpus.frames, corpus.lengths, corpus.labels, speakers))
    return Corpus(made[0], made[1], CLASSES)


def trained_at_once(
    resident: Resident, settings: list[Params], parallel: int
) -> list[tuple[Trained, float, float]]:
    """Train networks, some at a time; return each one's result, its begin and end in s."""
    found: dict[int, tuple[Trained, float, float]] = {}
    waiting = iter(enumerate(settings))
    stop, taken = threading.Event(), threading.Lock()

    def work() -> None:
        with stream_of_its_own(resident.device):
            while not stop.is_set():
                with taken:
                    number, params = next(waiting, (None, None))
                if number is None or params is None:
                    return
                began = time.perf_counter()
                result = train(
                    resident.new_run, resident.device, params, stop.is_set, lambda *_: True
                )
                found[number] = (result, began, time.perf_counter())

    if in_threads(work, parallel, stop, lambda: None):
        raise KeyboardInterrupt
    return [found[number] for number in range(len(settings))]


def speed(resident: Resident, params: Params, parallel: int, networks: int) -> Speed:
    """Measure the training of some networks with different seeds."""
    settings = [
        replace(params, train=replace(params.train, seed=number)) for number in range(networks)
    ]
    began = time.perf_counter()
    results = trained_at_once(resident, settings, parallel)
    whole = time.perf_counter() - began
    return Speed(
        parallel,
        3600 * networks / whole,
        mean(result.seconds for result, _, _ in results),
        mean(end - start - result.seconds for result, start, end in results),
        mean(result.reporting or 0.0 for result, _, _ in results),
    )


def as_the_stage(corpus: Corpus, params: Params) -> list[dict[str, torch.Tensor]]:
    """Return the weights after each epoch, trained by the train stage's functions alone."""
    compute = choose_compute(params.runtime.device, params.model.precision)
    train, dev = (
        host_split(split, params.data)
        for split in normalized_splits((corpus.train, corpus.dev), params.normalize)
    )
    run = prepare(train, dev, corpus.classes, compute, params.fit)
    profile(run)
    return [
        {name: value.cpu().clone() for name, value in run.classifier.network.state_dict().items()}
        for _ in epochs(run, progress=False, lines=False)
    ]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Return whether two networks have the same weights, byte for byte."""
    return all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


def check(resident: Resident, settings: dict[str, Params], parallel: int) -> Iterator[str]:
    """Yield the names of networks that several at once, or one alone, change a bit of."""
    networks = [*settings.values()] * 2  # each twice, at the same time as others
    at_once = trained_at_once(resident, networks, parallel)
    one_by_one = trained_at_once(resident, [*settings.values()], 1)
    for number, (name, params) in enumerate(settings.items()):
        alone = one_by_one[number][0]
        state = alone.network.state
        several = all(
            same(state, at_once[number + turn * len(settings)][0].network.state)
            for turn in range(2)
        )
        stage = same(state, as_the_stage(resident.corpus, params)[alone.epoch - 1])
        print(
            f"{name:26} {'same' if several else 'OTHER'} at once, "
            f"{'same' if stage else 'OTHER'} as the stage; accuracy {alone.choosing:.4f}",
            flush=True,
        )
        if not (several and stage):
            yield name


def time_optuna(space_name: str, trials: int, sampler: str) -> list[tuple[int, float]]:
    """Return ms of Optuna's for a trial of ten epochs, by the number of trials before."""
    space = read_space(RECIPES / "spaces" / f"{space_name}.yaml", read_yaml_file(PARAMS), RECIPES)
    rows: list[tuple[int, float]] = []
    step = max(1, trials // 10)
    with tempfile.TemporaryDirectory() as folder:
        study = journal.open_study(Path(folder, "s"), {}, journal.pruner("halving", 10))
        began = time.perf_counter()
        for number in range(trials):
            trial = journal.ask(study, sampler, 1)
            values = suggest(space, trial)
            accuracy, pruned = (hash(str(values)) % 1000) / 1000, False
            for epoch in range(1, 11):
                trial.report(accuracy * epoch / 10, epoch)
                if pruned := trial.should_prune():
                    break
            ending: journal.Ending = "pruned" if pruned else "complete"
            journal.tell(trial, Record(ending, values, choosing=accuracy))
            if (number + 1) % step == 0:
                now = time.perf_counter()
                rows.append((number + 1, 1000 * (now - began) / step))
                print(f"{number + 1:6,} trials: {rows[-1][1]:7.1f} ms a trial", flush=True)
                began = now
    return rows


def time_queue(folder: Path, space_name: str, count: int, jobs: int) -> dict[str, float]:
    """Return s for which DVC's queue took experiments in, and trained them, in a clone."""
    values = read_yaml_file(folder / "params.yaml")
    space = read_space(RECIPES / "spaces" / f"{space_name}.yaml", values, RECIPES)
    optuna.logging.disable_default_handler()
    study = optuna.create_study(sampler=journal.sampler("random", 1))

    def dvc(*words: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True)
        return time.perf_counter() - began

    queued = 0.0
    for _ in range(count):
        drawn = merged(space.base, nested(suggest(space, study.ask())))
        sets = {section: drawn[section] for section in SEARCHED}
        words = [word for each in overrides(sets) for word in ("-S", each)]
        queued += dvc("exp", "run", "--queue", *words)
    ran = dvc("exp", "run", "--run-all", "--jobs", str(jobs))
    an_hour = 3600 * count / (queued + ran)
    print(f"queued {count} in {queued:.1f} s, ran them in {ran:.1f} s: {an_hour:,.0f} an hour")
    return {"count": count, "queued_seconds": queued, "run_seconds": ran, "per_hour": an_hour}


def read_arguments() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="a checkout in which the stage corpus ran")
    parser.add_argument("--frames", type=int, default=1_100_000, help="random ones, without FOLDER")
    parser.add_argument("--recipe", default="course")
    parser.add_argument("--changes", default="", help="of the recipe, as train.epochs=3 data.k=9")
    parser.add_argument("--parallel", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--networks", type=int, default=16, help="trained for each number at once")
    parser.add_argument("--check", action="store_true", help="compare weights")
    parser.add_argument("--optuna", type=int, default=0, help="trials to draw and record")
    parser.add_argument("--queue", type=int, default=0, help="experiments for DVC's queue")
    parser.add_argument("--space", default="course", help="for --optuna and --queue")
    parser.add_argument("--sampler", default="tpe", help="for --optuna")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


def main() -> None:
    """Measure, or compare."""
    given = read_arguments()
    found: dict[str, Any] = {}
    if given.optuna:
        found["optuna"] = time_optuna(given.space, given.optuna, given.sampler)
    elif given.queue:
        jobs = given.parallel[0]
        found["queue"] = time_queue(given.folder, given.space, given.queue, jobs)
    elif given.check:
        changes = given.changes or "train.epochs=2 train.kernels=triton"
        settings = {
            name: with_recipe(given.recipe, changes=f"{changes} {each}")
            for name, each in CHECKED.items()
        }
        resident = _resident(given, max(each.data.k for each in settings.values()))
        if other := [*check(resident, settings, given.parallel[-1])]:
            sys.exit(f"other weights: {', '.join(other)}")
    else:
        found["speed"] = _speeds(given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def _resident(given: argparse.Namespace, k: int) -> Resident:
    """Return the frames on the device."""
    params = with_recipe(given.recipe)
    corpus = read(given.folder, given.frames)
    device = choose_device(params.runtime.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {len(corpus.train.frames):,} frames", flush=True)
    return Resident(corpus, device, k, new_run)


def _speeds(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Print and return how fast networks are trained, by their number at once."""
    params = with_recipe(given.recipe, changes=given.changes)
    resident = _resident(given, params.data.k)
    speed(resident, params, 1, 1)  # kernels are compiled, frames copied
    rows = []
    print("at once  networks/hour  s of training  overhead  accuracy")
    for parallel in given.parallel:
        row = speed(resident, params, parallel, max(given.networks, parallel))
        print(
            f"{row.parallel:7} {row.networks_per_hour:14,.0f} {row.seconds:14.2f} "
            f"{row.overhead_seconds:9.3f} {row.accuracy:9.4f}",
            flush=True,
        )
        rows.append(row._asdict())
    return rows


if __name__ == "__main__":
    main()
