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


def steps_of_a_start() -> list[float]:
    """Start to train as the stage does; return the time after each part, s since the epoch."""
    import torch  # noqa: F401  what is measured

    times = [time.time()]
    from phonemes.fitting import prepare
    from phonemes.params import load
    from stages.train import read

    times.append(time.time())
    params = load()
    training, _ = prepare(*read(params), params.data, params.train)
    times.append(time.time())
    next(training.losses([params.train.lr]))
    return [*times, time.time()]


def seconds_of_parts(folder: Path) -> list[float]:
    """Return the seconds that each part takes in a new process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.first_step", ".", "--child"]
    began = time.time()
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    times = [began, *json.loads(done.stdout.splitlines()[-1])]
    return [after - before for before, after in pairwise(times)]


def main() -> None:
    """Start a few times and print what each start took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(steps_of_a_start()))
        return
    runs = [seconds_of_parts(arguments.folder) for _ in range(arguments.runs)]
    for number, part in enumerate(PARTS):
        print(f"{part:22} " + "  ".join(f"{run[number]:6.2f}" for run in runs))
    print(f"{'in all':22} " + "  ".join(f"{sum(run):6.2f}" for run in runs))


if __name__ == "__main__":
    main()
