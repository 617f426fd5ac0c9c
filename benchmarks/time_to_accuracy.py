"""Seconds from the start of a process to a dev accuracy, against the usual loop.

    python -m benchmarks.time_to_accuracy FOLDER [--epochs 3] [--workers 8]

FOLDER is a checkout in which the stages up to context ran, with the parameters to train
with, the course recipe's but for k, widths, batch and rate: its train stage, and the usual
loop of benchmarks/usual_loop.py, train for a few epochs.
The accuracy to reach is the lower of their best.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.usual_loop import Corpus, PaddedArray, UsualStep, plain_network, usual_loader
from phonemes.context import utterance_lengths
from phonemes.inference.device import choose_device
from phonemes.params import load
from phonemes.storage.frames import widened
from phonemes.storage.layout import CORPUS
from phonemes.storage.read import read_phonemes, read_split

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"epoch (\d+): .* accuracy \S+ train, (\S+) dev")


def read(split: str, classes: int) -> Corpus:
    """Read a split of the current folder into memory, normalized."""
    frames, starts, labels, scales = read_split(split, classes)
    assert labels is not None
    return Corpus(
        np.array(widened(frames, scales)), utterance_lengths(starts), labels.astype(np.int64)
    )


def train_as_usual(epochs: int, workers: int) -> None:
    """Train as people do, and print a line after each epoch."""
    params = load()
    train, device = params.train, choose_device(params.runtime.device)
    classes = len(read_phonemes(CORPUS))
    loaders = {}
    for split in ("train", "dev"):
        corpus = read(split, classes)
        data = PaddedArray(corpus, params.data.k)
        loaders[split] = usual_loader(data, train.batch_size, split == "train", workers, device)
    inputs = (2 * params.data.k + 1) * corpus.frames.shape[1]
    network = plain_network(inputs, params.model.hidden, classes, train.seed)
    step = UsualStep(network, train.lr, device)
    for epoch in range(1, epochs + 1):
        step.network.train()
        loss_sum = right = seen = 0.0
        for windows, labels in loaders["train"]:
            loss, correct = step.take(windows, labels)
            loss_sum += loss * len(labels)
            right += correct
            seen += len(labels)
        step.network.eval()
        dev_right = 0.0
        with torch.inference_mode():
            for windows, labels in loaders["dev"]:
                dev_right += (step.logits(windows).argmax(1).cpu() == labels).sum().item()
        dev = dev_right / len(corpus.labels)
        print(
            f"epoch {epoch}: loss {loss_sum / seen:.4f} train; "
            f"accuracy {right / seen:.4f} train, {dev:.4f} dev",
            flush=True,
        )


def clocked(folder: Path, *command: str) -> list[tuple[float, float]]:
    """Run a command; return the seconds since its start and the accuracy at each epoch's end."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    full = [sys.executable, "-m", *command]
    found: list[tuple[float, float]] = []
    started = time.perf_counter()
    with subprocess.Popen(
        full, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if match := LINE.match(line):
                found.append((time.perf_counter() - started, float(match[2])))
    if process.returncode:  # it said why on stderr
        sys.exit(f"{' '.join(command)} failed")
    return found


def main() -> None:
    """Train both ways and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=3, help="of the usual loop")
    parser.add_argument("--workers", type=int, default=8, help="of its DataLoader")
    parser.add_argument("--usual", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.usual:
        train_as_usual(arguments.epochs, arguments.workers)
        return
    folder = arguments.folder
    shutil.rmtree(folder / ".dvc/tmp/checkpoints", ignore_errors=True)
    itself = [f"--epochs={arguments.epochs}", f"--workers={arguments.workers}", "--usual"]
    runs = {
        "this project": clocked(folder, "stages.train"),
        "usual loop": clocked(folder, "benchmarks.time_to_accuracy", ".", *itself),
    }
    target = min(max(accuracy for _, accuracy in run) for run in runs.values())
    print(f"dev accuracy to reach: {target:.4f}")
    for name, run in runs.items():
        epoch, seconds = next(
            (number, second) for number, (second, reached) in enumerate(run, 1) if reached >= target
        )
        print(f"{name}: {seconds:.1f} s from the start of its process, after epoch {epoch}")
        if len(run) > 1:  # the second epoch shows how long the first was
            before = run[0][0] - (run[1][0] - run[0][0])
            print(f"  {before:.1f} s of that before training, {seconds - before:.2f} s training")


if __name__ == "__main__":
    main()
