"""Pack a corpus: check every utterance, and lay all frames of a split end to end.

A source (see `phonemes.corpus.source`) yields utterances; `write_corpus` writes the files
of data/corpus that `phonemes.storage.layout` describes, one folder for each kind, so that a
stage depends only on the kinds that it reads. T frames of an utterance, C coefficients.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.source import Source, Utterance, check_name
from phonemes.errors import InputError
from phonemes.storage.layout import MOST_PHONEMES, SPLITS, UTTERANCE_COLUMNS, Spelling
from phonemes.storage.npy import NpyAppender


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

    Returns:
        What was written of each split, by its name.

    Raises:
        InputError: names the split and utterance, what is wrong with it, and the fix.
    """
    for kind in ("frames", "lengths", "labels", "utterances"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        if split not in source.splits:
            raise InputError(f"the corpus has no {split} split; train, dev and test are all needed")
    if len(source.phonemes) > MOST_PHONEMES:
        raise InputError(
            f"the corpus has {len(source.phonemes)} phonemes; expected at most {MOST_PHONEMES}"
        )
    _write_lines(folder / "phonemes.txt", source.phonemes)
    checks = _Checks(len(source.phonemes), allow_shared_speakers)
    written = {
        split: _write_split(source.splits[split](), split, folder, checks) for split in SPLITS
    }
    spelling = source.spelling() if source.spelling else Spelling(False, source.phonemes)
    kind = "text" if spelling.text else "integers"
    _write_lines(folder / "spelling.txt", (kind, *spelling.phonemes))
    return written


def _write_lines(path: Path, names: Sequence[str]) -> None:
    """Write names that hold no white space, one a line."""
    for name in names:
        check_name(name, f"phoneme {name}")
    path.write_text("\n".join([*names, ""]), "utf-8", newline="\n")


def _write_split(
    utterances: Iterator[Utterance], split: str, folder: Path, checks: "_Checks"
) -> SplitSummary:
    """Write the files of one split."""
    lengths: list[int] = []
    rows: list[tuple[str, str]] = []
    with (
        NpyAppender(folder / f"frames/{split}.npy", np.dtype(np.float32)) as frames,
        NpyAppender(folder / f"labels/{split}.npy", np.dtype(np.int16)) as labels,
    ):
        for utterance in utterances:
            checks.check(utterance, split)
            frames.append(utterance.frames)
            if utterance.labels is not None:
                labels.append(utterance.labels)
            lengths.append(len(utterance.frames))
            rows.append((utterance.name, utterance.speaker))
    if not lengths:
        raise InputError(f"the {split} split has no utterance; add some or check its path")
    if not labels.rows:
        (folder / f"labels/{split}.npy").unlink()
    np.save(folder / f"lengths/{split}.npy", np.array(lengths, np.int64))
    with (folder / f"utterances/{split}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([UTTERANCE_COLUMNS, *rows])
    speakers = {speaker for _, speaker in rows} - {""}
    return SplitSummary(len(lengths), sum(lengths), len(speakers), checks.bands, labels.rows > 0)


class _Checks:
    """Checks each utterance by itself and against those before it."""

    def __init__(self, classes: int, allow_shared_speakers: bool) -> None:
        self._classes, self._allow_shared_speakers = classes, allow_shared_speakers
        self._split_of_name: dict[str, str] = {}
        self._split_of_speaker: dict[str, str] = {}
        self._labelled: dict[str, bool] = {}  # by split
        self.bands = 0  # C, once known
        self._first_length = 0  # T of the first utterance, or C where it lies transposed

    def check(self, utterance: Utterance, split: str) -> None:
        """Raise InputError for the first thing that is wrong with the next utterance of `split`."""
        where = f"{split} utterance {utterance.name}"
        if utterance.origin:
            where = f"{utterance.origin}, {where}"
        for name in (utterance.name, utterance.speaker):
            check_name(name, utterance.origin or name)
        self._check_frames(utterance.frames, where)
        self._check_labels(utterance, split, where)
        if utterance.name in self._split_of_name:
            raise InputError(
                f"{where}: this name is taken by an utterance of "
                f"{self._split_of_name[utterance.name]}; give every utterance its own name"
            )
        self._split_of_name[utterance.name] = split
        other = self._split_of_speaker.setdefault(utterance.speaker, split)
        scored = utterance.labels is not None  # a test without labels may have train's speakers
        if utterance.speaker and other != split and scored and not self._allow_shared_speakers:
            raise InputError(
                f"{where}: speaker {utterance.speaker} is in {other} too, so scores would not be "
                "those of unseen speakers; move the speaker to one split, or set "
                "corpus.allow_shared_speakers to true"
            )

    def _check_frames(self, frames: NDArray[np.floating], where: str) -> None:
        if frames.ndim != 2 or not np.issubdtype(frames.dtype, np.floating):
            raise InputError(
                f"{where}: frames are {frames.dtype} of shape {frames.shape}; "
                "expected floats (T, C)"
            )
        if frames.size == 0:
            raise InputError(
                f"{where}: has {len(frames)} frames of {frames.shape[1]} coefficients; "
                "drop empty utterances"
            )
        self.bands = self.bands or frames.shape[1]
        self._first_length = self._first_length or len(frames)
        if frames.shape[1] != self.bands:
            swapped = len(frames) == self.bands or frames.shape[1] == self._first_length
            transposed = "; one of them looks transposed" if swapped else ""
            raise InputError(
                f"{where}: has {frames.shape[1]} coefficients a frame, those before have "
                f"{self.bands}{transposed}; extract all with the same settings, as (T, C)"
            )
        with np.errstate(over="ignore"):  # a float64 may be finite and too large for float32
            finite = np.isfinite(frames.astype(np.float32, copy=False))
        if not finite.all():
            frame, band = np.argwhere(~finite)[0]
            raise InputError(
                f"{where}: frame {frame}, coefficient {band} is {frames[frame, band]}; "
                "extract the utterance again or drop it"
            )

    def _check_labels(self, utterance: Utterance, split: str, where: str) -> None:
        labels = utterance.labels
        labelled = self._labelled.setdefault(split, labels is not None)
        if labels is None:
            if labelled or split != "test":
                raise InputError(
                    f"{where}: has no labels; only a whole test split may be unlabelled"
                )
            return
        if not labelled:
            raise InputError(
                f"{where}: has labels, those before have none; label all of test or none"
            )
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"{where}: labels are {labels.dtype} of shape {labels.shape}; "
                "expected integers (T,)"
            )
        if len(labels) != len(utterance.frames):
            raise InputError(
                f"{where}: {len(utterance.frames)} frames but {len(labels)} labels; "
                "every frame needs one label"
            )
        wrong = (labels < 0) | (labels >= self._classes)
        if wrong.any():
            frame = int(wrong.argmax())
            raise InputError(
                f"{where}: frame {frame} has label {labels[frame]}; "
                f"expected 0 to {self._classes - 1}; correct it, or list all phonemes"
            )
