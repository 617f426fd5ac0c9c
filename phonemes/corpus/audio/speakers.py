"""Who speaks in a recording and which split it belongs to, from paths and lists only.

Speakers come from the folders, from a regular expression or from a list; splits from
the first folder, from a list, or as seeded shares of the speakers.
"""

import csv
import io
import re
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from phonemes.corpus.audio.files import contained, listing, read_file
from phonemes.corpus.params import AudioParams
from phonemes.corpus.shares import draw_splits, share_sizes
from phonemes.corpus.source import composed
from phonemes.errors import InputError, raise_true_cause
from phonemes.storage.layout import SPLITS
from phonemes.wording import counted

SPLIT_NAMES = {"train": "train", "dev": "dev", "val": "dev", "test": "test"}
PATTERN_SECONDS = 60.0  # that a pattern may take for all paths; a sound one takes below a second
# how a pattern is given to DVC, which takes brackets and commas without quotes for its own
PATTERN_EXAMPLE = """-S "corpus.audio.speaker='^([^_]+)_'\""""
LONGEST_SHOWN = 200  # characters of a pattern in messages
_NESTED = ("librispeech", "arctic")  # layouts with a folder between speaker and recording
_PARTED = ("librispeech", "timit")  # layouts whose first folder is a part of the corpus
_AUDIO_SUFFIX = re.compile(r"\.(wav|flac)$", re.IGNORECASE)


class Place(NamedTuple):
    """Where a recording belongs."""

    speaker: str  # "" where unknown
    split: str


def places(files: Mapping[str, PurePosixPath], path: Path, audio: AudioParams) -> dict[str, Place]:
    """Return the place of every recording, in the order of `files`.

    Args:
        files: path of each recording, relative to the corpus, by its name.
        path: the corpus.
        audio: corpus.audio: layout, speaker, split, speakers, shares and seed.

    Raises:
        InputError: a speaker or split cannot be found, or a split stays empty.
    """
    if audio.split == "list":
        found = _listed(files, path, audio)
    else:
        speakers = speakers_of(files, audio)
        if audio.split == "folder":
            splits = _by_folder(files)
        else:
            shares = share_speakers(speakers.values(), audio)
            splits = {name: shares[speaker] for name, speaker in speakers.items()}
        found = {name: Place(speaker, splits[name]) for name, speaker in speakers.items()}
    for split in SPLITS:
        if not any(place.split == split for place in found.values()):
            raise InputError(
                f"no recording in {path} is in the {split} split; add some, or set "
                "corpus.audio.split to share, which draws the splits from all speakers"
            )
    return found


def speakers_of(files: Mapping[str, PurePosixPath], audio: AudioParams) -> dict[str, str]:
    """Return the speaker of every recording; see `speaker_of`.

    Raises:
        InputError: as `speaker_of` does; or folders of one name, taken for one speaker, lie in
            different folders; or the pattern takes longer than PATTERN_SECONDS.
    """
    with _limited(PATTERN_SECONDS, audio.speaker):
        speakers = {name: speaker_of(file, audio) for name, file in files.items()}
    if audio.speaker != "folder":
        return speakers
    homes: dict[str, PurePosixPath] = {}
    for name, speaker in speakers.items():
        home = _speaker_folder(files[name], audio)
        first = len(home.parts) > 1 and (audio.split == "folder" or audio.layout in _PARTED)
        place = PurePosixPath(*home.parts[1:]) if first else home  # without train, TEST, ...
        other = homes.setdefault(speaker, place)
        if speaker and other != place:
            pattern = "^[^/]+/([^/]+)/" if first else "^([^/]+)/"
            raise InputError(
                f"corpus.audio.speaker: folder takes {other} and {place} for one speaker, "
                f"{speaker}; say which part of the path is the speaker, as with "
                f"-S \"corpus.audio.speaker='{pattern}'\", or '([^/]+)/[^/]+$' if they are one"
            )
    return speakers


def speaker_of(file: PurePosixPath, audio: AudioParams) -> str:
    """Return the speaker of a recording in NFC, "" where its folder is no speaker's.

    Raises:
        InputError: the path lacks the folders of its layout or does not match corpus.audio.speaker.
    """
    if audio.speaker != "folder":
        match = _pattern(audio.speaker).search(composed(str(file)))
        if not match or not match[1]:
            raise InputError(
                f"corpus.audio.speaker: {audio.speaker!r} finds no speaker in {str(file)!r}"
            )
        return match[1]
    folder = _speaker_folder(file, audio)
    if audio.layout == "librispeech" and not folder.name:
        raise InputError(f"{file}: layout librispeech expects SUBSET/SPEAKER/CHAPTER/NAME.flac")
    if audio.split == "folder" and len(folder.parts) < 2:
        return ""  # the folder of a split
    return folder.name


def _speaker_folder(file: PurePosixPath, audio: AudioParams) -> PurePosixPath:
    """Return the folder, in NFC, that names a recording's speaker."""
    folder = PurePosixPath(composed(str(file.parent)))
    return folder.parent if audio.layout in _NESTED else folder


@lru_cache(maxsize=8)
def _pattern(expression: str) -> re.Pattern[str]:
    """Return corpus.audio.speaker compiled; refuse it for whatever Python refuses it."""
    try:
        pattern = re.compile(composed(expression))
        reason = "" if pattern.groups else "it has no group"
    except (ValueError, OverflowError, RecursionError, MemoryError, re.error) as error:
        reason = str(error) or "it is too long"
    if reason:
        shown = expression if len(expression) <= LONGEST_SHOWN else f"{expression[:LONGEST_SHOWN]}…"
        raise InputError(
            f"corpus.audio.speaker is {shown!r}: {reason}; expected folder or a regular "
            f"expression whose group 1 is the speaker, such as {PATTERN_EXAMPLE}"
        )
    return pattern


@contextmanager
def _limited(seconds: float, pattern: str) -> Iterator[None]:
    """Refuse a pattern that is still searching after some seconds: it may never end.

    Windows has no such timer; there the search goes on until Ctrl-C.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise InputError(
            f"corpus.audio.speaker: {pattern[:LONGEST_SHOWN]!r} takes longer than {seconds:g} s; "
            "avoid repetitions within repetitions, as in (a+)+"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _by_folder(files: Mapping[str, PurePosixPath]) -> dict[str, str]:
    """Return the split that each path's first folder names, as train-clean-100 and TEST do."""
    splits = {}
    strays = []
    for name, file in files.items():
        named = re.match("|".join(SPLIT_NAMES), str(file).lower()) if len(file.parts) > 1 else None
        if named:
            splits[name] = SPLIT_NAMES[named[0]]
        else:
            strays.append(str(file))
    if strays:
        raise InputError(
            f"{counted(len(strays), 'recording')} in no folder train, dev (or val) or test: "
            f"{listing(strays)}; move them, or set corpus.audio.split to list or share"
        )
    return splits


def share_speakers(speakers: Iterable[str], audio: AudioParams) -> dict[str, str]:
    """Return the split of each speaker: seeded shares, at least one speaker for each split.

    Raises:
        InputError: speakers are unknown or too few.
    """
    known = sorted(set(speakers))
    if "" in known:
        raise InputError(
            "corpus.audio.split: share needs the speaker of every recording; put each speaker's "
            "recordings in a folder or set corpus.audio.speaker"
        )
    sizes = share_sizes(len(known), {"dev": audio.dev_share, "test": audio.test_share})
    if sum(sizes.values()) >= len(known):
        raise InputError(
            f"corpus.audio.split: share leaves train no speaker: dev takes {sizes['dev']} and test "
            f"{sizes['test']} of {len(known)} ({listing(known)}); add speakers, or check "
            "corpus.audio.speaker, dev_share and test_share"
        )
    return draw_splits(known, sizes, audio.seed)


def _listed(
    files: Mapping[str, PurePosixPath], corpus: Path, audio: AudioParams
) -> dict[str, Place]:
    """Return the places of recordings from a CSV file with a row for each file or speaker."""
    what = f"corpus.audio.speakers: {audio.speakers}"
    path = contained(corpus / audio.speakers, corpus, what)
    if not path.exists():
        raise InputError(
            f"corpus.audio.split is list, and there is no {path}; write it with the columns "
            "file,speaker,split, or set corpus.audio.split to share"
        )
    table = _table(path)
    key = "file" if "file" in table else "speaker"
    if not {key, "split"} <= set(table):
        raise InputError(
            f"{path} has the columns {', '.join(map(str, table))}; expected split and file or "
            "speaker"
        )
    rows = _rows(table, key, path)
    by_path = key == "speaker" or "speaker" not in table
    speakers = speakers_of(files, audio) if by_path else {}
    subjects = {name: name for name in files} if key == "file" else speakers
    unlisted = {name for name, subject in subjects.items() if subject not in rows}
    absent = rows.keys() - subjects.values()
    if unlisted or absent:
        recordings, rows_left = counted(len(unlisted), "recording"), counted(len(absent), "row")
        wrong = [f"{recordings} not listed ({listing(unlisted)})"] if unlisted else []
        wrong += [f"{rows_left} without recording ({listing(absent)})"] if absent else []
        how = f", a file by its path below {corpus}" if key == "file" else ""
        raise InputError(f"{path}: {', '.join(wrong)}; make both agree{how}")
    found = {}
    for name, subject in subjects.items():
        split, speaker = rows[subject]
        found[name] = Place(speakers[name] if speaker is None else speaker, split)
    return found


def _table(path: Path) -> pd.DataFrame:
    """Return the list of files or speakers, all as text."""
    try:
        text = read_file(path).decode("utf-8-sig")
        header = next(csv.reader(io.StringIO(text)), [])
        for name in ("file", "speaker", "split"):
            if header.count(name) > 1:
                raise ValueError(f"it has {header.count(name)} columns named {name!r}")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of values beyond the header
            return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)
    # a ValueError where it cannot be decoded or parsed
    except (OSError, ValueError, csv.Error, pd.errors.ParserWarning) as error:
        raise_true_cause(error, path)
        raise InputError(
            f"cannot read corpus.audio.speakers, {path}: {str(error).strip()}; expected CSV in "
            "UTF-8, each row as long as its header"
        ) from None


def _rows(table: pd.DataFrame, key: str, path: Path) -> dict[str, tuple[str, str | None]]:
    """Return split and, where listed, speaker of each file or speaker, `key`, in NFC.

    Spaces around a value, which nobody sees in a spreadsheet, do not make another speaker.
    """
    rows: dict[str, tuple[str, str | None]] = {}
    for line, row in enumerate(table.to_dict("records"), 2):
        row = {str(column): composed(value).strip() for column, value in row.items()}
        subject = _name(row["file"]) if key == "file" else row["speaker"]
        split = SPLIT_NAMES.get(row["split"].lower())
        if split is None:
            raise InputError(
                f"{path}, line {line}: split is {row['split']!r}; expected train, dev or test"
            )
        place = split, row.get("speaker")
        if rows.setdefault(subject, place) != place:
            raise InputError(f"{path}, line {line}: {key} {row[key]} has another place above")
    return rows


def _name(file: str) -> str:
    """Return the name of the recording that a list calls `file`, with or without its suffix."""
    return str(PurePosixPath(_AUDIO_SUFFIX.sub("", file.replace("\\", "/"))))
