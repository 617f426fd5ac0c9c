"""The course's labels: indices or phonemes, and which phonemes there are."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.inventory import (
    ARPABET_PLAIN,
    ARPABET_STRESS,
    VOWELS,
    default_inventory,
    label_of,
)

CLASSES = (40, 71, 138, 346)  # of the editions
SENTENCE_MARKS = (["<sos>", "<eos>"], ["[SOS]", "[EOS]"])
MISREAD = {f"{vowel}O": f"{vowel}0" for vowel in VOWELS}  # a 0 misread by a scanner, as in AEO
DISTINCTIVE = {*ARPABET_PLAIN} ^ {*ARPABET_STRESS}  # phonemes that only one of the two has


def _is_text(labels: NDArray) -> bool:
    """Return whether `labels` is (T,) str or bytes."""
    if labels.dtype == object:
        return labels.ndim == 1 and set(map(type, labels)) in ({str}, {bytes})
    return labels.ndim == 1 and labels.dtype.kind in "SU"


def _name(stored: str | bytes) -> str:
    """Return the name of a phoneme as the inventories have it."""
    name = stored.decode("ascii", "replace") if isinstance(stored, bytes) else stored
    return "SIL" if name == "[SIL]" else name


def label_indices(labels: NDArray, phonemes: Sequence[str], where: str) -> NDArray:
    """Return the indices, (T,), of phonemes; labels that are no text are returned unchanged.

    Args:
        labels: (T,) indices or phonemes, or (T + 2,) phonemes between two sentence marks.
        phonemes: P names in label order.
        where: the file, for messages.

    Raises:
        InputError: names the place, frame and nearest known phoneme of an unknown one, or a
            sentence mark without its partner.
    """
    if not _is_text(labels):
        return labels  # `pack.write_corpus` checks them
    ends = [*map(_name, labels[[0, -1]].tolist())] if len(labels) > 1 else []
    if ends in SENTENCE_MARKS:
        labels = labels[1:-1]
    elif marks := [end for end in ends if end in chain.from_iterable(SENTENCE_MARKS)]:
        raise InputError(
            f"{where}: begins with {ends[0]!r} and ends with {ends[1]!r}; the sentence mark "
            f"{marks[0]} has no partner: add it or remove {marks[0]}"
        )
    distinct, first, places = np.unique(labels, return_index=True, return_inverse=True)
    known = [
        label_of(_name(name), phonemes, f"{where}, frame {frame}")
        for name, frame in zip(distinct.tolist(), first, strict=True)
    ]
    return np.array(known, np.int64)[places]


def guess_phonemes(labels: Iterable[NDArray], folder: Path) -> tuple[str, ...]:
    """Return the phonemes of an edition, from its labels.

    Args:
        labels: of each utterance: phonemes of one ARPAbet inventory, or indices, for which
            the smallest edition that has them gives the names.
        folder: of the edition, for messages.

    Raises:
        InputError: an index is larger than any edition has.
    """
    largest = -1
    for array in labels:
        if _is_text(array):
            # every vowel is distinctive, so the first utterance usually decides
            if found := DISTINCTIVE.intersection(map(_name, np.unique(array).tolist())):
                return ARPABET_STRESS if found & {*ARPABET_STRESS} else ARPABET_PLAIN
        elif array.size and array.dtype.kind in "iu":
            largest = max(largest, int(array.max()))
    for classes in CLASSES:
        if largest < classes:
            return default_inventory(classes)
    raise InputError(
        f"{folder} has label {largest}, but editions have at most {CLASSES[-1]} classes; add a "
        "phonemes.txt with all phonemes, one a line in label order"
    )


def read_phoneme_list(path: Path) -> tuple[str, ...]:
    """Return the phonemes of "PHONE index" lines, or of "PHONE" lines in label order.

    Raises:
        InputError: the list cannot be read, lacks an index or repeats a phoneme.
    """
    try:
        lines = [line.split() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; save it as text in UTF-8") from None
    rows = [line if len(line) > 1 else [*line, str(index)] for index, line in enumerate(lines)]
    if not rows or {tuple(row[1:]) for row in rows} != {(str(n),) for n in range(len(rows))}:
        raise InputError(
            f"{path}: expected a phoneme and its index on each line, 0 to the number of phonemes "
            "less 1, or phonemes alone in label order"
        )
    names = [_name(name) for name, _ in sorted(rows, key=lambda row: int(row[1]))]
    phonemes = tuple(MISREAD.get(name, name) for name in names)
    for index, name in enumerate(phonemes):
        if name in phonemes[:index]:
            raise InputError(f"{path}: phoneme {name} is listed twice; remove one")
    return phonemes
