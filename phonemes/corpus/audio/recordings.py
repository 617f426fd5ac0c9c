"""Find recordings and their alignments, and give each its speaker and split.

Files are found and paired by their names only, before any is read, so that what is
missing is reported at once. A recording's name is its path relative to the corpus, with "/"
and without suffix; names come in the same order on every machine.

    layout       recording                         alignment
    textgrid     any/folder/NAME.wav or .flac      any/folder/NAME.TextGrid
    librispeech  SUBSET/SPEAKER/CHAPTER/NAME.flac  SUBSET/SPEAKER/CHAPTER/NAME.TextGrid
    timit        TRAIN/REGION/SPEAKER/NAME.WAV     TRAIN/REGION/SPEAKER/NAME.PHN
    arctic       SPEAKER/wav/NAME.wav              SPEAKER/lab/NAME.lab

A recording without alignment may have a text instead, which corpus.audio.transcripts has
aligned (see `phonemes.alignment.transcripts` for its names, and `transcribed`).

Alignments lie next to the recordings or, under the same relative paths, in the folder
corpus.audio.alignments. Other files, and hidden ones, are ignored. All lie in corpus.path.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from phonemes.alignment.transcripts import Text, text_of, texts_of
from phonemes.corpus.audio.files import contained, find_files, listing
from phonemes.corpus.audio.speakers import places
from phonemes.corpus.params import AudioParams
from phonemes.corpus.source import composed
from phonemes.errors import InputError
from phonemes.storage.inputs import refuse_ignored
from phonemes.storage.layout import SPLITS
from phonemes.transcription.segments import Segment
from phonemes.transcription.sound import SUFFIXES
from phonemes.wording import counted


class Layout(NamedTuple):
    """How a corpus names its files; suffixes match in upper and lower case."""

    audio: tuple[str, ...] = (".wav", ".flac")
    alignment: str = ".TextGrid"
    folders: tuple[str, str] | None = None  # that hold audio and alignments, where they differ


LAYOUTS = {
    "textgrid": Layout(),
    "librispeech": Layout(),
    "timit": Layout((".wav",), ".PHN"),
    "arctic": Layout((".wav",), ".lab", ("wav", "lab")),
}


class Recording(NamedTuple):
    """One utterance's files."""

    name: str
    speaker: str  # "" where unknown
    audio: Path
    alignment: Path | None  # None in an unlabelled test split, and where there is a text instead
    text: Text | None = None
    phones: tuple[Segment, ...] = ()  # with which the text was aligned


class Found(NamedTuple):
    """The recordings of a corpus, and what is there and not used."""

    splits: dict[str, list[Recording]]  # in order of their names
    notes: list[str]  # how many were left out and why, a line for each reason


def find_recordings(path: Path, audio: AudioParams) -> Found:
    """Return each split's recordings.

    Raises:
        InputError: names what is missing, left over or ambiguous, and the fix.
    """
    layout = LAYOUTS[audio.layout]
    audio_folder, alignment_folder = layout.folders or (None, None)
    files = _by_name(path, path, layout.audio, audio_folder)
    if not files:
        raise InputError(
            f"{path} holds no {' or '.join(layout.audio)} file in layout {audio.layout}; check "
            f"corpus.path and corpus.audio.layout{_to_convert(path, layout)}"
        )
    what = f"corpus.audio.alignments: {audio.alignments}"
    alignments_path = contained(path / audio.alignments, path, what)
    alignments = _by_name(alignments_path, path, (layout.alignment.lower(),), alignment_folder)
    partners = {name: _partner(name, alignment_folder) for name in files}
    notes = _left_over(alignments, set(partners.values()), alignments_path, path, layout)
    splits: dict[str, list[Recording]] = {split: [] for split in SPLITS}
    for name, place in places(files, path, audio).items():
        partner = alignments.get(partners[name])
        alignment = None if partner is None else alignments_path / partner
        recording = Recording(name, place.speaker, path / files[name], alignment)
        splits[place.split].append(_with_text(recording, path, audio))
    wanted = {
        name: str(alignments_path / partner) + layout.alignment
        for name, partner in partners.items()
    }
    aligned = {
        split: _aligned(split, recordings, wanted, audio, path)
        for split, recordings in splits.items()
    }
    missing = {split: len(splits[split]) - len(aligned[split]) for split in SPLITS}
    if any(missing.values()):
        counts = ", ".join(f"{count} of {split}" for split, count in missing.items() if count)
        left_out = counted(sum(missing.values()), "recording")
        notes.append(f"left out {left_out} without alignment: {counts}")
    return Found(aligned, notes)


def _with_text(recording: Recording, path: Path, audio: AudioParams) -> Recording:
    """Return a recording with the text that is to be aligned, if it is, and there is one."""
    if recording.alignment is not None or audio.transcripts == "refuse":
        return recording
    text = text_of(recording.audio)
    if text is not None:
        contained(text.path, path, f"{text.path} is a link that")
    return recording._replace(text=text)


def _partner(name: str, folder: str | None) -> str:
    """Return the name of a recording's alignment; `folder` holds it, where not the same does."""
    path = PurePosixPath(name)
    return str(path.parent.parent / folder / path.name) if folder else name


def _left_over(
    alignments: Mapping[str, PurePosixPath],
    partners: set[str],
    alignments_path: Path,
    path: Path,
    layout: Layout,
) -> list[str]:
    """Return a note on alignments without recording; refuse those that have to have one.

    Published alignments cover more than what was downloaded: those in folders that hold none
    of a recording are ignored, unless they are those that a recording elsewhere lacks.
    """
    left_over = sorted(alignments.keys() - partners)
    folders = {PurePosixPath(partner).parent for partner in partners}
    lacking = {PurePosixPath(partner).name for partner in partners - alignments.keys()}
    wrong = [
        name
        for name in map(PurePosixPath, left_over)
        if name.parent in folders or name.name in lacking
    ]
    if wrong:
        raise InputError(
            f"{counted(len(wrong), 'alignment')} in {alignments_path} without recording in {path}: "
            f"{listing(str(alignments[str(name)]) for name in wrong)}; add the recordings or move "
            f"the alignments out{_to_convert(path, layout)}"
        )
    if not left_over:
        return []
    below = sorted({name.partition("/")[0] for name in left_over})
    return [
        f"ignored {counted(len(left_over), 'alignment')} in folders without recordings, below "
        f"{listing(below)}"
    ]


def _to_convert(path: Path, layout: Layout) -> str:
    """Return which recordings have to be converted for a corpus; "" where there are none."""
    kinds = (suffix for suffix in SUFFIXES if suffix not in layout.audio)
    other = listing(map(str, find_files(path, path, kinds, None)))
    return f"; convert {other} to {' or '.join(layout.audio)}" if other else ""


def _aligned(
    split: str,
    recordings: list[Recording],
    wanted: Mapping[str, str],
    audio: AudioParams,
    path: Path,
) -> list[Recording]:
    """Return the recordings that have an alignment, or all of a test split where none has one.

    Args:
        split: their split.
        recordings: of the split.
        wanted: the alignment's file of each recording, by its name.
        audio: corpus.audio: whether those without alignment are left out or refused.
        path: the corpus.
    """
    unaligned = [each for each in recordings if each.alignment is None and each.text is None]
    if split == "test" and len(unaligned) == len(recordings):
        return recordings
    if unaligned and (audio.unaligned == "refuse" or len(unaligned) == len(recordings)):
        ways = _ways_to_align(unaligned, audio, path)
        if len(unaligned) < len(recordings):
            ways += ", set corpus.audio.unaligned to skip, which leaves them out"
        raise InputError(
            f"{len(unaligned)} of the {len(recordings)} recordings in {split} have no "
            f"alignment: {listing(wanted[recording.name] for recording in unaligned)}; add them"
            f"{ways}, move the recordings out of corpus.path, or check corpus.audio.alignments"
        )
    return [each for each in recordings if each.alignment is not None or each.text is not None]


def _ways_to_align(unaligned: list[Recording], audio: AudioParams, path: Path) -> str:
    """Return how texts next to recordings become alignments; "" where there are none."""
    texts = texts_of(each.audio for each in unaligned)
    if audio.transcripts == "align" or not any(isinstance(text, Text) for text in texts):
        return ""
    return (
        f", align their texts with `phonemes align {path}` or with corpus.audio.transcripts: "
        "align, both by a network trained before"
    )


def _by_name(
    folder: Path, root: Path, suffixes: tuple[str, ...], parent: str | None
) -> dict[str, PurePosixPath]:
    """Return the files under `folder`, relative to it, by their names in NFC and in their order.

    Args:
        folder: the corpus, or the folder of its alignments.
        root: the corpus.
        suffixes: in lower case, of the files wanted.
        parent: name of the folders that they lie in; None for any.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; check corpus.path and corpus.audio.alignments")
    found = [*find_files(folder, root, suffixes, parent)]
    refuse_ignored(folder / file for file in sorted(found))
    files: dict[str, PurePosixPath] = {}
    for path, file in sorted((PurePosixPath(composed(str(file))), file) for file in found):
        name = str(path.with_suffix(""))
        if name.endswith(".WAV"):  # TIMIT is often copied with a NAME.WAV.wav next to NAME.WAV
            name = name.removesuffix(".WAV")
            if name in files:
                continue
        if name in files:
            raise InputError(
                f"{folder / files[name]} and {folder / file} are one utterance by their names; "
                "keep one"
            )
        files[name] = file
    return files
