"""`phonemes agreement`: how well two annotations of the same recordings agree."""

import csv
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonemes.commands.terminal import table
from phonemes.wording import counted, percent

if TYPE_CHECKING:
    from phonemes.inspection.agreement import Agreement, Pair

WITHIN = (0.01, 0.02, 0.05)  # s


@click.command(epilog="Example: phonemes agreement corrected/ labelled/")
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path))
@click.option("--tier", default="phones", show_default=True, help="Name of the tier.")
@click.option(
    "--csv",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write every boundary to, with its time in both.",
)
def agreement(reference: Path, other: Path, tier: str, output: Path | None) -> None:
    """Compare the boundaries of TextGrids.

    Says which boundaries of REFERENCE are in OTHER, and how far off. Both are TextGrids, or folders
    with TextGrids of the same names, as those that a person has corrected and those of a program,
    or of two persons.
    """
    from phonemes.errors import InputError
    from phonemes.inspection.agreement import agreement as compared
    from phonemes.inspection.agreement import pairs, tier_of
    from phonemes.storage.atomic import replacing

    found, alone = pairs(reference, other)
    if output is not None and output.exists():
        raise InputError(f"{output} would be overwritten; name another file")
    results = [compared(*(tier_of(path, tier) for path in pair[1:])) for pair in found]
    click.echo(table(["", "", ""], [*_rows(results, str(other))], "lrl"))
    if alone:
        grids = counted(len(alone), "TextGrid")
        click.echo(f"{grids} without another in {other}, as {alone[0]}", err=True)
    if output is not None:
        with replacing(output) as partial:
            partial.write_text(_listed(found, results), "utf-8", newline="\n")
        click.echo(f"{output}: every boundary, with its time in both")


def _rows(results: "list[Agreement]", other: str) -> list[tuple[str, str, str]]:
    """Return what is printed, a line each: what, how much, and of what."""
    import numpy as np

    boundaries = [each for result in results for each in result.boundaries]
    late = np.array([each.found - each.start for each in boundaries if each.found is not None])
    total = len(boundaries)
    rows = []
    times = [result.time for result in results if result.time is not None]
    for name, same, all_ in (
        ("same phoneme", sum(t.agreeing for t in times), sum(t.compared for t in times)),
        ("in speech", sum(t.speech_agreeing for t in times), sum(t.speech for t in times)),
    ):
        if all_:
            rows.append((name, percent(same / all_, 1), f"of {all_:,.1f} s"))
    more = sum(result.more for result in results)
    rows.append(("boundaries", f"{len(late):,}", f"of {total:,} found; {more:,} more in {other}"))
    for limit in WITHIN:
        count = int((np.abs(late) <= limit + 1e-9).sum())
        share = percent(count / max(total, 1), 1)
        rows.append((f"within {1000 * limit:g} ms", share, f"of {total:,}"))
    if len(late):
        rows.append(("median distance", f"{1000 * np.median(np.abs(late)):.1f} ms", ""))
        rows.append(("mean", f"{1000 * late.mean():+.1f} ms", "+ is later"))
    return rows


def _listed(found: "list[Pair]", results: "list[Agreement]") -> str:
    """Return every boundary of the reference as CSV."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", "reference", "other", "distance"])
    for pair, result in zip(found, results, strict=True):
        for label, start, other in result.boundaries:
            times = ["", ""] if other is None else [f"{other:.4f}", f"{other - start:.4f}"]
            writer.writerow([pair.name, label, f"{start:.4f}", *times])
    return text.getvalue()
