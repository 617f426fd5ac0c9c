"""How well two annotations of the same recordings agree, boundary by boundary.

An interval of the reference is found where the other annotation has one of the same label at
the same time; of several the one that it shares most time with, and each counts once. A
boundary is where an interval begins, but for one that begins with the recording: so the
beginning of a silence is the end of what precedes it. ARPAbet and TIMIT phones count as
`pages.reference` compares them, without stress; all others by their text.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from phonemes.corpus.audio.phones import SILENCES
from phonemes.corpus.audio.textgrid import Interval
from phonemes.errors import InputError
from phonemes.pages.reference import Comparison, Tier, compare, plain, reference_tiers
from phonemes.transcription.segments import Segment

SUFFIX = ".TextGrid"


class Pair(NamedTuple):
    """Two annotations of a recording."""

    name: str  # for people
    reference: Path
    other: Path


class Boundary(NamedTuple):
    """Where an interval of the reference begins."""

    label: str  # of the interval
    start: float  # s, in the reference
    found: float | None  # s, where it begins in the other annotation; None where it is not there


class Agreement(NamedTuple):
    """What two annotations of a recording have in common."""

    boundaries: list[Boundary]  # of the reference, in order
    more: int  # boundaries of the other annotation that are none of the reference
    time: Comparison | None  # None where the labels are no ARPAbet or TIMIT phones


def pairs(reference: Path, other: Path) -> tuple[list[Pair], list[Path]]:
    """Return the TextGrids of two files or folders, by their names, and those without another.

    Raises:
        InputError: one is not there, a folder is compared with a file, or there is no pair.
    """
    for path in (reference, other):
        if not path.exists():
            raise InputError(f"there is no TextGrid or folder {path}")
    if reference.is_dir() != other.is_dir():
        raise InputError(
            f"{reference} and {other} are a folder and a file; give two files or two folders"
        )
    if not reference.is_dir():
        return [Pair(reference.stem, reference, other)], []
    names = sorted(
        path.relative_to(reference)
        for path in reference.rglob("*")
        if path.suffix.lower() == SUFFIX.lower()
        and not any(part.startswith(".") for part in path.relative_to(reference).parts)
    )
    found = [
        Pair(name.with_suffix("").as_posix(), reference / name, other / name)
        for name in names
        if (other / name).is_file()
    ]
    if not found:
        raise InputError(f"no {SUFFIX} of {reference} has one of the same name in {other}")
    return found, [reference / name for name in names if not (other / name).is_file()]


def tier_of(path: Path, name: str) -> Tier:
    """Return a tier of a TextGrid, by its name.

    Raises:
        InputError: the TextGrid cannot be read, or has no such tier with labels.
    """
    tiers = {tier.name: tier for tier in reference_tiers(path)}
    if name not in tiers:
        raise InputError(f"{path} has no tier {name} with labels; name one of {', '.join(tiers)}")
    return tiers[name]


def agreement(reference: Tier, other: Tier) -> Agreement:
    """Return what two tiers of a recording have in common."""
    expected, present = _merged(reference.intervals), _merged(other.intervals)
    partners = _partners(expected, present)
    boundaries = [
        Boundary(each.text, each.start, present[partners[number]].start)
        if number in partners
        else Boundary(each.text, each.start, None)
        for number, each in enumerate(expected)
        if each.start > 0
    ]
    found = {partners[number] for number in partners if expected[number].start > 0}
    more = sum(each.start > 0 and number not in found for number, each in enumerate(present))
    phones = [Segment(*each, 1.0) for each in other.intervals]
    return Agreement(boundaries, more, compare(phones, reference))


def _merged(intervals: Sequence[Interval]) -> list[Interval]:
    """Return intervals of which silences in a row, and gaps, are one silence with the text ""."""
    merged: list[Interval] = []
    for start, end, text in _without_gaps(intervals):
        text = "" if text.lower().strip("<>[]{}()") in SILENCES else text
        if text or not merged or merged[-1].text:
            merged.append(Interval(start, end, text))
        else:
            merged[-1] = merged[-1]._replace(end=end)
    return merged


def _without_gaps(intervals: Sequence[Interval]) -> Iterator[Interval]:
    """Yield intervals, and a silence wherever there is none."""
    last = 0.0
    for interval in intervals:
        if interval.start > last:
            yield Interval(last, interval.start, "")
        yield interval
        last = interval.end


def _names(intervals: Sequence[Interval]) -> dict[str, str]:
    """Return by what name each text is compared."""
    texts = {interval.text for interval in intervals}
    try:
        return {text: plain(text) for text in texts}
    except InputError:
        return {text: text for text in texts}


def _partners(expected: Sequence[Interval], present: Sequence[Interval]) -> dict[int, int]:
    """Return which present interval each expected one is that is found, by their numbers."""
    names = _names([*expected, *present])
    ends = [each.end for each in present]
    shared = []  # s that two of one name have in common, negative, and their numbers
    for number, (start, end, text) in enumerate(expected):
        for at in range(bisect_right(ends, start), len(present)):
            if present[at].start >= end:
                break
            if names[present[at].text] == names[text]:
                time = min(end, present[at].end) - max(start, present[at].start)
                shared.append((-time, number, at))
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for _, number, at in sorted(shared):
        if number not in partners and at not in taken:
            partners[number] = at
            taken.add(at)
    return partners
