"""Which recordings are labelled, and the files that are written about each of them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.storage.atomic import replacing
from phonemes.transcription.formats import TEXT, with_ipa, without_silence
from phonemes.transcription.sound import STDIN, SUFFIXES
from phonemes.transcription.transcript import Transcript
from phonemes.wording import counted

PICTURES = {"png": ".png", "html": ".html"}
ENDINGS = {name: suffix for name, (suffix, _) in TEXT.items()} | PICTURES
LONGEST_PICTURE = 3600.0  # s


class Job(NamedTuple):
    """A recording, and the files that are to be written about it."""

    sound: str  # path, or "-"
    name: str  # for people, and in what is written
    outputs: dict[str, Path]  # by format


def formats_of(text: str) -> tuple[str, ...]:
    """Return the formats that a text names, separated by commas.

    Raises:
        InputError: there is no such format.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in ENDINGS:
            raise InputError(
                f"--to {name}: no such format; expected one or several, separated by commas, of "
                f"{', '.join(ENDINGS)}"
            )
    return names


def jobs(sources: Sequence[str], formats: Sequence[str], out: Path | None) -> Iterator[Job]:
    """Yield a job for each recording of files and folders, in their order.

    Raises:
        InputError: a file or folder is not there, a folder holds no recording, or two recordings
            would write one file.
    """
    refuse_nowhere(sources)
    taken: dict[Path, str] = {}
    for source in sources:
        folder = Path(source)
        found = [folder]
        if source != STDIN and folder.is_dir():
            every = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)
            found = [path for path in every if path.is_file() and not _hidden(path, folder)]
            if not found:
                raise InputError(f"{folder} holds no recording ({', '.join(SUFFIXES)})")
        for path in found:
            name = "recording" if source == STDIN else path.stem
            place = path.parent
            if out is not None:
                place = out / (path.parent.relative_to(folder) if folder.is_dir() else "")
            outputs = {each: place / (name + ENDINGS[each]) for each in formats}
            for output in outputs.values():
                if output in taken:
                    raise InputError(
                        f"{taken[output]} and {path} would both write {output}; rename one, or "
                        "write them to different folders"
                    )
                taken[output] = str(path)
            yield Job(source if source == STDIN else str(path), name, outputs)


def _hidden(path: Path, folder: Path) -> bool:
    """Return whether a file below a folder is hidden, as what macOS writes beside a recording."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def refuse_nowhere(sources: Sequence[str]) -> None:
    """Refuse names of recordings of which there is none, before any is labelled.

    Raises:
        InputError: names the first; and the whole path where a space in it has divided it.
    """
    for number, source in enumerate(sources):
        if source == STDIN or Path(source).exists():
            continue
        ends = range(number + 1, len(sources) + 1)
        parts = (sources[start:end] for start in range(number + 1) for end in ends)
        joined = (" ".join(each) for each in parts if len(each) > 1)
        whole = next((each for each in joined if Path(each).exists()), None)
        quotes = f'; a path with a space needs quotes, "{whole}"' if whole else ""
        raise InputError(f"there is no recording {source}{quotes}")


def unwritten(found: Sequence[Job]) -> list[Job]:
    """Return the recordings that lack files, with these alone to be written."""
    lacking = (
        job._replace(
            outputs={name: path for name, path in job.outputs.items() if not path.exists()}
        )
        for job in found
    )
    return [job for job in lacking if job.outputs]


def refuse_existing(found: Sequence[Job]) -> None:
    """Refuse to write over files, which may be somebody's own annotation.

    Raises:
        InputError: names the first file that is there.
    """
    there = [path for job in found for path in job.outputs.values() if path.exists()]
    if there:
        others = f" and {counted(len(there) - 1, 'more file')}" * (len(there) > 1)
        raise InputError(
            f"{there[0]}{others} would be overwritten; pass --overwrite, or write elsewhere with "
            "--out FOLDER"
        )


def written(found: Sequence[Job], formats: Sequence[str], out: Path | None) -> str:
    """Return what was written and where: the files of one recording, of several their formats."""
    if len(found) == 1:
        return ", ".join(str(path) for path in found[0].outputs.values())
    return f"{', '.join(formats)} {'next to them' if out is None else f'in {out}'}"


def kept(
    pieces: Iterable[NDArray[np.float32]], rate: int, held: list[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """Yield pieces of a recording, at `rate` Hz, and add them to `held`, for a picture of it.

    Raises:
        InputError: it is too long for a picture.
    """
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > LONGEST_PICTURE * rate:
            raise InputError(
                f"it is longer than {LONGEST_PICTURE / 60:g} minutes, too long for "
                f"{' and '.join(PICTURES)}; cut it, or leave these formats out"
            )
        held.append(piece)
        yield piece


def write(
    job: Job,
    transcript: Transcript,
    samples: NDArray[np.float32],
    rate: int,
    silence: str,
    ipa: bool = False,
) -> None:
    """Write the files of a recording, each of them whole or not at all.

    Args:
        job: what to write.
        transcript: of the recording; with a track where there are pictures among the formats.
        samples: (S,) of the recording, for a page.
        rate: Hz of the samples.
        silence: label, or empty: as gaps between phones.
        ipa: whether TextGrids have a tier of IPA.
    """
    shown = without_silence(transcript) if silence == "empty" else transcript
    shown = with_ipa(shown) if ipa else shown
    for name, output in job.outputs.items():
        output.parent.mkdir(parents=True, exist_ok=True)
        if name in TEXT:
            content = TEXT[name][1](shown, job.name).encode()
        elif name == "png":
            from phonemes.transcription.picture import png  # not above: matplotlib

            assert transcript.track is not None
            tiers = shown.phones, shown.words
            content = png(tiers, transcript.duration, transcript.track, job.name)
        else:
            content = _page(job, transcript, samples, rate).encode()
        with replacing(output) as partial:
            partial.write_bytes(content)


def _page(job: Job, transcript: Transcript, samples: NDArray[np.float32], rate: int) -> str:
    """Return the page of a recording, compared with the TextGrid next to it, if there is one."""
    from phonemes.pages.recording import recording_page
    from phonemes.pages.reference import reference_tiers

    beside = Path(job.sound).with_suffix(".TextGrid")
    own = beside == job.outputs.get("textgrid")
    reference = reference_tiers(beside) if beside.is_file() and not own else []
    return recording_page(job.name, transcript, samples, rate, reference)
