"""The best and the worst utterances of dev: frames, actual and predicted phonemes, aligned in time.

A strip has FRAME_WIDTH units a frame, so that a phone of some frames has room for its name; it
scrolls. Sound is there where the corpus is recordings and the recording has as many frames as
the utterance: else it would be another one. T frames of an utterance, C coefficients.
"""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from phonemes.corpus.audio.frames import frames_of
from phonemes.corpus.audio.recordings import LAYOUTS
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams, samples_of
from phonemes.features.sound import Sound, read_sound, resample
from phonemes.pages.report.run import Run
from phonemes.schema import build
from phonemes.scoring.predictions import FramePredictions, read_predictions
from phonemes.storage.layout import CORPUS, DESCRIPTION, FRAME_PREDICTIONS, TABLES, Frames
from phonemes.transcription.segments import runs

EACH = 3  # best utterances, and worst ones
FEWEST_PHONES = 5  # of an utterance that is shown; shorter ones are best or worst by chance
MOST_FRAMES = 1500  # that are shown of an utterance
FRAME_WIDTH = 4  # units
LETTER = 7  # units of a letter in a strip; a narrower phone has its name as a tip alone
SOUND_RATE = 16_000  # Hz, at most
CONFIDENCE_HEIGHT = 24  # units


class Tick(NamedTuple):
    """A tick of a time axis."""

    place: float  # units of the drawing
    text: str


class Segment(NamedTuple):
    """A run of frames with one label."""

    start: int  # units
    width: int  # units
    label: str
    fits: bool  # the label has room
    wrong: bool  # no frame of it is right


class Strip(NamedTuple):
    """An utterance, ready to be drawn."""

    name: str
    speaker: str  # "" where unknown
    accuracy: float
    frames: int  # of the utterance
    cut: bool  # only the first MOST_FRAMES are shown
    width: int  # units
    picture: str  # data URI; "" without frames
    mel: tuple[str, str] | None  # lowest and highest frequency; None: other coefficients
    actual: tuple[Segment, ...]
    predicted: tuple[Segment, ...]
    errors: tuple[tuple[int, int], ...]  # start and width of runs of wrong frames, units
    confidence: str  # points of the line, as SVG has them
    ticks: tuple[Tick, ...]
    clock: str  # what ticks count: s or frames
    sound: str  # data URI; "" without
    pace: float  # units a second of sound; 0 without


class Extremes(NamedTuple):
    """The utterances that are shown."""

    best: tuple[Strip, ...]
    worst: tuple[Strip, ...]
    note: str  # what is missing, and why; "" where nothing is


def extremes(run: Run) -> Extremes:
    """Return the best and the worst utterances of dev by accuracy.

    Raises:
        InputError: the predictions of frames are damaged or of another corpus.
    """
    table = run.dev.get("utterances")
    path = TABLES / "dev" / FRAME_PREDICTIONS
    if table is None or table.empty:
        return Extremes((), (), f"This run has no table of utterances: {run.files.advice()}.")
    count = int(table["frames"].sum())
    try:
        with run.files.open(path) as file:
            frames = read_predictions(file, count, len(run.phonemes), f"{path} of {run.name}")
    except FileNotFoundError:
        return Extremes((), (), f"The run has no {path}: {run.files.advice()}.")
    features = read_features(run)
    starts = np.cumsum(table["frames"]) - table["frames"]
    long = table.assign(start=starts).query("phones >= @FEWEST_PHONES")
    ranked = long.sort_values("accuracy", kind="stable", ascending=False)
    each = min(EACH, len(ranked) // 2)
    best, worst = (
        tuple(strip(run, row, frames, features) for row in rows.itertuples())
        for rows in (ranked.head(each), ranked.tail(each).iloc[::-1])
    )
    return Extremes(best, worst, _note(run, [*best, *worst]))


def _note(run: Run, strips: Sequence[Strip]) -> str:
    """Return what strips lack."""
    notes = []
    if not strips:
        notes.append(f"There are no two utterances of {FEWEST_PHONES} phones or more.")
    if any(not each.picture for each in strips):
        notes.append(f"The run has no {CORPUS / 'frames/dev.npy'}: {run.files.advice()}.")
    if run.params.get("corpus", {}).get("source") == "audio" and any(
        not each.sound for each in strips
    ):
        notes.append("Recordings that were not found, or are others by now, have no sound here.")
    return " ".join(notes)


def read_features(run: Run) -> FeatureParams | None:
    """Return how frames were computed; None where they were given, or nothing tells."""
    try:
        with run.files.open(DESCRIPTION) as file:
            values = json.loads(file.read())["features"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found: FeatureParams | None = build(FeatureParams, values)[0]
    return found


def strip(run: Run, row: Any, frames: FramePredictions, features: FeatureParams | None) -> Strip:
    """Lay out one utterance.

    Args:
        run: that it is of.
        row: of the table of utterances, with `start`, its first frame.
        frames: of the split.
        features: of the frames, or None.
    """
    shown = min(int(row.frames), MOST_FRAMES)
    own = slice(int(row.start), int(row.start) + shown)
    labels, predicted, confidence = (
        frames.labels[own],
        frames.predicted[own],
        frames.confidence[own],
    )
    right = labels == predicted
    given = read_rows(run, own, len(frames.labels))
    sound = recording(run, str(row.utterance), int(row.frames), features, given)
    stride = features.stride / 1000 if features else 0.0
    return Strip(
        str(row.utterance),
        str(row.speaker),
        float(row.accuracy),
        int(row.frames),
        shown < row.frames,
        shown * FRAME_WIDTH,
        "" if given is None else picture(given, mel=features is not None),
        (hertz(features.low), hertz(features.high)) if features else None,
        segments(labels, right, run.phonemes),
        segments(predicted, right, run.phonemes),
        tuple(
            (start * FRAME_WIDTH, (end - start) * FRAME_WIDTH)
            for start, end in runs(right.astype(int))
            if not right[start]
        ),
        _line(confidence),
        ticks(shown, stride),
        "s" if stride else "frames",
        "" if sound is None or features is None else encoded(sound, shown, features),
        FRAME_WIDTH / stride if sound and stride else 0.0,
    )


def segments(
    labels: NDArray[np.integer], right: NDArray[np.bool_], phonemes: Sequence[str]
) -> tuple[Segment, ...]:
    """Return the runs of equal labels, (T,), of frames that are right or not, (T,)."""
    found = []
    for start, end in runs(labels):
        name, width = phonemes[labels[start]], (end - start) * FRAME_WIDTH
        found.append(
            Segment(
                start * FRAME_WIDTH, width, name, len(name) * LETTER <= width,
                not right[start:end].any(),
            )
        )  # fmt: skip
    return tuple(found)


def _line(confidence: NDArray[np.uint8]) -> str:
    """Return a line through the middle of each frame, 0 at the bottom."""
    heights = (CONFIDENCE_HEIGHT * (1 - confidence / 255)).round(1)
    return " ".join(
        f"{FRAME_WIDTH * t + FRAME_WIDTH // 2},{height:g}" for t, height in enumerate(heights)
    )


def ticks(count: int, stride: float) -> tuple[Tick, ...]:
    """Return ticks of some frames: every half second, or every 50 frames without a stride, s."""
    step = 0.5 / stride if stride else 50
    number = int(count / step) + 1
    return tuple(
        Tick(round(n * step * FRAME_WIDTH, 1), f"{n / 2:g}" if stride else str(50 * n))
        for n in range(number)
    )


def hertz(frequency: float) -> str:
    """Return a frequency with its unit."""
    return f"{frequency / 1000:g} kHz" if frequency >= 1000 else f"{frequency:g} Hz"


def read_rows(run: Run, rows: slice, count: int) -> Frames | None:
    """Return some frames of dev, (T, C), before normalization; None where they are not there.

    Raises:
        InputError: the file is damaged or of another corpus.
    """
    path = CORPUS / "frames/dev.npy"
    try:
        with run.files.open(path) as file:
            return _read_rows(file, rows, count)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} of {run.name} is damaged, or of another corpus ({error}); run `dvc repro`"
        ) from None


def _read_rows(file: BinaryIO, rows: slice, count: int) -> Frames:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("no .npy file of version 1.0")
    shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or shape[0] != count or fortran or kind != np.float32:
        raise ValueError(f"{kind} of shape {shape}; expected {count} rows of float32")
    size = 4 * shape[1]
    file.seek(rows.start * size, io.SEEK_CUR)
    data = file.read((rows.stop - rows.start) * size)
    if len(data) < (rows.stop - rows.start) * size:
        raise ValueError("it is cut short")
    return np.frombuffer(data, np.float32).reshape(-1, shape[1])


def picture(frames: Frames, *, mel: bool) -> str:
    """Return frames, (T, C), as a PNG with a pixel for each number, low bands at the bottom.

    Args:
        frames: of an utterance.
        mel: they are log-mel, of which all bands share one scale; other coefficients have one
            of their own each.
    """
    low, high = np.percentile(frames, [2, 99.5], axis=None if mel else 0)
    scaled = (frames - low) / np.maximum(high - low, 1e-9)
    stream = io.BytesIO()
    imsave(stream, scaled.T.clip(0, 1), cmap="gray_r", vmin=0, vmax=1, origin="lower", format="png")
    return uri("image/png", stream.getvalue())


def uri(kind: str, content: bytes) -> str:
    """Return a file as text that a page holds."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def recording(
    run: Run, name: str, count: int, features: FeatureParams | None, given: Frames | None
) -> Sound | None:
    """Return the recording of an utterance, or None where none has its frames.

    Args:
        run: whose corpus.path is looked in.
        name: of the utterance: its path there, without suffix.
        count: its frames.
        features: that they were computed with; None where they were given.
        given: the first of them, or None where they are not there.
    """
    corpus = run.params.get("corpus")
    if features is None or not isinstance(corpus, dict) or corpus.get("source") != "audio":
        return None
    root = Path(str(corpus.get("path")))
    layout = LAYOUTS.get(corpus.get("audio", {}).get("layout", ""))
    suffixes = [] if layout is None else [*layout.audio, *map(str.upper, layout.audio)]
    for path in (root / f"{name}{suffix}" for suffix in suffixes):
        try:
            if path.resolve().is_relative_to(root.resolve()) and path.is_file():
                sound = read_sound(path)
                frames = frames_of(sound, features, path)
                same = given is None or np.allclose(frames[: len(given)], given, atol=1e-2)
                return sound if len(frames) == count and same else None
        except (InputError, ImportError):  # damaged by now, or no library to read it with
            return None
    return None


def encoded(sound: Sound, frames: int, features: FeatureParams) -> str:
    """Return the sound of the first frames as FLAC, which keeps its place in time."""
    import soundfile

    rate = min(sound.rate, SOUND_RATE)
    end = samples_of(frames * features.stride, features) / features.sample_rate  # s
    samples = resample(sound, rate)[: round(end * rate)]
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="FLAC", subtype="PCM_16")
    return uri("audio/flac", stream.getvalue())
