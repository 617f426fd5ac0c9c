"""Find utterances that are copies of each other, within and between splits.

Identical utterances have the same digest. A copy at another level, or through another
microphone, has other frames: each band differs by a constant. It has as many frames and about the
same spread, the squared deviations from the means of bands. So utterances are sorted by both,
and each is compared with a few after it: memory and time grow with their number alone. U is the
number of utterances.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from phonemes.inspection.sums import BLOCK, BandSums
from phonemes.normalize import SMALLEST_DEVIATION
from phonemes.storage.layout import Frames

TOLERANCE = 1e-3  # of the deviation; what rounding and a change of level leave of a copy is less
COMPARED = 8  # utterances of equal length and spread that each is compared with


class Duplicates(NamedTuple):
    """Utterances that are copies of each other."""

    identical: bool  # all of them; else some differ by a constant in each band
    members: list[int]  # at least two, in [0, U), ascending


def find_duplicates(
    digests: Sequence[bytes],
    lengths: NDArray[np.integer],
    spreads: NDArray[np.floating],
    frames_of: Callable[[int], Frames],
) -> list[Duplicates]:
    """Return all groups of copies, in the order of their first members.

    Args:
        digests: U, of the frames.
        lengths: (U,) frames.
        spreads: (U,) squared deviations from the means of bands, summed.
        frames_of: gives the frames of an utterance, (T, C).
    """
    codes, _ = pd.factorize(np.array(digests, object))
    first_of = np.flatnonzero(~pd.Series(codes).duplicated())  # one of each digest
    pairs = [(first_of[codes[u]], u) for u in range(len(codes)) if first_of[codes[u]] != u]
    pairs += _copies_with_offsets(first_of, lengths, spreads, frames_of)
    if not pairs:
        return []
    rows, columns = np.array(pairs).T
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), (len(codes), len(codes)))
    _, groups = connected_components(graph, directed=False)
    members = pd.Series(range(len(codes))).groupby(groups).agg(list)
    return [Duplicates(len({*codes[each]}) == 1, each) for each in members if len(each) > 1]


def _copies_with_offsets(
    utterances: NDArray[np.integer],
    lengths: NDArray[np.integer],
    spreads: NDArray[np.floating],
    frames_of: Callable[[int], Frames],
) -> list[tuple[int, int]]:
    """Return pairs of utterances, of those named, that differ by a constant in each band."""
    order = utterances[np.lexsort((spreads[utterances], lengths[utterances]))]
    pairs = []
    for place, one in enumerate(order):
        if spreads[one] <= lengths[one] * SMALLEST_DEVIATION**2:
            continue  # constant frames are equal to all others but for an offset
        for other in order[place + 1 : place + 1 + COMPARED]:
            alike = spreads[other] <= spreads[one] * (1 + TOLERANCE) ** 2
            if lengths[other] != lengths[one] or not alike:
                break
            if _differ_by_constants(frames_of(one), frames_of(other), spreads[one]):
                pairs.append((int(one), int(other)))
    return pairs


def _differ_by_constants(one: Frames, other: Frames, spread: float) -> bool:
    """Return whether the bands of two utterances, (T, C) each, differ by constants alone."""
    difference = BandSums(one.shape[1])
    for start in range(0, len(one), BLOCK):
        block = slice(start, start + BLOCK)
        difference.add(one[block].astype(np.float64) - other[block])
        if difference.squares.sum() > TOLERANCE**2 * spread:
            return False
    return True
