"""Find the phonemes of a recording, in memory that does not grow with its length.

S samples, T frames, C mel bands, P phonemes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.decoding.phone_model import SmoothParams
from phonemes.errors import InputError
from phonemes.features.log_mel import samples_of
from phonemes.features.sound import RATES, Sound, resample
from phonemes.storage.layout import Frames
from phonemes.transcription.blocks import blocks, framed
from phonemes.transcription.recognizer import ENGLISH, SMOOTH, Recognizer, open_recognizer
from phonemes.transcription.segments import Segment, Track, runs
from phonemes.transcription.transcript import Transcript

BATCH = 32  # blocks at once: of more, those of like length are smoothed together, which is faster


_Labelled = tuple[Frames, NDArray[np.float32]]  # of a block: (T, C), and posteriors (T, P)


class _Run(NamedTuple):
    """Consecutive frames of one label."""

    label: int
    frames: int
    confidence: float  # sum over its frames


def transcribe(
    samples: NDArray, rate: int, model: str = ENGLISH, *, smooth: bool = True
) -> Transcript:
    """Return the phonemes of a recording, with their times and confidences.

    It prints as a table, shows as a picture in a notebook, and `to_pandas` gives a table.

    Args:
        samples: (S,) or (S, channels); floats in [-1, 1], or integers, whose largest value is 1.
        rate: Hz; any, it is resampled.
        model: "english", or the path of a model file.
        smooth: over time, by a model of how phonemes follow each other and last.

    Raises:
        InputError: the recording cannot be used, or there is no such model.
    """
    sound = Sound(_mono(samples), rate)
    if rate not in RATES:
        raise InputError(f"rate is {rate}; expected Hz, from {RATES[0]:,} to {RATES[-1]:,}")
    recognizer = _recognizer(model)
    pieces = [resample(sound, recognizer.rate)]
    return transcribe_pieces(pieces, recognizer, SMOOTH if smooth else None, keep=True)


@cache
def _recognizer(model: str) -> Recognizer:
    return open_recognizer(model)


def _mono(samples: NDArray) -> NDArray[np.float32]:
    """Return samples as floats, averaged over channels, (S,)."""
    values = np.asarray(samples)
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise InputError(
            f"samples are {values.dtype} of shape {values.shape}; expected numbers (S,) or "
            "(S, channels)"
        )
    scale = 1.0
    if values.dtype.kind in "iu":
        scale = float(np.iinfo(values.dtype).max) + 1
        if values.dtype.kind == "u":  # as 8-bit wav: silence is the middle
            values, scale = values.astype(np.float64) - scale / 2, scale / 2
    mono = (values.mean(1) if values.ndim == 2 else values) / scale
    if not np.isfinite(mono).all():
        raise InputError("samples hold NaN or infinity")
    return mono.astype(np.float32)


def transcribe_pieces(
    pieces: Iterable[NDArray[np.float32]],
    recognizer: Recognizer,
    smooth: SmoothParams | None,
    *,
    keep: bool = False,
    workers: int = 1,
) -> Transcript:
    """Return the phonemes of a recording that arrives in pieces.

    Args:
        pieces: (S,) each, at the recognizer's rate.
        recognizer: what labels it.
        smooth: over time, or None for each frame's likeliest phoneme.
        keep: frames and posteriors, `Transcript.track`; they need 450 bytes a frame.
        workers: threads that label batches of blocks side by side. With several, each takes
            one thread of torch's, whose own threads gain little in smoothing.

    Raises:
        InputError: it is shorter than one frame.
    """
    counted = _Counted(pieces)
    found: list[_Run] = []
    tracks: list[_Labelled] = []

    def label(batch: list[Frames]) -> list[_Labelled]:
        posteriors = recognizer.log_posteriors(batch)
        if smooth:
            posteriors = recognizer.smoothed(posteriors, smooth)
        return [*zip(batch, posteriors, strict=True)]

    parts = blocks(framed(counted, recognizer.features), recognizer.stride)
    for labelled in _in_parallel(label, _batches(parts), workers):
        found += [run for _, each in labelled for run in _runs(each)]
        tracks += labelled if keep else []
    width = samples_of(recognizer.features.frame_width, recognizer.features)
    if not found:
        raise InputError(
            f"the recording has {counted.samples} samples at {recognizer.rate} Hz, less than one "
            f"frame of {width}"
        )
    duration = counted.samples / recognizer.rate
    track = None
    if keep:
        track = Track(
            recognizer.start,
            recognizer.stride,
            np.concatenate([frames for frames, _ in tracks]),
            np.concatenate([posteriors for _, posteriors in tracks]),
            recognizer.phonemes,
            recognizer.bands,
        )
    return Transcript(
        tuple(_segments(_merged(found), recognizer, duration)), duration, recognizer.name, (), track
    )


def _batches(parts: Iterator[Frames]) -> Iterator[list[Frames]]:
    """Yield blocks in batches."""
    while batch := [*islice(parts, BATCH)]:
        yield batch


def _in_parallel(
    work: Callable[[list[Frames]], list[_Labelled]], batches: Iterator[list[Frames]], workers: int
) -> Iterator[list[_Labelled]]:
    """Yield what becomes of batches, in their order; no more are held than there are workers."""

    def begin() -> None:
        if workers > 1:
            torch.set_num_threads(1)

    with ThreadPoolExecutor(workers, initializer=begin) as pool:
        waiting: deque[Future[list[_Labelled]]] = deque()
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Counted:
    """Pieces of samples, which are counted as they pass."""

    def __init__(self, pieces: Iterable[NDArray[np.float32]]) -> None:
        self._pieces = pieces
        self.samples = 0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for piece in self._pieces:
            self.samples += len(piece)
            yield piece


def _runs(log_posteriors: NDArray[np.float32]) -> Iterator[_Run]:
    """Yield the runs of equal labels of a block, by its log posteriors, (T, P)."""
    label = log_posteriors.argmax(1)
    confidence = np.exp(log_posteriors[np.arange(len(label)), label])
    for begin, end in runs(label):
        yield _Run(int(label[begin]), end - begin, float(confidence[begin:end].sum()))


def _merged(found: Iterable[_Run]) -> Iterator[_Run]:
    """Yield runs, with those of one label that touch, at the edges of blocks, as one."""
    held: _Run | None = None
    for run in found:
        if held and held.label == run.label:
            held = _Run(held.label, held.frames + run.frames, held.confidence + run.confidence)
        else:
            if held:
                yield held
            held = run
    if held:
        yield held


def _segments(found: Iterable[_Run], recognizer: Recognizer, duration: float) -> Iterator[Segment]:
    """Yield segments that cover a recording: the last one lasts to its end."""
    listed, frame, start = [*found], 0, 0.0
    for number, run in enumerate(listed, 1):
        frame += run.frames
        last = number == len(listed)
        end = duration if last else recognizer.start + frame * recognizer.stride
        yield Segment(start, end, recognizer.phonemes[run.label], run.confidence / run.frames)
        start = end
