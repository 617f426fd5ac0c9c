"""The course's labels: indices or phonemes, which phonemes there are, and how they are spelled."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.arrays.files import only
from phonemes.errors import InputError, raise_true_cause
from phonemes.inventory import (
    ARPABET_PLAIN,
    ARPABET_STRESS,
    TIMIT,
    VOWELS,
    canonical_names,
    comparable,
    default_inventory,
    label_of,
)
from phonemes.storage.layout import MOST_PHONEMES, Spelling

CLASSES = (40, 71, 138, 346)  # of the editions
SENTENCE_MARKS = (["<sos>", "<eos>"], ["[SOS]", "[EOS]"])
LARGEST_LIST = 4 << 20  # bytes of phonemes.txt; 71 phonemes need 500
_TIMIT = {comparable(name) for name in TIMIT}
DISTINCTIVE = {  # phonemes that the other inventories lack
    ARPABET_STRESS: {*ARPABET_STRESS} - {*ARPABET_PLAIN} - _TIMIT,
    TIMIT: _TIMIT - {*ARPABET_PLAIN},
}


def is_text(labels: NDArray) -> bool:
    """Return whether `labels` is (T,) str or bytes."""
    if labels.dtype == object:
        return labels.ndim == 1 and set(map(type, labels)) in ({str}, {bytes})
    return labels.ndim == 1 and labels.dtype.kind in "SU"


def _text(stored: str | bytes) -> str:
    return stored.decode("utf-8", "replace") if isinstance(stored, bytes) else stored


class LabelReader:
    """Reads labels as indices into `phonemes`, and remembers how the data spell them."""

    def __init__(self, phonemes: Sequence[str], listed: Sequence[str] | None = None) -> None:
        """Read labels of P phonemes.

        Args:
            phonemes: their names in label order.
            listed: their spelling in phonemes.txt, where there is one.
        """
        self.phonemes = tuple(phonemes)
        self._listed = tuple(listed or phonemes)
        keys = [*map(comparable, phonemes)]
        shared = {key for key, count in Counter(keys).items() if count > 1}
        self._index = {key: i for i, key in enumerate(keys) if key not in shared}
        self._exact = {
            name: i for names in (self.phonemes, self._listed) for i, name in enumerate(names)
        }
        self._counts: defaultdict[int, Counter[str]] = defaultdict(Counter)  # by phoneme
        self._text: bool | None = None  # of train and dev, once known

    def indices(self, labels: NDArray, where: str, *, counted: bool = True) -> NDArray:
        """Return the indices, (T,), of phonemes; labels that are no text are returned unchanged.

        Args:
            labels: (T,) indices or phonemes, or (T + 2,) phonemes between two sentence marks.
            where: the file, for messages.
            counted: they show how the data write labels; those of test do not.

        Raises:
            InputError: names the place, frame and nearest known phoneme of an unknown one, a
                sentence mark without its partner, or labels of the other kind.
        """
        text = is_text(labels)
        if counted and (text or labels.dtype.kind in "iu"):
            self._check_kind(text, where)
        if not text:
            return labels  # `pack.write_corpus` checks them
        labels = _without_marks(labels, where)
        distinct, first, places, counts = np.unique(
            labels, return_index=True, return_inverse=True, return_counts=True
        )
        known = []
        for stored, frame, count in zip(distinct.tolist(), first, counts.tolist(), strict=True):
            name = _text(stored)
            known.append(self._find(name, f"{where}, frame {frame}"))
            if counted:
                self._counts[known[-1]][name] += count
        return np.array(known, np.int64)[places]

    def _check_kind(self, text: bool, where: str) -> None:
        """Refuse integers after text and text after integers."""
        if self._text is None:
            self._text = text
        if text != self._text:
            kinds = ("integers", "text")
            raise InputError(
                f"{where}: labels are {kinds[text]}, those before are {kinds[not text]}; "
                "label train and dev in one way"
            )

    def _find(self, name: str, where: str) -> int:
        index = self._exact.get(name)
        if index is None:
            index = self._index.get(comparable(name))
        return label_of(name, self.phonemes, where) if index is None else index

    def spelling(self) -> Spelling:
        """Return how the labels read so far were written.

        A phoneme is spelled as most of its labels are, else as in phonemes.txt, else by its
        own name.

        Raises:
            InputError: two spellings of a phoneme are equally frequent.
        """
        spelled = [*self._listed]
        for index, counts in self._counts.items():
            (first, most), *others = counts.most_common()
            if others and others[0][1] == most:
                raise InputError(
                    f"labels spell {self.phonemes[index]} {first!r} and {others[0][0]!r} equally "
                    f"often ({most:,}); spell it in one way"
                )
            spelled[index] = first
        return Spelling(bool(self._text), tuple(spelled))

    def mixtures(self) -> list[str]:
        """Return a line for each phoneme that the labels read so far spell in several ways."""
        return [
            f"labels spell {self.phonemes[index]} in {len(counts)} ways: "
            + ", ".join(f"{name!r} ({count:,})" for name, count in counts.most_common(3))
            + f"; predictions will say {counts.most_common(1)[0][0]!r}"
            for index, counts in sorted(self._counts.items())
            if len(counts) > 1
        ]


def listed_reader(folders: Iterable[Path]) -> LabelReader | None:
    """Return a reader of the phonemes in a phonemes.txt, None where no folder has one.

    Raises:
        InputError: two folders have one, or as `read_phoneme_list`.
    """
    path = only("phonemes.txt", folders)
    if path is None:
        return None
    spelled = read_phoneme_list(path)
    return LabelReader(canonical_names(spelled), spelled)


def _without_marks(labels: NDArray, where: str) -> NDArray:
    """Return labels without sentence marks at their two ends."""
    ends = [*map(_text, labels[[0, -1]].tolist())] if len(labels) > 1 else []
    if ends in SENTENCE_MARKS:
        return labels[1:-1]
    if marks := [end for end in ends if end in chain.from_iterable(SENTENCE_MARKS)]:
        raise InputError(
            f"{where}: begins with {ends[0][:40]!r} and ends with {ends[1][:40]!r}; the sentence "
            f"mark {marks[0]} has no partner: add it or remove {marks[0]}"
        )
    return labels


def guess_phonemes(labels: Iterable[NDArray], folder: Path) -> tuple[str, ...]:
    """Return the phonemes of an edition, from its labels.

    Args:
        labels: of each utterance: phonemes of one inventory, or indices, for which the smallest
            edition that has them gives the names.
        folder: of the edition, for messages.

    Raises:
        InputError: an index is larger than any edition has.
    """
    largest = -1
    names: set[str] = set()
    for array in labels:
        if is_text(array):
            names.update(comparable(_text(name)) for name in np.unique(array).tolist())
            for inventory, distinctive in DISTINCTIVE.items():
                if names & distinctive:
                    return inventory
            if "SIL" in names and names & {*VOWELS}:  # usually the first utterance has both
                return ARPABET_PLAIN
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
    """Return the phonemes of "PHONE index" lines, or of "PHONE" lines in label order, as spelled.

    Raises:
        InputError: the list cannot be read, lacks an index or repeats a phoneme.
    """
    if not path.is_file():  # a pipe would never end
        raise InputError(f"{path} is not a file; put a list of phonemes in its place")
    if (size := path.stat().st_size) > LARGEST_LIST:
        raise InputError(
            f"{path} has {size:,} bytes; expected at most {LARGEST_LIST:,}: a phoneme a line"
        )
    try:
        lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise_true_cause(error, path)
        raise InputError(f"{path} cannot be read: {error}; save it as text in UTF-8") from None
    if len(lines) > MOST_PHONEMES:
        raise InputError(f"{path} lists {len(lines):,} phonemes; expected at most {MOST_PHONEMES}")
    spelled = dict(_indexed(lines))
    if not lines or {*spelled} != {*map(str, range(len(lines)))}:
        raise InputError(
            f"{path}: expected a phoneme and its index on each line, 0 to the number of phonemes "
            "less 1, or phonemes alone in label order"
        )
    phonemes = tuple(spelled[str(index)] for index in range(len(lines)))
    for name, count in Counter(canonical_names(phonemes)).items():
        if count > 1:
            raise InputError(f"{path}: phoneme {name} is listed twice; remove one")
    return phonemes


def _indexed(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield index and phoneme of each line; the index as it stands there, else the line's place."""
    for number, line in enumerate(lines):
        name, *index = line.split(maxsplit=2)
        yield " ".join(index) or str(number), name
