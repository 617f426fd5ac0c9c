"""Read what earlier stages wrote; refuse what is missing, damaged or of another run.

Arrays are memory-mapped. `phonemes.storage.layout` says what the files hold. N frames, U
utterances, C coefficients and P phonemes of a split must be the same in all its files.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import MADE_ANEW, InputError, raise_true_cause
from phonemes.storage.frames import FORMS, Stored, read_scales
from phonemes.storage.layout import (
    CONTEXT,
    CORPUS,
    DESCRIPTION,
    NORMALIZED,
    UTTERANCE_COLUMNS,
    Frames,
    HostSplit,
    Labels,
    Spelling,
    Starts,
)
from phonemes.storage.parts import jumps


def read_array(path: Path) -> NDArray:
    """Memory-map an array that a stage wrote, read-only.

    Raises:
        InputError: it is missing or damaged, or the machine lacks what reading takes.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro` to make it")
    if not path.is_file():  # a pipe would never end
        raise InputError(f"{path} is damaged (no file); {MADE_ANEW}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises many kinds on a damaged file
        raise_true_cause(error, path)
        reason = str(error).partition("\n")[0][:300]
        raise InputError(f"{path} is damaged ({reason}); {MADE_ANEW}") from None
    if not isinstance(array, np.ndarray):  # an archive of arrays, which stays open
        array.close()
        raise InputError(f"{path} is damaged (no .npy file); {MADE_ANEW}")
    return array


def read_frames(path: Path, count: int) -> Frames:
    """Memory-map the frames of a split, (N, C), N = `count`; see `read_array`."""
    return _as_expected(path, "f", (count, None))


def read_stored(path: Path, count: int) -> Stored:
    """Memory-map the normalized frames of a split, (N, C), N = `count`, in the form they have.

    Raises:
        InputError: as `read_array`, or frames of 8 bits lack their scales.
    """
    frames = _as_expected(path, "f", (count, None), also=[*FORMS.values()])
    if frames.dtype != FORMS["int8"]:
        return Stored(frames, None)
    assert isinstance(frames, np.memmap)
    try:
        return Stored(frames, read_scales(path, frames.offset + frames.nbytes, frames.shape[1]))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); {MADE_ANEW}") from None


def read_starts(path: Path) -> Starts:
    """Memory-map the padded row where each window of a split starts, (N,); see `read_array`."""
    return _as_expected(path, "i", (None,))


def read_labels(path: Path, count: int, classes: int) -> Labels:
    """Memory-map the labels of a split, (N,) in [0, P), N = `count`, P = `classes`.

    Raises:
        InputError: as `read_array`, and names the first label out of range.
    """
    labels: Labels = _as_expected(path, "i", (count,))
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        frame = int(wrong.argmax())
        raise InputError(
            f"{path}: frame {frame} has label {labels[frame]}; expected 0 to {classes - 1}; "
            "it belongs to another corpus: delete it and run `dvc repro`"
        )
    return labels


def read_lengths(folder: Path, split: str) -> NDArray[np.integer]:
    """Memory-map the number of frames of each utterance of a split, (U,), all at least 1.

    Raises:
        InputError: as `read_array`, and names the first empty utterance.
    """
    path = folder / f"lengths/{split}.npy"
    lengths = _as_expected(path, "i", (None,))
    if (empty := np.flatnonzero(lengths < 1)).size or not lengths.size:
        found = f"utterance {empty[0]} has {lengths[empty[0]]} frames" if empty.size else "is empty"
        raise InputError(f"{path}: {found}; delete it and run `dvc repro`")
    return lengths


def _as_expected(
    path: Path, kind: str, shape: tuple[int | None, ...], also: Sequence[np.dtype] = ()
) -> NDArray:
    """Memory-map an array; refuse another kind or shape.

    Args:
        path: of the .npy file.
        kind: of the dtype, "f" for floats or "i" for integers.
        shape: sizes of the axes, None for any.
        also: types that are as good.
    """
    array = read_array(path)
    fits = len(shape) == array.ndim and all(
        size in (None, found) for size, found in zip(shape, array.shape, strict=True)
    )
    if not (array.dtype.kind == kind or array.dtype in also) or not fits:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}; expected "
            f"{'floats' if kind == 'f' else 'integers'} of shape ({sizes}), as the other files "
            "say; delete it and run `dvc repro`"
        )
    return array


def read_utterances(folder: Path, split: str, count: int | None = None) -> list[tuple[str, str]]:
    """Return name and speaker of each utterance of a split, U pairs, "" where unknown.

    Args:
        folder: of the packed corpus.
        split: train, dev or test.
        count: U, where known from other files.

    Raises:
        InputError: the list is missing, damaged or of another corpus.
    """
    path = folder / f"utterances/{split}.csv"
    try:
        lines = io.StringIO(_text(path), newline="")
        header, *rows = [tuple(row) for row in csv.reader(lines)]
    except (OSError, ValueError, csv.Error) as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path} ({error}); run `dvc repro` to make it") from None
    well_formed = header == UTTERANCE_COLUMNS and all(len(row) == 2 for row in rows)
    if not well_formed or count not in (None, len(rows)):
        raise InputError(
            f"{path} has {len(rows)} rows of {','.join(header)}; expected {count or 'some'} of "
            f"{','.join(UTTERANCE_COLUMNS)}, as the other files say; delete it and run `dvc repro`"
        )
    return [(name, speaker) for name, speaker in rows]


def _text(path: Path) -> str:
    """Return the content of a file in UTF-8; raise OSError for a pipe, which would never end."""
    if path.exists() and not path.is_file():
        raise OSError("it is not a file")
    return path.read_bytes().decode("utf-8")


def read_phonemes(folder: Path) -> tuple[str, ...]:
    """Return the corpus's P phonemes in label order.

    Raises:
        InputError: the list is missing or is not UTF-8.
    """
    path = folder / "phonemes.txt"
    try:
        return tuple(_text(path).split())
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path} ({error}); run `dvc repro` to make it") from None


def read_spelling(folder: Path, classes: int) -> Spelling:
    """Return how the user's data write labels, `classes` = P.

    Raises:
        InputError: the file is missing, damaged or of another corpus.
    """
    path = folder / "spelling.txt"
    try:
        kind, *names = _text(path).split() or [""]
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path} ({error}); run `dvc repro` to make it") from None
    if kind not in ("integers", "text") or len(names) != classes:
        raise InputError(
            f"{path} spells {len(names)} phonemes; expected integers or text, and then "
            f"{classes}, as the other files say; delete it and run `dvc repro`"
        )
    return Spelling(kind == "text", tuple(names))


def read_description(path: Path) -> dict[str, Any]:
    """Return what a stage wrote about its outputs, in JSON.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        values = json.loads(_text(path))
    except OSError as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path} ({error}); run `dvc repro` to make it") from None
    except (ValueError, RecursionError) as error:
        reason = str(error)[:300]
        raise InputError(f"{path} is damaged ({reason}); {MADE_ANEW}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} is damaged (no description); {MADE_ANEW}")
    return values


def read_header() -> tuple[str, str]:
    """Return the names of the columns of predictions, as the edition asks for them.

    Raises:
        InputError: the file that has them is missing or damaged.
    """
    match read_description(DESCRIPTION).get("header"):
        case [str(number), str(label)] if number != label:
            return number, label
    raise InputError(f"{DESCRIPTION} is damaged (no header); {MADE_ANEW}")


def read_split(split: str, classes: int | None) -> HostSplit:
    """Memory-map a split of the pipeline: normalized frames, window starts and labels.

    Args:
        split: train, dev or test.
        classes: P; None leaves the labels out.

    Raises:
        InputError: as `read_array`, or names the first label out of range.
    """
    starts = read_starts(CONTEXT / f"{split}.npy")
    frames, scales = read_stored(NORMALIZED / f"{split}.npy", len(starts))
    labels = None
    if classes is not None:
        labels = read_labels(CORPUS / f"labels/{split}.npy", len(starts), classes)
    return HostSplit(frames, starts, labels, scales)


def read_split_with_lengths(
    split: str, classes: int | None
) -> tuple[HostSplit, NDArray[np.integer]]:
    """Return a split as `read_split` does, and the frames of each of its utterances, (U,).

    Raises:
        InputError: as `read_split` and `read_lengths`, or the index of windows was made for
            other utterances than these.
    """
    found = read_split(split, classes)
    lengths = read_lengths(CORPUS, split)
    begins = jumps(found.starts) + 1
    ends = np.cumsum(lengths)
    if ends[-1] != len(found.starts) or not np.array_equal(begins, ends[:-1]):
        raise InputError(
            f"{CONTEXT / f'{split}.npy'} holds {len(found.starts)} windows of {len(begins) + 1} "
            f"utterances, {CORPUS / f'lengths/{split}.npy'} {ends[-1]} frames of {len(lengths)}, "
            "or utterances of other lengths; run `dvc repro`, or the stages from corpus on"
        )
    return found, lengths
