"""Phone errors: the labels of frames as a sequence of phones, compared by edit distance.

A run of equal labels in an utterance is a phone; labels of frames do not tell two equal
phones in a row from a long one. The phone error rate is the fewest insertions, deletions and
substitutions that turn one sequence into the other (Levenshtein, 1966), over the phones of
the truth; it can exceed 1. N frames, U utterances, P phonemes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from phonemes.storage.layout import Labels


class PhoneErrors(NamedTuple):
    """Phones of each utterance and the edits between them, each (U,) int64."""

    phones: NDArray[np.int64]  # of the truth
    predicted: NDArray[np.int64]
    insertions: NDArray[np.int64]
    deletions: NDArray[np.int64]
    substitutions: NDArray[np.int64]

    @property
    def total(self) -> NDArray[np.int64]:
        """Return the edits of each utterance, (U,)."""
        return self.insertions + self.deletions + self.substitutions


def phone_errors(
    labels: Labels,
    predicted: Labels,
    lengths: NDArray[np.integer],
    classes: NDArray[np.integer] | None = None,
    left_out: int | None = None,
) -> PhoneErrors:
    """Return the phone errors of each utterance.

    Args:
        labels: (N,) in [0, P).
        predicted: (N,) in [0, P).
        lengths: (U,) frames of each utterance.
        classes: (P,) what phonemes count as, such as those without stress; None: themselves.
        left_out: a class, such as silence, whose runs separate phones and are none.
    """
    if classes is not None:
        labels, predicted = classes[labels], classes[predicted]
    truth, answer = (phone_texts(each, lengths, left_out) for each in (labels, predicted))
    inserted, deleted, replaced = [], [], []
    for spoken, found in zip(truth, answer, strict=True):
        edits = Levenshtein.editops(spoken, found)
        kept = sum(block.size for block in edits.as_matching_blocks())
        replaced.append(len(spoken) + len(found) - 2 * kept - len(edits))
        deleted.append(len(spoken) - kept - replaced[-1])
        inserted.append(len(found) - kept - replaced[-1])
    counts = [[*map(len, truth)], [*map(len, answer)], inserted, deleted, replaced]
    return PhoneErrors(*(np.array(each, np.int64) for each in counts))


def phone_texts(
    labels: Labels, lengths: NDArray[np.integer], left_out: int | None = None
) -> list[str]:
    """Return the phones of each utterance, U texts, each phone as the character of its number.

    Args:
        labels: (N,) in [0, 2 ** 15), which has a character for every number.
        lengths: (U,) frames of each utterance.
        left_out: see `phone_errors`.
    """
    starts = np.cumsum(lengths) - lengths
    begins = np.diff(labels, prepend=-1) != 0  # (N,) whether a run begins
    begins[starts] = True
    if left_out is not None:
        begins &= labels != left_out
    ends = np.cumsum(np.add.reduceat(begins, starts, dtype=np.int64))
    text = labels[begins].astype("<u4").tobytes().decode("utf-32-le")
    return [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
