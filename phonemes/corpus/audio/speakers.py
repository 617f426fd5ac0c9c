"""Who speaks in a recording and which split it belongs to, from paths and lists only.

Speakers come from the folders, from a regular expression or from a list; splits from
the first folder, from a list, or as seeded shares of the speakers.
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from phonemes.corpus.params import AudioParams
from phonemes.errors import InputError
from phonemes.storage.layout import SPLITS

SPLIT_NAMES = {"train": "train", "dev": "dev", "val": "dev", "test": "test"}
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
        found = _listed(files, path / audio.speakers, audio)
    else:
        speakers = {name: speaker_of(file, audio) for name, file in files.items()}
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


def speaker_of(file: PurePosixPath, audio: AudioParams) -> str:
    """Return the speaker of a recording, "" where its folder is no speaker's.

    Raises:
        InputError: the path lacks the folders of its layout or does not match corpus.audio.speaker.
    """
    if audio.speaker != "folder":
        try:
            match = re.search(audio.speaker, str(file))
            speaker = match and match[1]
        except (re.error, IndexError) as error:
            raise InputError(
                f"corpus.audio.speaker is {audio.speaker!r}: {error}; expected folder or a regular "
                "expression whose group 1 is the speaker, such as ^([^_]+)_"
            ) from None
        if not speaker:
            raise InputError(
                f"corpus.audio.speaker: {audio.speaker!r} finds no speaker in {str(file)!r}"
            )
        return speaker
    folder = file.parent
    if audio.layout in ("librispeech", "arctic"):
        folder = folder.parent  # above the chapter or wav
    if audio.layout == "librispeech" and not folder.name:
        raise InputError(f"{file}: layout librispeech expects SUBSET/SPEAKER/CHAPTER/NAME.flac")
    if audio.split == "folder" and len(folder.parts) < 2:
        return ""  # the folder of a split
    return folder.name


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
            f"{len(strays)} recordings are in no folder train, dev (or val) or test: "
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
    dev = max(1, round(audio.dev_share * len(known)))
    test = max(1, round(audio.test_share * len(known)))
    if dev + test >= len(known):
        raise InputError(
            f"corpus.audio.split: share leaves train no speaker: dev takes {dev} and test {test} "
            f"of {len(known)} ({listing(known)}); add speakers, or check corpus.audio.speaker, "
            "dev_share and test_share"
        )
    order = np.random.default_rng(audio.seed).permutation(len(known))
    return {
        known[index]: "dev" if rank < dev else "test" if rank < dev + test else "train"
        for rank, index in enumerate(order)
    }


def _listed(files: Mapping[str, PurePosixPath], path: Path, audio: AudioParams) -> dict[str, Place]:
    """Return the places of recordings from a CSV file with a row for each file or speaker."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of values beyond the header
            table = pd.read_csv(
                path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
            )
    # a ValueError where it cannot be decoded or parsed
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"cannot read corpus.audio.speakers, {path}: {str(error).strip()}; expected CSV in "
            "UTF-8, each row as long as its header"
        ) from None
    key = "file" if "file" in table else "speaker"
    if not {key, "split"} <= set(table):
        raise InputError(
            f"{path} has the columns {', '.join(map(str, table))}; expected split and file or "
            "speaker"
        )
    rows: dict[str, tuple[str, str | None]] = {}  # split and, where listed, speaker
    for line, row in enumerate(table.to_dict("records"), 2):
        subject = _name(row["file"]) if key == "file" else row["speaker"]
        split = SPLIT_NAMES.get(row["split"].lower())
        if split is None:
            raise InputError(
                f"{path}, line {line}: split is {row['split']!r}; expected train, dev or test"
            )
        place = split, row.get("speaker")
        if rows.setdefault(subject, place) != place:
            raise InputError(f"{path}, line {line}: {key} {row[key]} has another place above")
    subjects = {
        name: name if key == "file" else speaker_of(file, audio) for name, file in files.items()
    }
    unlisted = {name for name, subject in subjects.items() if subject not in rows}
    absent = rows.keys() - subjects.values()
    if unlisted or absent:
        raise InputError(
            f"{path}: {len(unlisted)} recordings are not listed ({listing(unlisted)}), "
            f"{len(absent)} rows have no recording ({listing(absent)}); make both agree"
        )
    found = {}
    for name, subject in subjects.items():
        split, speaker = rows[subject]
        found[name] = Place(speaker_of(files[name], audio) if speaker is None else speaker, split)
    return found


def _name(file: str) -> str:
    """Return the name of the recording that a list calls `file`, with or without its suffix."""
    return str(PurePosixPath(_AUDIO_SUFFIX.sub("", file.replace("\\", "/"))))


def listing(names: Iterable[str]) -> str:
    """Return the first few of some names, in order, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more
