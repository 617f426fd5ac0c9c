"""Say what a corpus is like: as tables for a terminal, and as values for a file of JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from phonemes.inspection.corpus import Bands, Copies, Report, SplitReport
from phonemes.inspection.suspicions import Suspicion
from phonemes.wording import percent

BAR = 12  # characters of the longest bar
UNLIMITED = 10_000  # characters of a line
MOST_SHOWN = 10  # copies, or utterances of one reason and split


def as_text(
    report: Report,
    normalized: Mapping[str, Bands],
    hertz: NDArray[np.float64] | None,
    console: Console,
) -> str:
    """Return a report as text.

    Args:
        report: of the corpus.
        normalized: levels of the bands of normalized frames, by split; empty where there are none.
        hertz: (C,) centres of the bands, None where unknown.
        console: on which it is to be printed; its width, colours and encoding count.
    """
    with console.capture() as printed:
        for part in _parts(report, normalized, hertz, console):
            console.print(part, highlight=False)  # of Text alone: strings may look like markup
    lines = "\n".join(line.rstrip() for line in printed.get().splitlines())
    return lines.encode(console.encoding, "replace").decode(console.encoding).rstrip()


def _parts(
    report: Report,
    normalized: Mapping[str, Bands],
    hertz: NDArray[np.float64] | None,
    console: Console,
) -> Iterator[RenderableType]:
    yield _section("Splits", _grid(_summary(report), console))
    yield _section("Length of utterances, in seconds", _grid(_lengths(report), console))
    if any(each.counts is not None for each in report.splits.values()):
        bar = "█" if console.encoding.startswith("utf") else "#"
        histogram = _grid(_histogram(report), console, _bars(report, bar))
        yield _section("Phonemes, in frames and in percent of the split", histogram)
    unit = "" if hertz is None else ", of the logarithm of the power"  # of a course's: unknown
    title = f"Mean ± standard deviation of each band{unit}"
    yield _section(title, _grid(_bands(report, hertz), console))
    if normalized:
        ranges = _grid(_ranges(normalized), console)
        yield _section("After normalization, the lowest to the highest of a band", ranges)
    yield _section("Findings", Group(*_findings(report, normalized)))


def _section(title: str, content: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), Padding(content, (0, 0, 1, 0), expand=False))


class Grid(NamedTuple):
    """A table of splits."""

    title: str  # of the rows
    rows: Sequence[str]
    columns: Mapping[str, Sequence[str | Text]]  # a cell a row, by split


def _grid(grid: Grid, console: Console, bars: Sequence[Text] = ()) -> RenderableType:
    """Return a table, with bars where they fit, or of one split below the other where it does not.

    Args:
        grid: what it shows.
        console: whose width counts.
        bars: of the rows.
    """
    for more in (bars, ()):
        table = _table(grid, grid.columns, more)
        if (
            console.measure(table, options=console.options.update(max_width=UNLIMITED)).maximum
            <= console.width
        ):
            return table
    return Group(*(_table(grid, {name: grid.columns[name]}, ()) for name in grid.columns))


def _table(grid: Grid, columns: Mapping[str, Sequence[str | Text]], bars: Sequence[Text]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column(grid.title, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    if bars:
        table.add_column(f"share of {next(iter(columns))}", no_wrap=True)
    for cells in zip(grid.rows, *columns.values(), *([bars] if bars else []), strict=True):
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    return table


def _summary(report: Report) -> Grid:
    minutes = {n: each.frames * report.stride / 60_000 for n, each in report.splits.items()}
    whole = max(minutes.values()) >= 60
    rows = ("hours" if whole else "minutes", "frames", "utterances", "speakers", "silence")

    def column(name: str, split: SplitReport) -> list[str]:
        speakers = _speakers(split)
        return [
            _duration(minutes[name] / 60 if whole else minutes[name]),
            f"{split.frames:,}",
            f"{len(split.names):,}",
            f"{speakers:,}" if speakers else "unknown",
            "unknown" if split.silence is None else percent(split.silence, 1),
        ]

    return Grid("", rows, {name: column(name, each) for name, each in report.splits.items()})


def _duration(value: float) -> str:
    """Return hours or minutes, with two digits of what is below one."""
    return f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def _speakers(split: SplitReport) -> int:
    return len({*split.speakers} - {""})


def _lengths(report: Report) -> Grid:
    rows = ("shortest", "first quartile", "median", "third quartile", "longest")
    seconds = {name: each.lengths * report.stride / 1000 for name, each in report.splits.items()}
    return Grid("", rows, {name: [f"{one:,.2f}" for one in each] for name, each in seconds.items()})


def _counts(report: Report) -> tuple[dict[str, NDArray[np.int64]], list[int]]:
    """Return the counts, (P,), of labelled splits, and all labels by their counts in the first."""
    counts = {name: each.counts for name, each in report.splits.items() if each.counts is not None}
    return counts, np.argsort(-next(iter(counts.values())), kind="stable").tolist()


def _histogram(report: Report) -> Grid:
    counts, labels = _counts(report)

    def cell(name: str, label: int) -> Text:
        if report.phonemes[label] in report.absent.get(name, []):
            return Text("absent", "yellow")
        count = counts[name][label]
        return Text(f"{count:,} {100 * count / counts[name].sum():6.2f}")

    columns = {name: [cell(name, label) for label in labels] for name in counts}
    return Grid("", [report.phonemes[label] for label in labels], columns)


def _bars(report: Report, bar: str) -> list[Text]:
    """Return a bar for the count of each phoneme in the first labelled split."""
    counts, labels = _counts(report)
    first = next(iter(counts.values()))
    return [Text(bar * round(first[label] / first.max() * BAR), "cyan") for label in labels]


def _bands(report: Report, hertz: NDArray[np.float64] | None) -> Grid:
    def column(bands: Bands) -> list[Text]:
        styles = ["yellow" if band in bands.constant else "" for band in range(len(bands.mean))]
        values = zip(bands.mean, bands.deviation, styles, strict=True)
        return [Text(f"{mean:z.2f} ± {deviation:.2f}", style) for mean, deviation, style in values]

    columns = {name: column(each.bands) for name, each in report.splits.items()}
    count = len(next(iter(columns.values())))
    if hertz is None:
        return Grid("band", [str(band) for band in range(count)], columns)
    rows = [f"{band:2} {centre:7,.0f}" for band, centre in enumerate(hertz)]
    return Grid("band, Hz", rows, columns)


def _ranges(normalized: Mapping[str, Bands]) -> Grid:
    def column(bands: Bands) -> list[str]:
        return [f"{each.min():z.2f} to {each.max():z.2f}" for each in (bands.mean, bands.deviation)]

    return Grid(
        "",
        ("mean", "deviation"),
        {name: column(each) for name, each in normalized.items()},
    )


def _findings(report: Report, normalized: Mapping[str, Bands]) -> Iterator[RenderableType]:
    """Yield what needs attention, or a line that says that nothing does."""
    found = [
        *_constant(report, normalized),
        *_absent(report),
        *_shared(report),
        *_copies(report),
        *(part for name, each in report.splits.items() for part in _suspicions(name, each)),
    ]
    yield from found or [Text("nothing that needs attention", "green")]


def _constant(report: Report, normalized: Mapping[str, Bands]) -> Iterator[Text]:
    bands = {name: each.bands for name, each in report.splits.items()}
    bands |= {f"{name}, normalized": each for name, each in normalized.items()}
    for name, each in bands.items():
        if len(each.constant):
            yield _finding(f"{name}: constant bands", map(str, each.constant))


def _absent(report: Report) -> Iterator[Text]:
    for name, phonemes in report.absent.items():
        yield _finding(f"{name}: phonemes of other splits that it lacks", phonemes)


def _shared(report: Report) -> Iterator[Text]:
    by_splits: dict[str, list[str]] = {}
    for speaker, splits in report.shared_speakers.items():
        by_splits.setdefault(" and ".join(splits), []).append(speaker)
    for where, speakers in by_splits.items():
        yield _finding(f"speakers in {where}", speakers, "red")


def _finding(title: str, items: Iterable[str], style: str = "yellow") -> Text:
    listed = list(items)
    more = f" and {len(listed) - MOST_SHOWN:,} more" if len(listed) > MOST_SHOWN else ""
    return Text.assemble(
        (f"{title} ({len(listed):,}): ", style), ", ".join(listed[:MOST_SHOWN]) + more
    )


def _copies(report: Report) -> Iterator[RenderableType]:
    if not report.copies:
        return
    across = sum(len({split for split, _ in each.members}) > 1 for each in report.copies)
    groups = f"{len(report.copies):,} group{'s' * (len(report.copies) > 1)}"
    title = f"copies of utterances ({groups}; {across:,} across splits)"
    yield Text(title, "red" if across else "yellow")
    ordered = sorted(report.copies, key=lambda each: len({split for split, _ in each.members}) == 1)
    for each in ordered[:MOST_SHOWN]:
        yield Padding(_copy(each), (0, 0, 0, 2))
    yield from _more(len(report.copies))


def _copy(copies: Copies) -> Text:
    kind = "identical" if copies.identical else "but for a constant in each band"
    names = [f"{split} {name}" for split, name in copies.members]
    more = f" and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else ""
    return Text(" = ".join(names[:MOST_SHOWN]) + f"{more}: {kind}")


def _suspicions(name: str, split: SplitReport) -> Iterator[RenderableType]:
    for reason, group in groupby(split.suspicions, key=lambda each: each.reason):
        every = list(group)
        yield Text(f"{name}: {reason} ({len(every):,})", "yellow")
        table = Table(box=None, padding=(0, 1), pad_edge=False, show_header=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for each in every[:MOST_SHOWN]:
            table.add_row(Text(split.names[each.utterance]), Text(each.detail))
        yield Padding(table, (0, 0, 0, 2))
        yield from _more(len(every))


def _more(count: int) -> Iterator[Text]:
    if count > MOST_SHOWN:
        yield Text(f"  and {count - MOST_SHOWN:,} more; --json FILE has all", "dim")


def as_json(report: Report, normalized: Mapping[str, Bands]) -> dict[str, Any]:
    """Return everything of a report, as values that JSON has; what is unknown is None."""
    return {
        "stride_ms": report.stride,
        "splits": {name: _split(each, report) for name, each in report.splits.items()},
        "normalized": {name: _levels(each) for name, each in normalized.items()},
        "absent_phonemes": report.absent,
        "shared_speakers": report.shared_speakers,
        "copies": [
            {
                "identical": each.identical,
                "utterances": [{"split": split, "name": name} for split, name in each.members],
            }
            for each in report.copies
        ],
    }


def _split(split: SplitReport, report: Report) -> dict[str, Any]:
    seconds = report.stride / 1000
    names = ("min", "first_quartile", "median", "third_quartile", "max")
    labels = None
    if split.counts is not None:
        labels = {
            phoneme: {"frames": int(count), "share": float(count / split.counts.sum())}
            for phoneme, count in zip(report.phonemes, split.counts, strict=True)
        }
    return {
        "hours": split.frames * seconds / 3600,
        "frames": split.frames,
        "utterances": len(split.names),
        "speakers": _speakers(split) or None,
        "silence_share": split.silence,
        "seconds": dict(zip(names, (split.lengths * seconds).tolist(), strict=True)),
        "labels": labels,
        "bands": _levels(split.bands),
        "suspicious": [_suspicion(each, split) for each in split.suspicions],
    }


def _levels(bands: Bands) -> dict[str, Any]:
    return {
        "mean": bands.mean.tolist(),
        "deviation": bands.deviation.tolist(),
        "constant": bands.constant.tolist(),
    }


def _suspicion(suspicion: Suspicion, split: SplitReport) -> dict[str, Any]:
    u = suspicion.utterance
    names = {"utterance": split.names[u], "speaker": split.speakers[u] or None}
    return suspicion._asdict() | names
