"""Seconds from the start of a process to the end of its first step of training, part by part.

    python -m benchmarks.first_step FOLDER [--runs 3]

FOLDER is a checkout in which the stages up to context ran, with the parameters to train with.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("Python and torch", "other imports", "reading and preparing", "first step")


def start() -> list[float]:
    """Start to train as the stage does; return the time after each part, s since the epoch."""
    import torch  # noqa: F401  what is measured

    times = [time.time()]
    from phonemes.inference.device import choose_compute
    from phonemes.params import load
    from phonemes.storage.layout import CORPUS
    from phonemes.storage.read import read_phonemes, read_split
    from phonemes.training.prepare import prepare
    from phonemes.training.range_test import losses

    times.append(time.time())
    params = load()
    compute = choose_compute(params.runtime.device, params.model.precision)
    classes = len(read_phonemes(CORPUS))
    train, dev = (read_split(split, classes) for split in ("train", "dev"))
    run = prepare(train, dev, classes, compute, params.fit)
    times.append(time.time())
    next(losses(run, [params.train.lr]))
    return [*times, time.time()]


def start_as_child() -> None:
    """Print the times of a start as JSON; an error that the user can correct is one line."""
    from phonemes.errors import reported  # imports nothing that a start would

    with reported():
        print(json.dumps(start()))


def seconds_of_parts(folder: Path) -> list[float]:
    """Return the seconds that each part takes in a new process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.first_step", ".", "--child"]
    began = time.time()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:  # it said why on stderr
        sys.exit(f"no first step in {folder}: the process that trains there ended with an error")
    times = [began, *json.loads(done.stdout.splitlines()[-1])]
    return [after - before for before, after in pairwise(times)]


def main() -> None:
    """Start a few times and print how long each start took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        start_as_child()
        return
    runs = [seconds_of_parts(arguments.folder) for _ in range(arguments.runs)]
    for number, part in enumerate(PARTS):
        print(f"{part:22} " + "  ".join(f"{run[number]:6.2f}" for run in runs))
    print(f"{'in all':22} " + "  ".join(f"{sum(run):6.2f}" for run in runs))


if __name__ == "__main__":
    main()
