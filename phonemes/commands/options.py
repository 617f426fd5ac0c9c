"""Options that several commands share: what labels recordings, and where results go."""

from pathlib import Path
from typing import Any

import click

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
overwrite = click.option("--overwrite", is_flag=True, help="Replace files that are there.")
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    help="Where to compute.",
)
