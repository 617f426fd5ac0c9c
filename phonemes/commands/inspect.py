"""`phonemes inspect`: what data are like before training, and which utterances to listen to."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phonemes.inspection.read import Corpus

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="Example: phonemes inspect --picture first.png --utterance 103-1240-0000")
@click.option("--json", "values", type=FILE, help="Write everything there.")
@click.option("--picture", type=FILE, help="Draw an utterance there, as PNG.")
@click.option("--utterance", metavar="NAME", help="The one to draw; then nothing else is done.")
def inspect(values: Path | None, picture: Path | None, utterance: str | None) -> None:
    """Show what the data are like before training.

    Prints sizes, speakers, phonemes, lengths of utterances and levels of bands of each split;
    then what needs attention: phonemes that a split lacks, speakers in several splits, copies of
    utterances, and utterances that look wrong, each with its reason. Needs what `dvc repro corpus`
    wrote; normalized frames are looked at too where there are any.
    """
    if utterance is not None and (picture is None or values is not None):
        raise click.UsageError("--utterance needs --picture FILE, and no --json")
    from phonemes.inspection.read import read_corpus
    from phonemes.params import load
    from phonemes.storage.lock import locked

    with locked():
        corpus = read_corpus()
        stride = (corpus.features or load().features).stride
        if utterance is None:
            _report(corpus, stride, values)
        if picture is not None:
            _draw(corpus, stride, utterance, picture)


def _report(corpus: "Corpus", stride: float, values: Path | None) -> None:
    """Print what a corpus is like, and write it as JSON where a file is given."""
    import json

    from rich.console import Console
    from tqdm import tqdm

    from phonemes.features.log_mel import band_corners
    from phonemes.inspection.corpus import inspect_corpus
    from phonemes.inspection.read import read_normalized
    from phonemes.inspection.report import as_json, as_text
    from phonemes.storage.atomic import replacing

    def progress(items: Iterable, total: int) -> Iterable:
        return tqdm(items, total=total, unit=" utterances", leave=False, disable=None)

    report = inspect_corpus(corpus.splits, corpus.phonemes, stride, progress)
    normalized, why = read_normalized(corpus.splits)
    hertz = None if corpus.features is None else band_corners(corpus.features)[1:-1]
    click.echo(as_text(report, normalized, hertz, Console()))
    if why:
        click.echo(f"normalized frames are left out: {why}")
    if values is not None:
        with replacing(values) as path:
            text = json.dumps(as_json(report, normalized), indent=2, allow_nan=False)
            path.write_text(text + "\n", "utf-8", newline="\n")
        click.echo(f"{values}: all of this as JSON")


def _draw(corpus: "Corpus", stride: float, utterance: str | None, picture: Path) -> None:
    """Draw an utterance by its name, or a typical one."""
    from phonemes.inspection.picture import utterance_figure
    from phonemes.inspection.read import find_utterance, utterance_of
    from phonemes.pictures import save_png
    from phonemes.storage.atomic import replacing

    name, number = find_utterance(corpus.splits, utterance)
    split = corpus.splits[name]
    frames, labels = utterance_of(split, number)
    speaker = f", speaker {split.speakers[number]}" if split.speakers[number] else ""
    title = f"{name} {split.names[number]}{speaker}, {len(frames) * stride / 1000:.2f} s"
    figure = utterance_figure(frames, labels, corpus.phonemes, stride, corpus.features, title)
    with replacing(picture) as path:
        save_png(figure, path)
    click.echo(f"{picture}: {title}")
