"""Find recordings and their alignments, and give each its speaker and split.

Files are found and paired by their names only, before any is read, so that what is
missing is reported at once. A recording's name is its path relative to the corpus, with "/"
and without suffix; names come in the same order on every machine.

    layout       recording                         alignment
    textgrid     any/folder/NAME.wav or .flac      any/folder/NAME.TextGrid
    librispeech  SUBSET/SPEAKER/CHAPTER/NAME.flac  SUBSET/SPEAKER/CHAPTER/NAME.TextGrid
    timit        TRAIN/REGION/SPEAKER/NAME.WAV     TRAIN/REGION/SPEAKER/NAME.PHN
    arctic       SPEAKER/wav/NAME.wav              SPEAKER/lab/NAME.lab

Alignments lie next to the recordings or, under the same relative paths, in the folder
corpus.audio.alignments. Other files, and hidden ones, are ignored.
"""

import glob
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from phonemes.corpus.audio.speakers import listing, places
from phonemes.corpus.params import AudioParams
from phonemes.errors import InputError
from phonemes.storage.layout import SPLITS


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
_NO_TEXT = re.compile("[\ud800-\udfff]")  # how Python reads bytes in a name that are no UTF-8


class Recording(NamedTuple):
    """One utterance's files."""

    name: str
    speaker: str  # "" where unknown
    audio: Path
    alignment: Path | None  # None in an unlabelled test split


def find_recordings(path: Path, audio: AudioParams) -> dict[str, list[Recording]]:
    """Return each split's recordings, in order of their names.

    Raises:
        InputError: names what is missing, left over or ambiguous, and the fix.
    """
    layout = LAYOUTS[audio.layout]
    audio_folder, alignment_folder = layout.folders or (None, None)
    files = _by_name(path, layout.audio, audio_folder)
    if not files:
        raise InputError(
            f"{path} holds no {' or '.join(layout.audio)} file in layout {audio.layout}; check "
            "corpus.path and corpus.audio.layout"
        )
    alignments_path = path / audio.alignments
    alignments = _by_name(alignments_path, (layout.alignment.lower(),), alignment_folder)
    partners = {
        name: str(file.parent.parent / alignment_folder / file.stem) if alignment_folder else name
        for name, file in files.items()
    }
    left_over = alignments.keys() - partners.values()
    if left_over:
        raise InputError(
            f"{len(left_over)} alignments in {alignments_path} have no recording in {path}: "
            f"{listing(str(alignments[name]) for name in left_over)}; add the recordings or move "
            "the alignments out"
        )
    splits: dict[str, list[Recording]] = {split: [] for split in SPLITS}
    for name, place in places(files, path, audio).items():
        partner = alignments.get(partners[name])
        alignment = None if partner is None else alignments_path / partner
        splits[place.split].append(Recording(name, place.speaker, path / files[name], alignment))
    for split, recordings in splits.items():
        unaligned = [recording for recording in recordings if recording.alignment is None]
        if unaligned and (split != "test" or len(unaligned) < len(recordings)):
            missing = (str(alignments_path / partners[recording.name]) for recording in unaligned)
            raise InputError(
                f"{len(unaligned)} of the {len(recordings)} recordings in {split} have no "
                f"alignment: {listing(f'{name}{layout.alignment}' for name in missing)}; add them, "
                "move the recordings out of corpus.path, or check corpus.audio.alignments"
            )
    return splits


def _by_name(path: Path, suffixes: tuple[str, ...], folder: str | None) -> dict[str, PurePosixPath]:
    """Return the files under `path`, relative to it, by their names and sorted.

    Args:
        path: the corpus, or the folder of its alignments.
        suffixes: in lower case, of the files wanted.
        folder: name of the folders that they lie in; None for any.
    """
    if not path.is_dir():
        raise InputError(f"{path} is no folder; check corpus.path and corpus.audio.alignments")
    # Path.rglob follows no links to folders before Python 3.13
    found = glob.iglob("**/*", root_dir=path, recursive=True)  # noqa: PTH207
    files: dict[str, PurePosixPath] = {}
    for file in sorted(PurePosixPath(Path(name).as_posix()) for name in found):
        if file.suffix.lower() not in suffixes or folder not in (None, file.parent.name):
            continue
        name = str(file.with_suffix(""))
        if _NO_TEXT.search(name):
            raise InputError(f"{str(path / file)!r}: its name is not UTF-8; rename the file")
        if name.endswith(".WAV"):  # TIMIT is often copied with a NAME.WAV.wav next to NAME.WAV
            name = name.removesuffix(".WAV")
            if name in files:
                continue
        if name in files:
            raise InputError(
                f"{path / files[name]} and {path / file} are one utterance by their names; keep one"
            )
        files[name] = file
    return files
