"""Find the phonemes of a recording, in memory that does not grow with its length.

S samples, T frames, C mel bands, P phonemes.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
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

BATCH = 24  # blocks at once: more are faster, and need some 20 MB each while they are smoothed


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
) -> Transcript:
    """Return the phonemes of a recording that arrives in pieces.

    Args:
        pieces: (S,) each, at the recognizer's rate.
        recognizer: what labels it.
        smooth: over time, or None for each frame's likeliest phoneme.
        keep: frames and posteriors, `Transcript.track`; they need 450 bytes a frame.

    Raises:
        InputError: it is shorter than one frame.
    """
    counted = _Counted(pieces)
    found: list[_Run] = []
    tracks: list[tuple[Frames, NDArray[np.float32]]] = []
    parts = blocks(framed(counted, recognizer.features), recognizer.stride)
    while batch := [*islice(parts, BATCH)]:
        posteriors = recognizer.log_posteriors(batch)
        if smooth:
            posteriors = recognizer.smoothed(posteriors, smooth)
        found += [run for each in posteriors for run in _runs(each)]
        tracks += zip(batch, posteriors, strict=True) if keep else []
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
        )
    return Transcript(
        tuple(_segments(_merged(found), recognizer, duration)), duration, recognizer.name, (), track
    )


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
