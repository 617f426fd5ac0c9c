"""Which phone is spoken when: Praat TextGrids, TIMIT's .PHN, festival's and HTS's .lab.

All become intervals in seconds, in order and without overlap; what lies between two
intervals, or after the last, is silence. A frame gets the phone at its time in
`log_mel.label_times`. A TextGrid's times count from its own beginning.

An alignment has to be as long as its recording, but for roundings; .PHN and .lab do not
give the recording's duration, and may leave its end unlabelled.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.audio import textgrid
from phonemes.corpus.audio.files import read_file
from phonemes.corpus.audio.phones import NO_TABLE, phoneme
from phonemes.corpus.audio.textgrid import Interval, Tier
from phonemes.corpus.source import composed
from phonemes.errors import InputError, raise_true_cause

# s and share of the recording; an alignment may miss the recording's end by the smaller one.
# Rates that are taken for each other differ by 8 % at least, 44,100 and 48,000 Hz
ROUNDING, ROUNDING_SHARE = 0.05, 0.05
# the same for the end that .PHN and .lab leave unlabelled. TIMIT's documentation: "the last
# END_SAMPLE in each transcription file may be less than the actual last sample in the
# corresponding .wav file"
TAIL, TAIL_SHARE = 0.5, 0.25
RATES = (8000, 11025, 12000, 16000, 20000, 22050, 24000, 32000, 44100, 48000, 96000)  # Hz
_ROUNDED = 0.0011  # s; neighbours whose times were rounded to milliseconds miss each other by less
_HTS_SECOND = 10_000_000  # units of 100 ns
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_HTS_PHONE = re.compile(r"\^[^-]*-(.+?)\+")  # p1^p2-PHONE+p4=p5...


class Alignment(NamedTuple):
    """What is spoken in one recording."""

    intervals: list[Interval]  # at least one, ordered, not overlapping
    duration: float | None = None  # s, of the recording; None where the format does not give it
    origin: float = 0.0  # s; where the times began in the file: they count from there
    rate: int | None = None  # Hz, of the samples that the file counts; None where it has times


def read_alignment(path: Path, tier: str, rate: int) -> Alignment:
    """Read a .TextGrid (its `tier`), .PHN (in samples at `rate` Hz) or .lab file.

    Args:
        path: of the file.
        tier: name of the interval tier, or a pattern with * or ? that one tier matches.
        rate: of the recording.

    Raises:
        InputError: names the file, the line or time, and what is wrong.
    """
    suffix = path.suffix.lower()
    if suffix == ".textgrid":
        alignment = _textgrid(path, tier)
    else:
        text = _text(path)
        if suffix == ".phn":
            alignment = Alignment(_columns(text, rate, path), rate=rate)
        elif "#" in map(str.strip, text.splitlines()):
            alignment = Alignment(_festival(text, path))
        else:
            alignment = Alignment(_columns(text, _HTS_SECOND, path))
    if not any(interval.text.strip() for interval in alignment.intervals):
        raise InputError(f"{path} has no phones")
    for before, after in pairwise([Interval(0, 0, ""), *alignment.intervals]):
        # a time in a text may be too large for a float, with which comparisons are false
        if not max(before.start, before.end - _ROUNDED) <= after.start <= after.end:
            raise InputError(
                f"{path}: {after.text!r} from {after.start:.3f} to {after.end:.3f} s follows "
                f"{before.start:.3f} to {before.end:.3f} s; expected times that rise and do not "
                "overlap"
            )
    return alignment


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except OSError as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path}: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}; save it as UTF-8") from None


def _textgrid(path: Path, wanted: str) -> Alignment:
    """Return the only interval tier that is `wanted`, in seconds from the TextGrid's start."""
    tier = _tier(textgrid.read(path), composed(wanted), path)
    intervals = tier.intervals or []
    for before, after in pairwise(intervals):
        if before.start == after.start:
            raise InputError(
                f"{path}, tier {tier.name!r}: {before.text!r} and {after.text!r} start together, "
                f"at {after.start:.3f} s; keep one"
            )
    shifted = [
        Interval(start - tier.start, end - tier.start, text) for start, end, text in intervals
    ]
    end = max([tier.end, *(interval.end for interval in intervals)])
    return Alignment(shifted, end - tier.start, tier.start)


def _tier(tiers: list[Tier], wanted: str, path: Path) -> Tier:
    """Return the interval tier of this name or, if none has it, the one that matches it."""
    candidates = [
        (number, tier) for number, tier in enumerate(tiers, 1) if tier.intervals is not None
    ]
    found = [each for each in candidates if composed(each[1].name) == wanted]
    found = found or [each for each in candidates if fnmatchcase(composed(each[1].name), wanted)]
    if len(found) == 1:
        return found[0][1]
    if found:
        places = ", ".join(f"tier {number} {tier.name!r}" for number, tier in found)
        raise InputError(
            f"{path} has {len(found)} interval tiers for corpus.audio.tier, {wanted!r}: {places}; "
            "rename or remove all but one, or set corpus.audio.tier to what only one matches"
        )
    names = [f"{t.name} (points)" if t.intervals is None else t.name for t in tiers]
    raise InputError(
        f"{path} has no interval tier {wanted!r}; set corpus.audio.tier to one of its tiers, or to "
        f"a pattern such as '* - phones' where names differ: {', '.join(names) or 'it has none'}"
    )


def _columns(text: str, second: int, path: Path) -> list[Interval]:
    """Read lines of start, end and phone; times are in units of 1 / `second` s."""
    intervals = []
    for number, line in enumerate(text.splitlines(), 1):
        match line.split():
            case []:
                continue
            case [start, end, phone, *_] if _NUMBER.fullmatch(start) and _NUMBER.fullmatch(end):
                context = _HTS_PHONE.search(phone)
                name = context[1] if context else phone
                intervals.append(Interval(float(start) / second, float(end) / second, name))
            case _:
                raise InputError(f"{path}, line {number}: expected start, end, phone; got {line!r}")
    return intervals


def _festival(text: str, path: Path) -> list[Interval]:
    """Read lines of end in seconds, a colour code and phone, after a header that ends in "#"."""
    intervals: list[Interval] = []
    lines = list(enumerate(text.splitlines(), 1))
    header = next(number for number, line in lines if line.strip() == "#")
    for number, line in lines[header:]:
        match line.split():
            case []:
                continue
            case [end, _, phone, *_] if _NUMBER.fullmatch(end):
                start = intervals[-1].end if intervals else 0.0
                intervals.append(Interval(start, float(end), phone))
            case _:
                raise InputError(f"{path}, line {number}: expected end, code, phone; got {line!r}")
    return intervals


def frame_labels(
    alignment: Alignment,
    times: NDArray[np.float64],
    seconds: float,
    phonemes: str,
    where: str,
    table: Mapping[str, str] = NO_TABLE,
) -> NDArray[np.int16]:
    """Return the label of the phone at each frame's time.

    Args:
        alignment: of the recording.
        times: (T,) in seconds.
        seconds: how long the recording is.
        phonemes: names the inventory, as in corpus.audio.phonemes.
        where: the alignment's file, for messages.
        table: phonemes of phones, from `phones.read_table`.

    Returns:
        (T,) labels; silence between intervals and beyond the last. A gap of rounded times is
        none: the phone before it lasts until the next one.

    Raises:
        InputError: a phone is unknown, or recording and alignment differ in length.
    """
    _check_length(alignment, seconds, where)
    starts, ends, phones = map(list, zip(*alignment.intervals, strict=True))
    labels = [
        phoneme(phone, phonemes, f"{where}, {start:.3f} s", table)
        for start, phone in zip(starts, phones, strict=True)
    ]
    for place, start in enumerate(starts[1:]):
        if start - ends[place] <= _ROUNDED:
            ends[place] = start
    inside = np.searchsorted(starts, times, side="right") - 1  # (T,), -1 before the first
    spoken = (inside >= 0) & (times < np.array(ends)[inside])
    return np.where(spoken, np.array(labels, np.int16)[inside], np.int16(0))


def _check_length(alignment: Alignment, seconds: float, where: str) -> None:
    """Refuse an alignment that does not belong to a recording of `seconds`."""
    intervals, duration, origin, rate = alignment
    last = intervals[-1].end if duration is None else duration
    if abs(origin) > _ROUNDED and abs(seconds - (origin + last)) < abs(seconds - last):
        raise InputError(
            f"{where}: its times run from {origin:.3f} to {origin + last:.3f} s, those of its "
            f"recording from 0 to {seconds:.3f} s; shift its times so that both begin at 0 (in "
            "Praat: Modify, Modify times), or take the recording that it belongs to"
        )
    meant = [other for other in RATES if rate and _ends_with(last * rate / other, seconds)]
    if meant and not _ends_with(last, seconds):
        raise InputError(
            f"{where}: it ends at {last:.3f} s if it counts samples at {rate} Hz, the rate of its "
            f"recording of {seconds:.3f} s, and fits samples at {meant[0]} Hz; take the recording "
            "at that rate, or write the alignment anew"
        )
    tail = min(TAIL, TAIL_SHARE * seconds) if duration is None else 0.0
    slack = min(ROUNDING, ROUNDING_SHARE * seconds)
    if not last - slack <= seconds <= last + max(slack, tail):
        raise InputError(
            f"{where}: the alignment is {last:.3f} s long, its recording {seconds:.3f} s; "
            "do they belong together, at the same speed?"
        )


def _ends_with(last: float, seconds: float) -> bool:
    """Return whether the end of an alignment is the end of its recording, but for roundings."""
    return abs(seconds - last) <= ROUNDING_SHARE * seconds
