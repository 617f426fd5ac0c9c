"""`phonemes compare`: the experiments of a commit, and what each changed."""

from collections.abc import Sequence
from typing import Any

import click

from phonemes.commands.experiments import OTHER_COMMITS, SPLITS, Run, as_text, read_runs, show
from phonemes.commands.terminal import table
from phonemes.errors import InputError

NO_EXPERIMENTS = (
    "there are no experiments of this commit; make one with `dvc exp run -S train.lr=1e-3`; "
    + OTHER_COMMITS
)
SUCCESS = "success"


def changes(run: Run, commit: Run) -> str:
    """Return the parameters in which an experiment differs from its commit, as after -S."""
    return " ".join(
        f"{name}={as_text(run.params[name])}" if name in run.params else f"{name} is gone"
        for name in sorted({*run.params, *commit.params})
        if run.params.get(name) != commit.params.get(name)
    )


def compared(commit: Run, experiments: Sequence[Run]) -> str:
    """Return a table of a commit and its experiments, the most accurate on dev first.

    An experiment that did not succeed may hold the accuracy of its commit: its state is shown.
    """
    runs = [commit, *experiments]
    done = [run for run in runs if run.state == SUCCESS and "dev" in run.accuracy]
    done.sort(key=lambda run: -run.accuracy["dev"])
    splits = [split for split in SPLITS if any(split in run.accuracy for run in done)]
    rows = []
    for run in [*done, *(run for run in runs if run not in done)]:
        given = run.accuracy if run in done else {}
        scores = [f"{given[split]:.4f}" if split in given else "-" for split in splits]
        state = "" if run in done else f"{run.state if run.state != SUCCESS else 'no accuracy'}: "
        what = "the commit" if run is commit else changes(run, commit) or "nothing changed"
        rows.append((run.name, *scores, state + what))
    columns = ("experiment", *(f"{split}.accuracy" for split in splits), "changed")
    return table(columns, rows, "l" + "r" * len(splits) + "l")


def report(shown: list[dict[str, Any]]) -> str:
    """Return the table of what `dvc exp show --json` printed.

    Raises:
        InputError: there is no experiment.
    """
    commits, experiments = read_runs(shown)
    if not experiments:
        raise InputError(NO_EXPERIMENTS)
    return compared(commits[0], experiments)


@click.command(epilog="Example: dvc exp run -S train.lr=1e-3 && phonemes compare")
@click.argument("commit", required=False)
def compare(commit: str | None) -> None:
    """Print the accuracies of a commit's experiments.

    And what each of them changed. The most accurate on dev comes first. COMMIT is a git revision
    that experiments started from; without it, the last one. `dvc exp show` has every parameter
    and metric.
    """
    click.echo(report(show(commit)))
