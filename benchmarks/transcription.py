"""How fast recordings are labelled, next to pocketsphinx's phone decoding of the same sound.

    python -m benchmarks.transcription FOLDER [--minutes 10] [--rounds 3]

The recordings of a folder, one after the other and again until there are so many minutes, are
one recording of 16 kHz. Each round labels it with `phonemes.transcription` and `english`,
smoothed and not, and decodes a part of it with pocketsphinx (extra `benchmark`): its phone loop
with the phone language model and the acoustic model that come with it. Models are loaded before.
A time is that of the fastest round; "x real time" is the sound's duration over it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.errors import InputError, reported
from phonemes.transcription.recognizer import SMOOTH, open_recognizer
from phonemes.transcription.sound import SUFFIXES, pieces
from phonemes.transcription.transcribe import transcribe_pieces

RATE = 16_000  # Hz
PIECE = 10 * RATE  # samples that arrive at once
DECODED = 60.0  # s that pocketsphinx decodes, since it takes long


def sound_of(folder: Path, seconds: float) -> NDArray[np.float32]:
    """Return so much sound of the recordings in a folder, (S,)."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{folder} holds no recording")
    once = np.concatenate([piece for path in paths for piece in pieces(path, RATE)])
    wanted = round(seconds * RATE)
    return np.tile(once, wanted // len(once) + 1)[:wanted]


def labelling(samples: NDArray[np.float32], smooth: bool) -> Callable[[], int]:
    """Return what labels the sound and counts its phones."""
    recognizer = open_recognizer()
    parts = np.split(samples, range(PIECE, len(samples), PIECE))

    def label() -> int:
        how = SMOOTH if smooth else None
        return len(transcribe_pieces(parts, recognizer, how, workers=recognizer.workers).phones)

    return label


def decoding(samples: NDArray[np.float32]) -> Callable[[], int]:
    """Return what decodes the sound with pocketsphinx and counts its phones."""
    from pocketsphinx import Decoder, get_model_path

    model = get_model_path("en-us/en-us-phone.lm.bin")
    # of its documentation on phoneme recognition
    decoder = Decoder(allphone=model, lw=2.0, pip=0.3, beam=1e-10, pbeam=1e-10, loglevel="FATAL")
    sound = (samples * 32_767).astype(np.int16).tobytes()

    def decode() -> int:
        decoder.start_utt()
        decoder.process_raw(sound, full_utt=True)
        decoder.end_utt()
        return sum(1 for _ in decoder.seg())

    return decode


def main() -> None:
    """Print a table of times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    samples = sound_of(arguments.folder, 60 * arguments.minutes)
    part = samples[: round(DECODED * RATE)]
    ways = {
        "phonemes transcribe": (labelling(samples, True), samples),
        "phonemes transcribe --raw": (labelling(samples, False), samples),
        "pocketsphinx, phone loop": (decoding(part), part),
    }
    fastest, phones = dict.fromkeys(ways, np.inf), dict.fromkeys(ways, 0)
    for _ in range(arguments.rounds):
        for name, (run, _) in ways.items():
            started = time.perf_counter()
            phones[name] = run()
            fastest[name] = min(fastest[name], time.perf_counter() - started)
    print(f"{torch.get_num_threads()} CPU threads, {len(samples) / RATE / 60:g} minutes of sound")
    print(f"{'':28}{'x real time':>12}{'phones/s':>10}")
    for name, (_, sound) in ways.items():
        seconds = len(sound) / RATE
        print(f"{name:28}{seconds / fastest[name]:12.1f}{phones[name] / seconds:10.1f}")


if __name__ == "__main__":
    with reported():
        main()
