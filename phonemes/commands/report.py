"""`phonemes report`: one page that explains the errors of a run, or compares two."""

from pathlib import Path

import click

from phonemes.errors import InputError


@click.command(epilog="Example: phonemes report HEAD workspace --out comparison.html")
@click.argument("revisions", nargs=-1, metavar="[A] [B]")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="report.html",
    show_default=True,
    help="Page to write.",
)
def report(revisions: tuple[str, ...], out: Path) -> None:
    """Write a page about the errors of a run, or compare two.

    The page is for any browser and works offline. A is a git revision, a DVC experiment, or
    `workspace`, which is what it is without A: the results that are here now. With B too, the
    page tells what is better and worse in B than in A, and whether that is more than noise.
    """
    # not above: `phonemes --help` needs neither pandas nor matplotlib
    from phonemes.pages.report.one import report as report_page
    from phonemes.pages.report.run import WORKSPACE, open_files, read_run
    from phonemes.pages.report.two import comparison as comparison_page
    from phonemes.storage.atomic import replacing

    if len(revisions) > 2:
        raise InputError(f"{len(revisions)} revisions are given; expected two at most")
    runs = [read_run(open_files(name)) for name in revisions or (WORKSPACE,)]
    page = report_page(*runs) if len(runs) == 1 else comparison_page(*runs)
    with replacing(out) as path:
        path.write_text(page, "utf-8", newline="\n")
    click.echo(f"{out}: {len(page.encode()) / 1e6:.1f} MB; next: open it in a browser")
