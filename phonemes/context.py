"""Give every frame a window of its neighbours without storing a single window.

Utterances are laid end to end with rows of padding around each, so the window of
W = 2k + 1 frames around frame n is W consecutive rows of the padded array and never
reaches another utterance. With zeros as padding, two utterances share the k rows between
them; with their own first and last frame ("edge"), each has k rows of its own.

A window is given by the row where it starts; its frame is k rows further on. The windows
of an utterance start one row after the other. From its last start to the first one of the
next utterance there are 1 + k (zero) or 1 + 2k (edge) rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.schema import Choice, Number
from phonemes.storage.layout import Starts, StoredFrames
from phonemes.storage.parts import PART, jumps, parts, rows_of


@dataclass(frozen=True)
class DataParams:
    """The context window."""

    k: Annotated[int, Number(0, 1000, usual=(0, 60))]  # frames on each side
    padding: Annotated[str, Choice(("zero", "edge"))]


def _gap(k: int, padding: str) -> int:
    """Return the rows between two utterances, at least 1, so that starts show where they end."""
    return max(1, k if padding == "zero" else 2 * k)


def window_starts(lengths: NDArray[np.integer], k: int, padding: str) -> Starts:
    """Return the padded row where each frame's window starts.

    Args:
        lengths: (U,) frames in each utterance, every one at least 1.
        k: context frames on each side.
        padding: zero or edge.

    Returns:
        (N,) int32, or int64 where the padded array has 2**31 rows or more.

    Raises:
        ValueError: names the first empty utterance.
    """
    if (empty := np.flatnonzero(lengths < 1)).size:
        raise ValueError(f"utterance {empty[0]} has {lengths[empty[0]]} frames; drop it")
    gap = _gap(k, padding)
    rows = int(lengths.sum()) + gap * len(lengths) + 2 * k
    dtype = np.int32 if rows < 2**31 else np.int64
    starts = np.arange(lengths.sum(), dtype=dtype)
    starts += np.repeat(gap * np.arange(len(lengths), dtype=dtype), lengths)
    return starts


def utterance_lengths(starts: Starts) -> NDArray[np.int64]:
    """Return the number of frames of each utterance, (U,), from the jumps in starts, (N,)."""
    return np.diff(np.concatenate([[-1], jumps(starts), [len(starts) - 1]]))


def pad(frames: StoredFrames, starts: Starts, k: int, padding: str) -> StoredFrames:
    """Return the frames of a split, (N, C), with padding: (R, C), R = last start + W.

    Raises:
        InputError: the starts are not those of these frames, this k and this padding.
    """
    return _padded(frames, starts, _checked_jumps(len(frames), starts, k, padding), k, padding)


def pad_by_parts(
    frames: StoredFrames,
    starts: Starts,
    k: int,
    padding: str,
    most: int = PART,
    utterances: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[int, StoredFrames]]:
    """Return runs of the rows that `pad` returns, one after the other, and where each begins.

    Together they have all rows that are not 0; few of them are in memory at a time.

    Args:
        frames: (N, C), which may be memory-mapped.
        starts: (N,) from `window_starts`.
        k: context frames on each side.
        padding: zero or edge.
        most: frames of a run, or one longer utterance.
        utterances: (U,) which of them, as if there were no others; None: all.

    Raises:
        InputError: as `pad`, at once.
    """
    _checked_jumps(len(frames), starts, k, padding)
    return _runs(frames, utterance_lengths(starts), k, padding, most, utterances)


def _runs(
    frames: StoredFrames,
    lengths: NDArray[np.int64],
    k: int,
    padding: str,
    most: int,
    utterances: NDArray[np.bool_] | None,
) -> Iterator[tuple[int, StoredFrames]]:
    first = 0
    for part in parts(lengths, most):
        inside, rows = lengths[part.utterances], rows_of(frames, part.frames)
        if utterances is not None:
            chosen = utterances[part.utterances]
            inside, rows = inside[chosen], rows[np.repeat(chosen, inside)]
        if len(inside):
            starts = window_starts(inside, k, padding)
            yield first, _padded(rows, starts, inside.cumsum()[:-1] - 1, k, padding)
            first += int(starts[-1]) + 1 + _gap(k, padding)


def _checked_jumps(count: int, starts: Starts, k: int, padding: str) -> NDArray[np.intp]:
    """Return the last frame of each utterance but the last, (U - 1,); refuse other starts."""
    last = jumps(starts)
    if (
        len(starts) != count
        or not len(starts)
        or starts[0] != 0
        or (starts[last + 1] - starts[last] != 1 + _gap(k, padding)).any()
    ):
        raise InputError(
            "the context index was made for other utterances, data.k or data.padding; "
            "run `dvc repro`, or the stages from context on"
        )
    return last


def _padded(
    frames: StoredFrames, starts: Starts, jumps: NDArray[np.intp], k: int, padding: str
) -> StoredFrames:
    short = frames.dtype.itemsize < 4
    padded = np.zeros(
        (int(starts[-1]) + 2 * k + 1, frames.shape[1]), frames.dtype if short else np.float32
    )
    padded[starts + k] = frames
    if padding == "edge":
        last = np.append(jumps, len(starts) - 1)  # (U,) each utterance's last frame
        first = np.append(0, jumps + 1)
        for offset in range(k):
            padded[starts[first] + offset] = frames[first]
            padded[starts[last] + k + 1 + offset] = frames[last]
    return padded


def window_milliseconds(k: int, stride: float, frame_width: float) -> float:
    """Return what a window of 2k + 1 frames covers: stride (2k + 1) + frame_width, in ms."""
    return stride * (2 * k + 1) + frame_width
