"""Reference tiers next to a transcript, and during how much of the time the two agree.

A tier is compared if all its labels are ARPAbet or TIMIT phones or spellings of silence, at
least one of them a phoneme. Case and stress do not count, noise counts as silence, and
TIMIT's phones count as the ARPAbet phones of `corpus.audio.phones`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.audio import textgrid
from phonemes.corpus.audio.phones import phoneme
from phonemes.corpus.audio.textgrid import Interval
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_PLAIN
from phonemes.transcription.segments import Segment, runs
from phonemes.wording import percent

SILENCE = ARPABET_PLAIN.index("SIL")
_MOST = 0.5  # share of an interval's time; one that differs for longer is marked as different


class Tier(NamedTuple):
    """Intervals of a reference, in order of time."""

    name: str
    intervals: tuple[Interval, ...]


class Comparison(NamedTuple):
    """Where a tier and a transcript agree; only time within both counts."""

    agreeing: float  # s in which both have the same phoneme
    compared: float  # s
    speech_agreeing: float  # s, of those in which the tier has no silence
    speech: float  # s in which the tier has no silence
    differences: tuple[tuple[float, float], ...]  # start and end, s, of what does not agree
    differs: tuple[bool, ...]  # for each interval, whether most of its time does not agree

    def __str__(self) -> str:
        """Return during what share of the time both agree, for people."""
        spoken = self.speech_agreeing / self.speech if self.speech else 0
        words = f"{percent(self.agreeing / self.compared)} of the time"
        words += f" ({percent(spoken)} of its {self.speech:.2f} s of speech)" if self.speech else ""
        return words


def reference_tiers(path: Path) -> list[Tier]:
    """Return the interval tiers of a TextGrid.

    Raises:
        InputError: it cannot be read, or has no tier of intervals with a text.
    """
    tiers = [
        Tier(tier.name, tuple(_counted_from(tier.start, tier.intervals)))
        for tier in textgrid.read(path)
        if tier.intervals and any(interval.text.strip() for interval in tier.intervals)
    ]
    if not tiers:
        raise InputError(
            f"{path} has no interval tier with a text in it; name a TextGrid that has a tier of "
            "phones or words"
        )
    return tiers


def plain(name: str) -> str:
    """Return the ARPAbet phoneme without stress, or SIL, that a phone's name means.

    Raises:
        InputError: it means none.
    """
    return ARPABET_PLAIN[phoneme(name, "arpabet-plain", "")]


def _counted_from(origin: float, intervals: Sequence[Interval]) -> Iterator[Interval]:
    """Yield intervals whose times count from the beginning of their TextGrid."""
    for start, end, text in intervals:
        yield Interval(start - origin, end - origin, text.strip())


def compare(phones: Sequence[Segment], tier: Tier) -> Comparison | None:
    """Compare a transcript's phonemes with a tier; None where the tier does not hold phonemes.

    Args:
        phones: of the transcript, in order.
        tier: of the reference.
    """
    wanted = _labels([interval.text for interval in tier.intervals])
    found = _labels([phone.label for phone in phones])
    if wanted is None or found is None or not wanted.any():
        return None
    items: list[Interval | Segment] = [*phones, *tier.intervals]
    bounds = np.unique([time for item in items for time in item[:2]])
    starts, lengths = bounds[:-1], np.diff(bounds)  # pieces within which nothing changes
    middles = starts + lengths / 2
    in_tier = _interval_at(middles, tier.intervals)  # -1 outside
    in_phones = _interval_at(middles, phones)
    both = (in_tier >= 0) & (in_phones >= 0)
    if not both.any():
        return None
    agree = both & (wanted[in_tier] == found[in_phones])
    speech = both & (wanted[in_tier] != SILENCE)
    differ = both & ~agree
    own = np.bincount(in_tier[both], lengths[both], len(wanted))  # s of each interval
    differing = np.bincount(in_tier[differ], lengths[differ], len(wanted))
    return Comparison(
        float(lengths[agree].sum()),
        float(lengths[both].sum()),
        float(lengths[agree & speech].sum()),
        float(lengths[speech].sum()),
        tuple((float(bounds[a]), float(bounds[b])) for a, b in runs(differ) if differ[a]),
        tuple((differing > _MOST * own).tolist()),
    )


def _labels(names: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the label of each name in ARPABET_PLAIN; None if one is no phoneme's name."""
    try:
        known = {name: ARPABET_PLAIN.index(plain(name)) for name in set(names)}
    except InputError:
        return None
    return np.array([known[name] for name in names], dtype=np.int64)


def _interval_at(
    times: NDArray[np.float64], intervals: Sequence[Interval] | Sequence[Segment]
) -> NDArray[np.int64]:
    """Return the index of the interval at each time, -1 where there is none."""
    found = np.searchsorted([each.start for each in intervals], times, side="right") - 1
    ends = np.array([each.end for each in intervals])
    return np.where(times < ends[found], found, -1)
