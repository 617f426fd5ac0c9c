"""What a source of data delivers: the utterances of each split, one after the other."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.storage.layout import Labels


class Utterance(NamedTuple):
    """One utterance as a source delivers it."""

    name: str  # unique in the corpus
    speaker: str  # "" where unknown
    frames: NDArray[np.floating]  # (T, C)
    labels: Labels | None  # (T,) indices into the source's phonemes; None for unlabelled test
    origin: str = ""  # the file that the frames come from, for messages


class Source(NamedTuple):
    """A user's data, opened; `pack.write_corpus` packs it."""

    phonemes: tuple[str, ...]
    splits: dict[str, Callable[[], Iterator[Utterance]]]  # called in the order of SPLITS
