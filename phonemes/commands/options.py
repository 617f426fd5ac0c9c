"""Options that several commands share: what labels recordings, and where results go."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonemes.errors import InputError
from phonemes.wording import counted

if TYPE_CHECKING:
    from tqdm import tqdm

    from phonemes.transcription.outputs import Job

FORMATS = "textgrid, csv, json, ctm, mlf, png, html; several with commas."


class AutoOrCount(click.ParamType):
    """The word auto, or a whole number from 1."""

    name = "auto|N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the word or the number; click ends the command where it is neither."""
        if value == "auto":
            return "auto"
        return click.IntRange(1).convert(value, param, ctx)


out = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder to write to. Without: next to the recording.",
)
model = click.option(
    "--model",
    metavar="FILE",
    help="A model.safetensors, or `english`. Without: the project's own, if it was trained on "
    "recordings, else `english`.",
)
silence = click.option(
    "--silence",
    type=click.Choice(["label", "empty"]),
    default="label",
    show_default=True,
    help="Silence as phoneme SIL, or as gaps.",
)
ipa = click.option("--ipa", is_flag=True, help="Add a tier of IPA to TextGrids.")
missing = click.option(
    "--missing", is_flag=True, help="Write only files that are not there; leave the others alone."
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace files that are there.")
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    help="Where to compute.",
)


@contextmanager
def progress(
    recordings: Iterable[Any], total: int, formats: Sequence[str]
) -> Iterator["tqdm[Any]"]:
    """Show on a terminal how many recordings are done; an interruption says how to go on.

    Raises:
        InputError: the user interrupted, as with Ctrl-C.
    """
    from tqdm import tqdm

    quiet = total < 2 or not sys.stderr.isatty()
    try:
        with tqdm(recordings, total=total, unit=" recordings", disable=quiet) as bar:
            yield bar
    except KeyboardInterrupt:
        how = "; what is written is whole: `--missing` goes on with the rest"
        raise InputError(f"interrupted{how * bool(formats and total > 1)}") from None


def done(
    verb: str,
    found: "Sequence[Job]",
    count: int,
    seconds: float,
    formats: Sequence[str],
    out: Path | None,
) -> str:
    """Return what was done with `count` of the recordings that were found, and what was written."""
    from phonemes.transcription.outputs import written

    recordings = counted(count, "recording")
    return f"{verb} {recordings}, {seconds:,.1f} s of sound: {written(found, formats, out)}"
