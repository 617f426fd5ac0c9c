"""The packed corpus as a search needs it: labelled splits in memory, normalized as asked."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.context import DataParams, window_starts
from phonemes.errors import InputError
from phonemes.normalize import NormalizeParams, Normalizer, group_utterances, split_statistics
from phonemes.params import Params
from phonemes.storage.frames import FORMS
from phonemes.storage.layout import (
    CORPUS,
    DESCRIPTION,
    HostSplit,
    Labels,
    Scales,
    StoredFrames,
)
from phonemes.storage.read import (
    read_description,
    read_frames,
    read_labels,
    read_lengths,
    read_phonemes,
    read_utterances,
)


class CorpusSplit(NamedTuple):
    """One labelled split of the corpus."""

    frames: StoredFrames  # (N, C)
    lengths: NDArray[np.integer]  # (U,)
    labels: Labels  # (N,)
    speakers: list[str]  # (U,) "" where unknown
    scales: Scales | None = None  # (C,) of normalized frames of 8 bits


class Corpus(NamedTuple):
    """What is learnt from, and scored on."""

    train: CorpusSplit
    dev: CorpusSplit
    classes: int  # P


def read_corpus(params: Params) -> Corpus:
    """Read the packed corpus of the current folder.

    Raises:
        InputError: it is not packed, or with other parameters; a file is damaged.
    """
    packed = read_description(DESCRIPTION)
    source = params.corpus.source
    features = None if source == "arrays" else asdict(params.features)
    if (packed.get("source"), packed.get("features")) != (source, features):
        raise InputError(
            "the corpus was packed with other values of corpus.source or features; "
            "run `dvc repro corpus`"
        )
    return Corpus(
        read_labelled("train", Path()), read_labelled("dev", Path()), len(read_phonemes(CORPUS))
    )


def read_labelled(split: str, folder: Path) -> CorpusSplit:
    """Read a labelled split of a project, its frames as they are."""
    corpus = folder / CORPUS
    lengths = read_lengths(corpus, split)
    count, classes = int(lengths.sum()), len(read_phonemes(corpus))
    frames = read_frames(corpus / f"frames/{split}.npy", count)
    labels = read_labels(corpus / f"labels/{split}.npy", count, classes)
    speakers = [speaker for _, speaker in read_utterances(corpus, split, len(lengths))]
    return CorpusSplit(frames, lengths, labels, speakers)


def normalized_splits(splits: Sequence[CorpusSplit], params: NormalizeParams) -> list[CorpusSplit]:
    """Return the training set and other splits, normalized as the stage does it."""
    pooled, scales, made = None, None, []
    for number, split in enumerate(splits):
        frames, lengths, _, speakers, _ = split
        groups = group_utterances(params.over, speakers)
        given, pooled = split_statistics(frames, lengths, groups, params, pooled)
        normalizer = Normalizer(frames, lengths, groups, given, params)
        if number == 0:
            scales = normalizer.scales()
        stored = np.empty(frames.shape, FORMS[params.storage])
        end = 0
        for run in normalizer.stored(scales):
            stored[end : end + len(run)] = run
            end += len(run)
        made.append(split._replace(frames=stored, scales=scales))
    return made


def host_split(split: CorpusSplit, data: DataParams) -> HostSplit:
    """Return a split as the train stage reads it."""
    starts = window_starts(split.lengths, data.k, data.padding)
    return HostSplit(split.frames, starts, split.labels, split.scales)


def digest(corpus: Corpus) -> str:
    """Return a short text that another corpus does not have."""
    made = hashlib.blake2b(digest_size=16)
    for split in (corpus.train, corpus.dev):
        for array in (split.lengths, split.labels):
            made.update(np.ascontiguousarray(array).tobytes())
        made.update("\n".join(split.speakers).encode())
    made.update(np.ascontiguousarray(corpus.dev.frames).tobytes())
    return made.hexdigest()
