"""Cut dev in two halves: on one a search chooses, on the other it reports.

The best of many trials on the same frames is too good by chance. What it scores on frames that
it was not chosen on is not, and no speaker is in both halves. The halves depend on the corpus
alone, so that all searches of a corpus report on the same speakers.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError


def choosing_half(speakers: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which utterances are in the half that a search chooses on, (U,).

    Speakers are dealt out, the one with most frames first, each to the half with fewer frames.
    Where none is known, the first utterances are in one half, the last ones in the other: most
    of a speaker's stay together.

    Args:
        speakers: (U,) of each utterance, "" where unknown: the utterance then stands alone.
        lengths: (U,) frames of each utterance.

    Raises:
        InputError: there is one speaker, or one utterance.
    """
    groups: dict[str | int, list[int]] = defaultdict(list)
    for number, speaker in enumerate(speakers):
        groups[speaker or number].append(number)
    if len(groups) < 2:
        kind = "speaker" if any(speakers) else "utterance"
        raise InputError(
            f"dev has one {kind}; a search needs two, one to choose on and one to report on: "
            "give dev more of them, as with corpus.audio.dev_share"
        )
    chosen = np.zeros(len(speakers), bool)
    if not any(speakers):
        before = np.cumsum(lengths) - lengths / 2  # the middle of each utterance
        chosen[before < lengths.sum() / 2] = True
        chosen[0], chosen[-1] = True, False
        return chosen
    frames = {group: int(lengths[numbers].sum()) for group, numbers in groups.items()}
    totals = [0, 0]  # frames of the choosing half, and of the other
    for group in sorted(groups, key=lambda each: (-frames[each], str(each))):
        half = int(totals[1] < totals[0])
        totals[half] += frames[group]
        chosen[groups[group]] = half == 0
    return chosen
