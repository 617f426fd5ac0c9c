"""What a source of data delivers: the utterances of each split, one after the other."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.storage.layout import Labels, Spelling

SURROGATES = "\ud800-\udfff"  # how Python reads bytes in a name that are no UTF-8
UNWRITABLE = re.compile(f"[\0-\x1f\x7f-\x9f\u2028\u2029{SURROGATES}]")  # and ends of lines


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
    # both are called after the last utterance was read
    spelling: Callable[[], Spelling] | None = None  # None: integers, and phonemes as they are
    notes: Callable[[], Sequence[str]] = tuple  # lines that the user should see
    header: tuple[str, str] = ("id", "label")  # of predictions, as the edition asks for them


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which names are compared.

    macOS writes an é as e and an accent.
    """
    return unicodedata.normalize("NFC", name)


def check_name(name: str, where: str) -> None:
    """Refuse a name that later stages could not read back from a line of text.

    Args:
        name: of an utterance, a speaker or a file.
        where: the file, for messages; escaped there, as it may hold the same character.

    Raises:
        InputError: the name has a control character or is not UTF-8.
    """
    if found := UNWRITABLE.search(name):
        surrogate = re.match(f"[{SURROGATES}]", found[0])
        what = "is not UTF-8" if surrogate else f"has the control character {found[0]!r}"
        raise InputError(f"{where!r}: its name {what}; rename it")
