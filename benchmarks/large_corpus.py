"""Speed and peak memory of the corpus, normalize and context stages on a corpus of the course's size.

    python -m benchmarks.large_corpus /tmp/large

writes random frames as the course's files, 18.5 million in train unless told otherwise,
into the folder, runs the three stages there and prints a line each. The folder, which
must not exist, takes 4 times the size of the frames and is removed at the end.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
STAGES = ("corpus", "normalize", "context")


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


def main() -> None:
    """Generate, run and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder to make and remove")
    parser.add_argument("--utterances", type=int, default=14_542)
    parser.add_argument("--frames", type=int, default=18_482_968, help="of train")
    parser.add_argument("--bands", type=int, default=40)
    arguments = parser.parse_args()
    raw = arguments.folder / "data/raw"
    raw.mkdir(parents=True)
    try:
        total = 0
        sizes = {"train": 1.0, "dev": 0.0844, "test": 0.0876}
        for split, share in sizes.items():
            frames = int(arguments.frames * share)
            total += frames
            write_split(
                raw, split, max(2, int(arguments.utterances * share)), frames, arguments.bands
            )
        text = (ROOT / "params.yaml").read_text("utf-8")
        text = text.replace("source: synthetic ", "source: arrays ", 1)
        (arguments.folder / "params.yaml").write_text(text, "utf-8")
        print(f"{total:,} frames of {arguments.bands} bands")
        for stage in STAGES:
            started = time.perf_counter()
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", f"stages.{stage}"]
            process = subprocess.Popen(
                command, cwd=arguments.folder, env=environment, stdout=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            if status:
                sys.exit(f"{stage} failed")
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            print(
                f"{stage}: {total / seconds:,.0f} frames/s with start-up, {seconds:.1f} s, "
                f"peak memory {peak / 2**30:.2f} GiB"
            )
    finally:
        shutil.rmtree(arguments.folder)


if __name__ == "__main__":
    main()
