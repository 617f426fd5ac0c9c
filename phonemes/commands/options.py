"""Options that several commands share: what labels recordings, and where results go."""

from pathlib import Path

import click

FORMATS = "textgrid, csv, json, ctm, mlf, png, html; several with commas."

out = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
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
