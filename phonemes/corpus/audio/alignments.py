"""Which phone is spoken when: Praat TextGrids, TIMIT's .PHN, festival's and HTS's .lab.

All become intervals in seconds, in order and without overlap; what lies between two
intervals, or after the last, is silence. A frame gets the phone at its time in
`log_mel.label_times`.

Names of phones are compared without case and without the brackets around "<eps>" or
"[noise]". Silence has many spellings and is SIL, h# for TIMIT's labels. Spoken noise,
such as MFA's spn, is SPN; the inventories without SPN call it silence. TIMIT's and
festival's names become ARPAbet as in Lee and Hon's folding (`inventory.TIMIT_FOLDED`),
but AO and ZH stay what they are and the flap dx is the T that dictionaries write. Of these
vowels only the reduced ones (ax, ax-h, axr, ix) have a known stress, 0.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.audio import textgrid
from phonemes.corpus.audio.textgrid import Interval
from phonemes.errors import InputError, did_you_mean
from phonemes.inventory import INVENTORIES, TIMIT_FOLDED, VOWELS

SILENCES = frozenset(["", *"sil silence sp ssil pau eps h# # p:".split()])  # p: is WebMAUS's
NOISES = frozenset("spn nsn unk oov noise breath brth".split())
TIMIT_TO_ARPABET = TIMIT_FOLDED | {"ao": "AO", "zh": "ZH", "dx": "T"}
REDUCED = {"ax": "AH0", "ax-h": "AH0", "axr": "ER0", "ix": "IH0"}

ROUNDING = 0.05  # s; an alignment may miss the recording's end by this
# s; .PHN and .lab give no duration. TIMIT's documentation: "the last END_SAMPLE in each
# transcription file may be less than the actual last sample in the corresponding .wav file"
UNLABELLED_TAIL = 0.5
_OVERLAP = 0.001  # s; of times rounded to milliseconds
_HTS_SECOND = 10_000_000  # units of 100 ns
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_HTS_PHONE = re.compile(r"\^[^-]*-(.+?)\+")  # p1^p2-PHONE+p4=p5...


class Alignment(NamedTuple):
    """What is spoken in one recording."""

    intervals: list[Interval]  # at least one, ordered, not overlapping
    duration: float | None  # s, of the recording; None where the format does not give it


def read_alignment(path: Path, tier: str, rate: int) -> Alignment:
    """Read a .TextGrid (its `tier`), .PHN (in samples at `rate` Hz) or .lab file.

    Raises:
        InputError: names the file, the line or time, and what is wrong.
    """
    duration = None
    if path.suffix.lower() == ".textgrid":
        intervals, duration = _textgrid(path, tier)
    else:
        text = _text(path)
        if path.suffix.lower() == ".phn":
            intervals = _columns(text, rate, path)
        elif "#" in map(str.strip, text.splitlines()):
            intervals = _festival(text, path)
        else:
            intervals = _columns(text, _HTS_SECOND, path)
    if not any(interval.text.strip() for interval in intervals):
        raise InputError(f"{path} has no phones")
    for before, after in pairwise([Interval(0, 0, ""), *intervals]):
        # the times of a TextGrid may be NaN, with which every comparison is false
        if not max(before.start, before.end - _OVERLAP) <= after.start <= after.end:
            raise InputError(
                f"{path}: {after.text!r} from {after.start:.3f} to {after.end:.3f} s follows "
                f"{before.start:.3f} to {before.end:.3f} s; expected times that rise and do not "
                "overlap"
            )
    return Alignment(intervals, duration)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}; save it as UTF-8") from None


def _textgrid(path: Path, tier: str) -> tuple[list[Interval], float]:
    tiers = textgrid.read(path)
    for found in tiers:
        if found.name == tier and found.intervals is not None:
            return found.intervals, max([found.end, *(i.end for i in found.intervals)])
    names = [f"{t.name} (points)" if t.intervals is None else t.name for t in tiers]
    raise InputError(
        f"{path} has no interval tier {tier!r}; set corpus.audio.tier to one of its tiers: "
        f"{', '.join(names) or 'none'}"
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


def phoneme(phone: str, phonemes: str, where: str) -> int:
    """Return the label of a phone's name in the inventory named `phonemes`.

    Raises:
        InputError: the phone is unknown, or a vowel without stress where stress is asked for.
    """
    inventory = INVENTORIES[phonemes]
    name = phone.strip().strip("<>[]{}()+").lower()
    if name in SILENCES and name not in inventory:
        return 0  # every inventory begins with its silence
    if name in NOISES:
        return inventory.index("SPN") if "SPN" in inventory else 0
    if phonemes == "arpabet-stress":
        name = REDUCED.get(name, TIMIT_TO_ARPABET.get(name, name.upper()))
        if name in VOWELS:
            raise InputError(
                f"{where}: vowel {phone!r} has no stress digit; set corpus.audio.phonemes: "
                "arpabet-plain"
            )
    elif phonemes == "arpabet-plain":
        name = TIMIT_TO_ARPABET.get(name, name.upper())
        name = name[:-1] if name[:-1] in VOWELS and name[-1] in "012" else name
    if name not in inventory:
        raise InputError(
            f"{where}: phone {phone!r} is not in corpus.audio.phonemes: {phonemes}"
            f"{did_you_mean(name, inventory)}"
        )
    return inventory.index(name)


def frame_labels(
    alignment: Alignment,
    times: NDArray[np.float64],
    seconds: float,
    phonemes: str,
    where: str,
) -> NDArray[np.int16]:
    """Return the label of the phone at each frame's time.

    Args:
        alignment: of the recording.
        times: (T,) in seconds.
        seconds: how long the recording is.
        phonemes: names the inventory, as in corpus.audio.phonemes.
        where: the alignment's file, for messages.

    Returns:
        (T,) labels; silence between intervals and beyond the last.

    Raises:
        InputError: a phone is unknown, or recording and alignment differ in length.
    """
    intervals, duration = alignment
    last = intervals[-1].end if duration is None else duration
    tail = UNLABELLED_TAIL if duration is None else ROUNDING
    if not last - ROUNDING <= seconds <= last + tail:
        raise InputError(
            f"{where}: the alignment is {last:.3f} s long, its recording {seconds:.3f} s; "
            "do they belong together, at the same speed?"
        )
    starts, ends, phones = zip(*intervals, strict=True)
    labels = [
        phoneme(phone, phonemes, f"{where}, {start:.3f} s")
        for start, phone in zip(starts, phones, strict=True)
    ]
    inside = np.searchsorted(starts, times, side="right") - 1  # (T,), -1 before the first
    spoken = (inside >= 0) & (times < np.array(ends)[inside])
    return np.where(spoken, np.array(labels, np.int16)[inside], np.int16(0))
