"""The packed corpus: every split as a few flat arrays, whatever the data came from.

A source (see `phonemes.sources`) yields utterances; `write_corpus` checks them and
lays all frames of a split end to end, one folder a kind so that a stage can depend
on no more than it reads:

    frames/{split}.npy      (N, C) float32
    lengths/{split}.npy     (U,) int64, frames of each utterance; their sum is N
    labels/{split}.npy      (N,) int16 in [0, P); no file where test has no labels
    utterances/{split}.csv  name,speaker of each utterance, in order
    phonemes.txt            the P phonemes, one a line, in label order

Arrays are plain .npy files: no pickles, memory-mapped when read.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from numpy.typing import NDArray

from phonemes.errors import InputError

SPLITS = ("train", "dev", "test")
Frames = NDArray[np.float32]
Labels = NDArray[np.integer]


class Utterance(NamedTuple):
    """One utterance as a source delivers it."""

    name: str  # unique in the corpus
    speaker: str  # "" where unknown
    frames: NDArray[np.floating]  # (T, C)
    labels: Labels | None  # (T,) indices into the source's phonemes; None for unlabelled test


class Source(NamedTuple):
    """A user's data, opened: what `write_corpus` packs."""

    phonemes: tuple[str, ...]
    splits: dict[str, Callable[[], Iterator[Utterance]]]  # opened one after the other


class SplitSummary(NamedTuple):
    """What was written of one split."""

    utterances: int
    frames: int
    speakers: int  # 0 where unknown
    bands: int
    labelled: bool


def write_corpus(
    source: Source, folder: Path, *, allow_shared_speakers: bool = False
) -> dict[str, SplitSummary]:
    """Write the packed corpus of `source` into `folder`, one utterance in memory at a time.

    Raises:
        InputError: names the split and utterance, what is wrong with it, and the fix.
    """
    for kind in ("frames", "lengths", "labels", "utterances"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "phonemes.txt").write_text("\n".join(source.phonemes) + "\n", "utf-8", newline="\n")
    summaries: dict[str, SplitSummary] = {}
    split_of_name: dict[str, str] = {}
    split_of_speaker: dict[str, str] = {}
    bands = None
    for split in SPLITS:
        if split not in source.splits:
            raise InputError(f"the corpus has no {split} split; train, dev and test are all needed")
        lengths: list[int] = []
        rows: list[tuple[str, str]] = []
        labelled = None
        with (
            _NpyAppender(folder / f"frames/{split}.npy", np.dtype(np.float32)) as frames,
            _NpyAppender(folder / f"labels/{split}.npy", np.dtype(np.int16)) as labels,
        ):
            for utterance in source.splits[split]():
                where = f"{split} utterance {utterance.name}"
                bands = _check_frames(utterance.frames, bands, where)
                if labelled is None:
                    labelled = utterance.labels is not None
                _check_labels(utterance, len(source.phonemes), labelled, split, where)
                if utterance.name in split_of_name:
                    raise InputError(
                        f"{where}: this name is taken by an utterance of "
                        f"{split_of_name[utterance.name]}; give every utterance its own name"
                    )
                split_of_name[utterance.name] = split
                speaker_split = split_of_speaker.setdefault(utterance.speaker, split)
                if utterance.speaker and speaker_split != split and not allow_shared_speakers:
                    raise InputError(
                        f"{where}: speaker {utterance.speaker} is in {speaker_split} too, so "
                        "scores would not be those of unseen speakers; move the speaker to one split, or "
                        "set corpus.allow_shared_speakers to true"
                    )
                frames.append(utterance.frames)
                if utterance.labels is not None:
                    labels.append(utterance.labels)
                lengths.append(len(utterance.frames))
                rows.append((utterance.name, utterance.speaker))
        if not lengths:
            raise InputError(f"the {split} split has no utterance; add some or check its path")
        if not labelled:
            (folder / f"labels/{split}.npy").unlink()
        np.save(folder / f"lengths/{split}.npy", np.array(lengths, np.int64))
        table = pd.DataFrame(rows, columns=["name", "speaker"])
        table.to_csv(folder / f"utterances/{split}.csv", index=False, lineterminator="\n")
        summaries[split] = SplitSummary(
            len(lengths),
            sum(lengths),
            table.speaker[table.speaker != ""].nunique(),
            bands or 0,
            bool(labelled),
        )
    return summaries


def _check_frames(frames: NDArray[np.floating], bands: int | None, where: str) -> int:
    """Return the number of coefficients, the same for the whole corpus."""
    if frames.ndim != 2 or not np.issubdtype(frames.dtype, np.floating):
        raise InputError(
            f"{where}: frames are {frames.dtype} of shape {frames.shape}; expected floats (T, C)"
        )
    if len(frames) == 0:
        raise InputError(f"{where}: has 0 frames; drop empty utterances")
    if bands is not None and frames.shape[1] != bands:
        transposed = "; it looks transposed" if frames.shape[0] == bands else ""
        raise InputError(
            f"{where}: has {frames.shape[1]} coefficients a frame, those before have "
            f"{bands}{transposed}; extract all with the same settings, as (T, C)"
        )
    if not np.isfinite(frames).all():
        frame, band = np.argwhere(~np.isfinite(frames))[0]
        raise InputError(
            f"{where}: frame {frame}, coefficient {band} is {frames[frame, band]}; "
            "extract the utterance again or drop it"
        )
    return int(frames.shape[1])


def _check_labels(
    utterance: Utterance, classes: int, labelled: bool, split: str, where: str
) -> None:
    labels = utterance.labels
    if labels is None:
        if labelled or split != "test":
            raise InputError(f"{where}: has no labels; only a whole test split may be unlabelled")
        return
    if not labelled:
        raise InputError(f"{where}: has labels, those before have none; label all of test or none")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}; expected integers (T,)"
        )
    if len(labels) != len(utterance.frames):
        raise InputError(
            f"{where}: {len(utterance.frames)} frames but {len(labels)} labels; "
            "every frame needs one label"
        )
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        frame = int(wrong.argmax())
        raise InputError(
            f"{where}: frame {frame} has label {labels[frame]}; expected 0 to {classes - 1}"
        )


class _NpyAppender:
    """Write an .npy array row by row; its header gets the final shape on exit."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._path, self._dtype = path, dtype
        self._rows, self._tail = 0, None  # type: int, tuple[int, ...] | None

    def __enter__(self) -> "_NpyAppender":
        self._file = self._path.open("wb")
        self._write_header()
        return self

    def append(self, rows: NDArray) -> None:
        """Append rows, (n, ...), converted to the array's dtype."""
        rows = np.ascontiguousarray(rows, self._dtype)
        if self._tail is None:
            self._tail = rows.shape[1:]
        self._file.write(rows.data)
        self._rows += len(rows)

    def __exit__(self, *error: object) -> None:
        self._file.seek(0)
        self._write_header()  # numpy keeps room in the header for the first axis to grow
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False}
        shape = (self._rows, *(self._tail or ()))
        npy.write_array_header_1_0(self._file, header | {"shape": shape})


def read_array(folder: Path, kind: str, split: str) -> NDArray:
    """Memory-map `kind` (frames, lengths, labels) of one split, read-only."""
    path = folder / kind / f"{split}.npy"
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro` to make it")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_utterances(folder: Path, split: str) -> pd.DataFrame:
    """Return the columns name and speaker of a split's utterances, "" where unknown."""
    return pd.read_csv(folder / f"utterances/{split}.csv", dtype=str, keep_default_na=False)


def read_phonemes(folder: Path) -> tuple[str, ...]:
    """Return the corpus's P phonemes in label order."""
    return tuple((folder / "phonemes.txt").read_text("utf-8").split())
