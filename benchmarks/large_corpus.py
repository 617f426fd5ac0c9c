"""Speed and peak memory of the stages on a corpus of the course's size.

    python -m benchmarks.large_corpus /tmp/large

writes random frames as the course's files, 18.5 million in the training set unless asked
otherwise, into the folder, runs corpus, normalize and context there and prints a line each;
with --train also one epoch of a small network, evaluate and predict. The folder, which must
not exist, takes 4 times the size of the frames and is removed at the end.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.settings import ROOT, values_of_the_checkout
from phonemes.recipes import merged
from phonemes.storage.frames import FORMS

STAGES = ("corpus", "normalize", "context")
LATER_STAGES = ("train", "evaluate", "predict")
CHANGES = {
    "corpus": {"source": "arrays", "path": "data/raw"},
    "data": {"k": 8},
    "model": {"hidden": [64, 64], "target_context": 0, "residual": False},
    "train": {"batch_size": 16384, "epochs": 1, "warmup_epochs": 0},
    "stacking": {"folds": 0},
    "runtime": {"progress": False},
}
SIZES = {"train": 1.0, "dev": 0.0844, "test": 0.0876}  # of splits, against the training set's


def write_split(folder: Path, split: str, utterances: int, frames: int, bands: int) -> None:
    """Write one split as object arrays, utterances of about the same length."""
    random = np.random.default_rng(utterances)
    ends = np.linspace(0, frames, utterances + 1).astype(int)[1:-1]
    spread = frames // utterances // 4
    ends += random.integers(-spread, spread + 1, len(ends))
    lengths = np.diff(np.concatenate([[0], ends, [frames]]))
    noise = random.standard_normal((int(lengths.max()) + 1000, bands), np.float32)
    features, labels = np.empty(utterances, object), np.empty(utterances, object)
    for index, length in enumerate(lengths):
        start = random.integers(0, 1000)
        features[index] = noise[start : start + length].copy()
        labels[index] = random.integers(0, 71, length)
    np.save(folder / f"{split}.npy", features, allow_pickle=True)
    if split != "test":
        np.save(folder / f"{split}_labels.npy", labels, allow_pickle=True)


def write_project(
    folder: Path, utterances: int, frames: int, bands: int, storage: str = "float32"
) -> int:
    """Write a project: code, parameters and raw files; return the frames of all splits."""
    raw = folder / "data/raw"
    raw.mkdir(parents=True)
    for name in ("dvc.yaml", "phonemes", "stages"):  # a checkpoint's name depends on them
        (folder / name).symlink_to(ROOT / name)
    changes = merged(CHANGES, {"normalize": {"storage": storage}})
    params = merged(values_of_the_checkout(), changes)
    (folder / "params.yaml").write_text(json.dumps(params, ensure_ascii=False), "utf-8")
    spawn, total = multiprocessing.get_context("spawn"), 0
    for split, share in SIZES.items():
        count = int(frames * share)
        total += count
        sizes = max(2, int(utterances * share)), count, bands
        # a process of its own: a child's peak memory begins at its parent's
        writer = spawn.Process(target=write_split, args=(raw, split, *sizes))
        writer.start()
        writer.join()
        if writer.exitcode:
            sys.exit(f"{split} could not be written")
    return total


def run_stage(folder: Path, stage: str) -> tuple[float, int]:
    """Run a stage; return its seconds and its peak memory, bytes."""
    started = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"stages.{stage}"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # wait() would, without the memory
    if process.returncode:  # it said why on stderr
        sys.exit(f"{stage} failed")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Generate, run and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder to make and remove")
    parser.add_argument("--utterances", type=int, default=14_542)
    parser.add_argument("--frames", type=int, default=18_482_968, help="of the training set")
    parser.add_argument("--bands", type=int, default=40)
    parser.add_argument("--storage", default="float32", choices=FORMS, help="of normalized frames")
    parser.add_argument("--train", action="store_true", help="run the later stages too")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True)
    try:
        sizes = arguments.utterances, arguments.frames, arguments.bands
        total = write_project(folder, *sizes, arguments.storage)
        print(f"{total:,} frames of {arguments.bands} bands")
        for stage in STAGES + LATER_STAGES * arguments.train:
            seconds, peak = run_stage(folder, stage)
            speed = f"{total / seconds:,.0f} frames/s with start-up, " * (stage in STAGES)
            print(f"{stage}: {speed}{seconds:.1f} s, peak memory {peak / 2**30:.2f} GiB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
