"""How near an exported model comes to torch on recordings, how fast it is, and its memory.

    python -m benchmarks.exported FOLDER [--model models/model.safetensors] [--threads 1]

FOLDER holds recordings, wav or flac; it needs the extras export and audio. Both label all
recordings in turns, in float32: torch as the pipeline does, many frames in a product;
onnxruntime one recording at a time. Of several turns the fastest counts.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import psutil
import torch
from numpy.typing import NDArray

from phonemes.errors import InputError, reported
from phonemes.export.check import difference, expected, open_session, run
from phonemes.export.interface import made_for
from phonemes.export.model import onnx_model
from phonemes.features.sound import read_sound, resample
from phonemes.model.store import load_model
from phonemes.storage.layout import MODEL

TURNS = 5
MINUTES = 5  # of sound, for the memory


def recordings(folder: Path, rate: int) -> list[NDArray[np.float32]]:
    """Return the samples of all recordings of a folder at `rate` Hz, (S,) each.

    Raises:
        InputError: there are none, or one cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac"))
    if not paths:
        raise InputError(f"{folder} holds no wav or flac files; name a folder of recordings")
    return [resample(read_sound(path), rate) for path in paths]


def fastest(*tasks: Callable[[], object]) -> list[float]:
    """Return the seconds of each task, the least of several turns."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(TURNS):
        for task, taken in zip(tasks, seconds, strict=True):
            began = time.perf_counter()
            task()
            taken.append(time.perf_counter() - began)
    return [min(taken) for taken in seconds]


def memory(model: bytes, rate: int) -> int:
    """Return the bytes that a session takes for a recording, above those before it.

    It needs a process of its own, as peaks are those of a process.
    """
    import resource  # not on Windows

    session = open_session(model)
    random = np.random.default_rng(0)
    samples = random.normal(scale=0.1, size=MINUTES * 60 * rate).astype(np.float32)
    before = psutil.Process().memory_info().rss
    run(session, [samples])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) - before


def measure(folder: Path, path: Path, threads: int) -> None:
    """Export a model and print what it comes to.

    Raises:
        InputError: the model or the recordings cannot be used.
    """
    torch.set_num_threads(threads)
    bundle = load_model(path, torch.device("cpu"))
    features = made_for(bundle.purpose).features
    if features is None:
        raise InputError(f"{path} was made for frames that were given; name a model of recordings")
    model = onnx_model(bundle).SerializeToString(deterministic=True)
    given, session = recordings(folder, features.sample_rate), open_session(model, threads)
    wanted, found = expected(bundle, given), [run(session, [each])[0] for each in given]
    same = np.concatenate(
        [ours.argmax(1) == theirs.argmax(1) for ours, theirs in zip(found, wanted, strict=True)]
    )
    sound = sum(map(len, given)) / features.sample_rate
    print(
        f"{len(model) / 1e6:.1f} MB; {len(given)} recordings, {sound:.1f} s, {len(same):,} frames"
    )
    print(f"log posteriors: at most {difference(found, wanted):.1e} from torch's")
    print(f"labels: the same in {same.sum():,} of {len(same):,} frames")
    of_torch, of_onnx = fastest(
        lambda: expected(bundle, given), lambda: [run(session, [each]) for each in given]
    )
    print(
        f"seconds of sound a second, threads {threads}: "
        f"torch {torch.__version__} {sound / of_torch:.0f}, "
        f"onnxruntime {onnxruntime.__version__} {sound / of_onnx:.0f}, "
        f"{of_torch / of_onnx:.2f} times as fast"
    )
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        taken = process.submit(memory, model, features.sample_rate).result()
    print(f"memory: {taken / 2**20 / MINUTES:.0f} MiB a minute of sound")


def main() -> None:
    """Parse the arguments and measure; an error that the user can correct is one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of recordings")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with reported():
        measure(arguments.folder, arguments.model, arguments.threads)


if __name__ == "__main__":
    main()
