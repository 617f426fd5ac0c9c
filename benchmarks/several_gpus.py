"""What several GPUs of a host save where networks do not depend on each other.

    python -m benchmarks.several_gpus FOLDER stacking [--gpus 1 2] [--recipe deep stacked]
    python -m benchmarks.several_gpus FOLDER search [--gpus 1 2] [--space SPACE] [--trials 24]

FOLDER is a checkout in which the stage corpus ran; nothing is written there. The first form runs
the stages normalize and context once, then train with each number of GPUs, without checkpoints of
the one before, and compares the model files byte for byte. The second searches with each number,
so many trials for each GPU, drawing at random and ending no training early; no winners are trained.
Without SPACE, networks differ in the rate alone (benchmarks/one_shape.yaml), so that all GPUs are
busy to the end. On a machine without GPUs, numbers are of processes.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.settings import RECIPES, ROOT, overrides
from phonemes.recipes import merged, read_recipe
from phonemes.schema import read_yaml_file
from phonemes.storage.layout import CORPUS, HISTORY, MODEL

ONE_SHAPE = Path(__file__).with_name("one_shape.yaml")


class Trained(NamedTuple):
    """How the train stage went."""

    gpus: int
    seconds: float  # of the whole stage
    digest: str  # of the model file


class Searched(NamedTuple):
    """How a search went."""

    gpus: int
    seconds: float  # of the whole command
    networks: int  # that were trained
    networks_per_hour: float  # from the first one's begin to the last one's end


def workspace(folder: Path, checkout: Path, values: dict[str, Any]) -> None:
    """Make a folder a project over the packed corpus of a checkout, with some values changed."""
    (folder / CORPUS.parent).mkdir(parents=True)
    (folder / CORPUS).symlink_to((checkout / CORPUS).resolve())
    for name in ("dvc.yaml", "phonemes", "stages", "recipes"):
        (folder / name).symlink_to(ROOT / name)
    write_values(folder, merged(read_yaml_file(checkout / "params.yaml"), values))


def write_values(folder: Path, values: Mapping[str, Any]) -> None:
    """Write params.yaml; JSON is YAML."""
    (folder / "params.yaml").write_text(json.dumps(values, ensure_ascii=False), "utf-8")


def set_gpus(folder: Path, gpus: int) -> None:
    """Set runtime.gpus."""
    values = read_yaml_file(folder / "params.yaml")
    write_values(folder, merged(values, {"runtime": {"gpus": gpus, "progress": False}}))


def timed(folder: Path, *words: str) -> float:
    """Run a module in a folder; return what it took, in s.

    Raises:
        CalledProcessError: it failed.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, check=True)
    return time.perf_counter() - began


def train(folder: Path, gpus: int) -> Trained:
    """Run the train stage from its beginning."""
    shutil.rmtree(folder / ".dvc", ignore_errors=True)  # checkpoints
    for path in (MODEL, HISTORY):
        (folder / path).unlink(missing_ok=True)
    set_gpus(folder, gpus)
    seconds = timed(folder, "stages.train")
    return Trained(gpus, seconds, hashlib.sha256((folder / MODEL).read_bytes()).hexdigest())


def search(folder: Path, space: str, trials: int, gpus: int) -> Searched:
    """Search a space from the beginning."""
    name = f"gpus-{gpus}"
    draws = ("--sampler=random", "--pruner=none", "--seeds=0", f"--trials={trials}")
    seconds = timed(folder, "phonemes", "search", space, f"--name={name}", f"--gpus={gpus}", *draws)
    table = pd.read_csv(folder / "search" / name / "trials.csv")
    networks = table[table["ending"].isin(["complete", "pruned", "diverged"])]
    ends = networks["started"] + networks["seconds"].fillna(0) + networks["overhead_seconds"]
    span = ends.max() - networks["started"].min()
    return Searched(gpus, seconds, len(networks), 3600 * len(networks) / span)


def print_trained(runs: Sequence[Trained]) -> None:
    """Print a line for each number of GPUs, and whether all made the same model."""
    print("\n| GPUs | s of the stage train | share of the first | sha256 of the model |")
    print("|---|---|---|---|")
    for run in runs:
        share = run.seconds / runs[0].seconds
        print(f"| {run.gpus} | {run.seconds:.1f} | {share:.1%} | {run.digest[:16]} |")
    same = len({run.digest for run in runs}) == 1
    print(f"the model files are {'the same, byte for byte' if same else 'NOT the same'}")


def print_searched(runs: Sequence[Searched]) -> None:
    """Print a line for each number of GPUs."""
    print("\n| GPUs | networks | s in all | networks an hour | times the first |")
    print("|---|---|---|---|---|")
    for run in runs:
        times = run.networks_per_hour / runs[0].networks_per_hour
        print(
            f"| {run.gpus} | {run.networks} | {run.seconds:.1f} | {run.networks_per_hour:,.0f} | "
            f"{times:.2f} |"
        )


def main() -> None:
    """Measure with each number of GPUs, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", choices=["stacking", "search"])
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--recipe", nargs="+", default=["deep", "stacked"])
    parser.add_argument("--set", default="", help='changes, as "train.epochs=2"')
    parser.add_argument("--space", default=str(ONE_SHAPE), help="a name, or a whole path")
    parser.add_argument("--trials", type=int, default=24, help="for each GPU")
    given = parser.parse_args()
    recipe = read_recipe(*given.recipe, folder=RECIPES) if given.what == "stacking" else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace(folder, given.folder, merged(recipe, overrides(given.set)))
        if given.what == "search":
            print_searched([search(folder, given.space, n * given.trials, n) for n in given.gpus])
            return
        for stage in ("normalize", "context"):
            timed(folder, f"stages.{stage}")
        print_trained([train(folder, n) for n in given.gpus])


if __name__ == "__main__":
    main()
