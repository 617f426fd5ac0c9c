"""`phonemes check`: what is wrong with predictions before they are uploaded; model metadata."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phonemes.commands.terminal import bad, good, table, warning
from phonemes.errors import InputError
from phonemes.storage.atomic import replacing
from phonemes.storage.layout import MODEL, PREDICTIONS
from phonemes.submission import FAIL, PASS, WARN, Check, Expected, check_submission

if TYPE_CHECKING:
    from phonemes.params import Params

STYLES = {PASS: good, WARN: warning, FAIL: bad}


def read_expected(params: "Params") -> Expected:
    """Return what predictions of the packed corpus have to be.

    Raises:
        InputError: a file of the corpus is missing or damaged.
    """
    import numpy as np

    from phonemes.storage.layout import CORPUS
    from phonemes.storage.read import (
        read_header,
        read_labels,
        read_lengths,
        read_phonemes,
        read_spelling,
    )

    classes = len(read_phonemes(CORPUS))
    count = int(read_lengths(CORPUS, "train").sum())
    labels = read_labels(CORPUS / "labels/train.npy", count, classes)
    spelling = read_spelling(CORPUS, classes)
    return Expected(
        read_header(),
        int(read_lengths(CORPUS, "test").sum()),
        spelling,
        spelling.predicted_as_text(params.predict.label),
        np.bincount(labels, minlength=classes),
    )


def read_metadata() -> dict[str, Any]:
    """Return what the course asks to know of the trained model, all networks that predict."""
    import torch

    from phonemes.model.metadata import describe_model
    from phonemes.model.store import load_model

    return describe_model(load_model(MODEL, torch.device("cpu")).model)


def check_size(parameters: int, most: int) -> Check:
    """Return whether a model has at most as many parameters as are allowed."""
    result = FAIL if most and parameters > most else PASS
    limit = f"model.max_parameters is {most:,}" if most else "model.max_parameters sets no limit"
    return Check("parameters", result, f"{parameters:,}; {limit}")


@click.command(epilog="Example: phonemes check --metadata model_metadata.json")
@click.argument("predictions", type=click.Path(path_type=Path), default=PREDICTIONS)
@click.option(
    "--metadata",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write parameter_count and model_architecture of the trained model to this JSON file.",
)
def check(predictions: Path, metadata: Path | None) -> None:
    """Check predictions before you upload them.

    PREDICTIONS is predictions.csv if not given. Prints a line for each check, and ends with exit
    code 1 if any fails.
    """
    from phonemes.params import load

    params = load()
    checks = check_submission(predictions, read_expected(params))
    if metadata or params.model.max_parameters:
        described = read_metadata()
        checks.append(check_size(described["parameter_count"], params.model.max_parameters))
        if metadata:
            with replacing(metadata) as path:
                text = json.dumps(described, indent=2)
                path.write_text(text + "\n", "utf-8", newline="\n")
    rows = [(each.name, STYLES[each.result](each.result), each.detail) for each in checks]
    click.echo(table(("", "", ""), rows))
    if metadata:
        click.echo(f"{metadata} is written")
    results = Counter(each.result for each in checks)
    if failed := results[FAIL]:
        raise InputError(
            f"{failed} of {len(checks)} checks failed; do not upload {predictions}: "
            f"`dvc repro predict` writes {PREDICTIONS} again"
        )
    next_step = "look at the warnings before you upload" if results[WARN] else "you can upload"
    click.echo(f"no check failed; next: {next_step} {predictions}")
