"""Recordings with alignments: wav, flac and NIST sphere with TextGrid, .PHN or .lab.

`recordings` finds the files, `alignments` reads who says what when, `features` computes
frames; here each recording becomes an utterance, in parallel. The channels of a
recording are averaged, and other sample rates resampled with soxr at high quality.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from phonemes.alignments import frame_labels, read_alignment
from phonemes.corpus import Source, Utterance
from phonemes.errors import InputError
from phonemes.features import label_times, log_mel, mel_filters
from phonemes.inventory import INVENTORIES
from phonemes.params import Audio, Features
from phonemes.sources.recordings import Recording, find_recordings

_RATES = range(1000, 400_001)  # Hz; what else a header may say is damage
_WORTHWHILE = 64  # recordings that repay the second or so in which a process starts

Item = TypeVar("Item")
Result = TypeVar("Result")


class Sound(NamedTuple):
    """A recording's samples."""

    samples: NDArray[np.float32]  # (S,), in [-1, 1]
    rate: int  # Hz


def open_source(
    path: Path, audio: Audio, features: Features, jobs: int, progress: bool = False
) -> Source:
    """Find, pair and place all recordings under `path`; compute when a split is iterated.

    Args:
        path: the corpus.
        audio: its layout, labels, speakers and splits.
        features: of the frames.
        jobs: processes, 0 for one a core; results do not depend on it.
        progress: show a bar.

    Raises:
        InputError: names what is missing or wrong, and the fix; the iterators of the splits
            raise it too, for what only reading the files can show.
    """
    for library in ("soundfile", "soxr", "parselmouth"):
        try:
            import_module(library)
        except (ImportError, OSError) as error:  # OSError: the shared library is missing
            raise InputError(
                f"corpus.source: audio needs {library} ({error}); run pip install -e '.[audio]'"
            ) from None
    mel_filters(features)  # refuses impossible features before any work
    extract = partial(utterance, tier=audio.tier, phonemes=audio.phonemes, features=features)

    def iterate(split: str, recordings: list[Recording]) -> Iterator[Utterance]:
        processes = min(jobs or os.cpu_count() or 1, len(recordings) // _WORTHWHILE)
        results = in_order(extract, recordings, processes)
        yield from tqdm(results, split, len(recordings), leave=False, disable=not progress)

    splits = find_recordings(path, audio)
    return Source(
        INVENTORIES[audio.phonemes],
        {split: partial(iterate, split, recordings) for split, recordings in splits.items()},
    )


def utterance(recording: Recording, tier: str, phonemes: str, features: Features) -> Utterance:
    """Compute one recording's frames and, where it has an alignment, labels.

    Raises:
        InputError: names the file and what is wrong with it.
    """
    sound = read_sound(recording.audio)
    samples = resample(sound, features.sample_rate)
    try:
        frames = log_mel(samples, features)
    except InputError as error:
        raise InputError(f"{recording.audio}: {error}; drop the recording") from None
    labels = None
    if recording.alignment is not None:
        labels = frame_labels(
            read_alignment(recording.alignment, tier, sound.rate),
            label_times(len(frames), features),
            len(sound.samples) / sound.rate,
            phonemes,
            str(recording.alignment),
        )
    return Utterance(recording.name, recording.speaker, frames, labels, str(recording.audio))


def read_sound(path: Path) -> Sound:
    """Read a recording, averaged over its channels, at its own sample rate.

    Raises:
        InputError: it cannot be read, or holds nothing.
    """
    import soundfile

    if not path.is_file():  # a pipe would never end
        raise InputError(f"cannot read {path}: it is not a file; put the recording in its place")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)  # (S, channels)
    except (OSError, ValueError, MemoryError, soundfile.SoundFileError) as error:
        raise InputError(
            f"cannot read {path}: {error}; expected whole wav, flac or uncompressed NIST sphere"
        ) from None
    if rate not in _RATES:
        raise InputError(f"{path} claims {rate} samples a second; is it damaged?")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are no finite numbers; write it again")
    return Sound(samples.mean(axis=1), rate)


def resample(sound: Sound, rate: int) -> NDArray[np.float32]:
    """Return the samples at `rate` Hz."""
    import soxr

    if sound.rate == rate:
        return sound.samples
    return soxr.resample(sound.samples, sound.rate, rate, quality="HQ")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int
) -> Iterator[Result]:
    """Yield `function` of each item, in order, from that many processes or this one.

    Few results wait at a time, so memory stays small however many items there are. Both
    function and items must survive pickling. The first error stops everything.
    """
    if processes < 2:
        yield from map(function, items)
        return
    # spawned, as a fork copies the locks of threads that do not exist in the child
    spawn = multiprocessing.get_context("spawn")
    pending: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 4 * processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise InputError(
                "a process ended abruptly, probably for lack of memory; lower runtime.jobs"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
