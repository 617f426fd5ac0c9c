"""`phonemes seeds`: accuracy over seeds, of the experiments of a commit.

Runs whose parameters agree in all but `train.seed` and `runtime`, which changes no result,
are one setting. The commit that the experiments started from is a run too. The workspace
is none: it may hold values that it was not run with.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

import click

from phonemes.commands.experiments import OTHER_COMMITS, SPLITS, Run, as_text, read_runs, show
from phonemes.commands.terminal import table
from phonemes.errors import InputError

SEED = "train.seed"
DIFFERENCE = "dev.difference"
ABOUT_DIFFERENCES = (
    "difference: from the first row of several seeds, with its 95 % interval over seeds (Welch's "
    "t); for other speakers, `phonemes report A B` compares two runs"
)
NO_EXPERIMENTS = (
    "there are no experiments of this commit; make some with "
    "`dvc exp run --queue -S 'train.seed=1,2,3'` and `dvc queue start`; " + OTHER_COMMITS
)


class Spread(NamedTuple):
    """An accuracy over seeds."""

    mean: float
    deviation: float | None  # of a sample, with seeds - 1; None for one seed
    lowest: float
    highest: float


class Setting(NamedTuple):
    """One row of the table."""

    label: str  # the parameters in which settings differ
    seeds: int
    accuracy: dict[str, Spread]  # by split


def summarize(runs: Sequence[Run]) -> list[Setting]:
    """Return the settings of successful runs, the most accurate on dev first.

    Of several runs of a setting with the same seed the first one counts. A run that did not
    succeed may hold the accuracy of the commit it started from, and does not count.
    """
    groups: dict[frozenset, dict[Any, Run]] = defaultdict(dict)
    for run in runs:
        if run.state == "success" and "dev" in run.accuracy:
            setting = frozenset(
                (name, value)
                for name, value in run.params.items()
                if name != SEED and not name.startswith("runtime.")
            )
            groups[setting].setdefault(run.params.get(SEED), run)
    shared = frozenset.intersection(*groups) if groups else frozenset()
    settings = []
    for setting, by_seed in groups.items():
        differing = (f"{name}={as_text(value)}" for name, value in sorted(setting - shared))
        accuracy = {}
        for split in SPLITS:
            if all(split in run.accuracy for run in by_seed.values()):
                accuracy[split] = spread([run.accuracy[split] for run in by_seed.values()])
        settings.append(Setting(" ".join(differing), len(by_seed), accuracy))
    return sorted(settings, key=lambda setting: -setting.accuracy["dev"].mean)


def spread(values: Sequence[float]) -> Spread:
    """Return what the table says of some accuracies, at least one."""
    deviation = stdev(values) if len(values) > 1 else None
    return Spread(mean(values), deviation, min(values), max(values))


def difference(first: Setting, other: Setting) -> tuple[float, float, float] | None:
    """Return how much more accurate on dev another setting is, and the ends of its 95 % interval.

    Welch's t over seeds, whose variances may differ (Welch, 1947, "The generalization of
    'Student's' problem when several different population variances are involved"). None where a
    setting has one seed.
    """
    from scipy.stats import t

    a, b = first.accuracy["dev"], other.accuracy["dev"]
    if a.deviation is None or b.deviation is None:
        return None
    change = b.mean - a.mean
    parts = a.deviation**2 / first.seeds, b.deviation**2 / other.seeds
    if not any(parts):
        return change, change, change
    degrees = sum(parts) ** 2 / (
        parts[0] ** 2 / (first.seeds - 1) + parts[1] ** 2 / (other.seeds - 1)
    )
    half = float(t.ppf(0.975, degrees)) * sum(parts) ** 0.5
    return change, change - half, change + half


def setting_table(settings: Sequence[Setting]) -> str:
    """Return the settings as text, one a line under a heading."""
    splits = [split for split in SPLITS if any(split in each.accuracy for each in settings)]
    columns = ["seeds", *(f"{split}.accuracy" for split in splits), "setting"]
    rows = []
    changes = differences(settings)
    if any(changes):
        columns.insert(-1, DIFFERENCE)
    for (label, seeds, accuracy), change in zip(settings, changes, strict=True):
        cells = [_cell(accuracy[split]) if split in accuracy else "-" for split in splits]
        if any(changes):
            cells.append("{:+.4f} ({:+.4f} to {:+.4f})".format(*change) if change else "")
        rows.append([seeds, *cells, label or "the only one"])
    return table(columns, rows, "r" + "l" * (len(columns) - 1))


def differences(settings: Sequence[Setting]) -> list[tuple[float, float, float] | None]:
    """Return each setting's difference from the first of several seeds, None where none is."""
    first = next((each for each in settings if each.seeds > 1), None)
    return [
        None if first is None or each is first else difference(first, each) for each in settings
    ]


def _cell(over: Spread) -> str:
    if over.deviation is None:
        return f"{over.mean:.4f}"
    return f"{over.mean:.4f} ± {over.deviation:.4f} ({over.lowest:.4f} to {over.highest:.4f})"


def report(shown: list[dict[str, Any]]) -> str:
    """Return the table of what `dvc exp show --json` printed, and what it leaves out.

    Raises:
        InputError: there is no experiment, or no run with an accuracy.
    """
    commits, experiments = read_runs(shown)
    if not experiments:
        raise InputError(NO_EXPERIMENTS)
    states = Counter(
        "without dev.accuracy" if run.state == "success" else run.state
        for run in experiments
        if run.state != "success" or "dev" not in run.accuracy
    )
    left_out = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    settings = summarize([*commits, *experiments])
    if not settings:
        raise InputError(f"no experiment has a result yet: {left_out}; see `dvc queue status`")
    notes = ["mean ± standard deviation over seeds (lowest to highest)"]
    if any(differences(settings)):
        notes.append(ABOUT_DIFFERENCES)
    if left_out:
        notes.append(f"experiments left out: {left_out}")
    return "\n".join([setting_table(settings), *notes])


@click.command(epilog="Example: dvc exp run --queue -S 'train.seed=1,2,3'")
@click.argument("commit", required=False)
def seeds(commit: str | None) -> None:
    """Print the mean and spread of accuracy over seeds.

    Sums up a commit's experiments: runs that differ in train.seed alone are one row, and each row
    is compared with the first that has several seeds. COMMIT is a git revision that experiments
    started from; without it, the last one.
    """
    click.echo(report(show(commit)))
