"""What a search leaves behind: a table of its trials, and the best of them as a recipe."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from phonemes.search.journal import Trial
from phonemes.search.space import SEARCHED, Space
from phonemes.search.winners import Final, final_values, gap, rounded
from phonemes.wording import counted

TRIALS = "trials.csv"


def trial_table(space: Space, trials: Sequence[Trial], finals: Sequence[Final]) -> pd.DataFrame:
    """Return one row a trial, in their order; the parameters that are varied come last.

    Columns: `trial` its number; `ending` complete, pruned, diverged, refused, stopped or failed,
    and `reason`; accuracies on the half of dev that the search `choosing` and `reporting` on, and
    their `gap`; `epoch` that was kept, of `epochs`; `parameters`; `seconds` of training, and
    `overhead_seconds`; when it `started`, in s since the first one; of winners the number of
    further `seeds`, and both means over them.
    """
    began = min((trial.started for trial in trials), default=0.0)
    by_name = {each.name: each for each in finals}
    rows = [_row(trial, began, by_name.get(f"trial {trial.number}"), space) for trial in trials]
    names = [each.name for each in space.varied]
    return pd.DataFrame(rows, columns=[*_row_names(), *names])


def _row_names() -> list[str]:
    return (
        "trial ending reason choosing reporting gap epoch epochs parameters seconds "
        "overhead_seconds started seeds mean_choosing mean_reporting"
    ).split()


def _row(trial: Trial, began: float, final: Final | None, space: Space) -> dict[str, Any]:
    record = trial.record
    row: dict[str, Any] = {name: _cell(value) for name, value in record.values.items()}
    return row | {
        "trial": trial.number,
        "ending": record.ending,
        "reason": record.reason,
        "choosing": rounded(record.choosing),
        "reporting": rounded(record.reporting),
        "gap": gap(record.choosing, record.reporting),
        "epoch": _count(record.epoch),
        "epochs": len(trial.curve),
        "parameters": _count(record.parameters),
        "seconds": record.seconds,
        "overhead_seconds": record.overhead_seconds,
        "started": round(trial.started - began, 2),
        "seeds": _count(len(final.choosing) if final else None),
        "mean_choosing": rounded(final.choosing_mean if final else None),
        "mean_reporting": rounded(final.reporting_mean if final else None),
    }


def _cell(value: Any) -> Any:
    """Return a value as it is written after -S."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else value


def _count(number: int | None) -> str:
    """Return a whole number for a column in which some are missing."""
    return "" if number is None else str(number)


def recipe(space: Space, best: Trial, finals: Sequence[Final], name: str) -> str:
    """Return a trial as a recipe: all that decides what is trained, with its accuracy in a comment.

    Args:
        space: that was searched.
        best: the trial.
        finals: how good winners are over further seeds.
        name: of the search.
    """
    values = final_values(space, best)
    kept = {section: values[section] for section in SEARCHED}
    choosing, reporting = best.record.choosing or 0.0, best.record.reporting or 0.0
    lines = [
        f"The best of the search {name}, its trial {best.number}: accuracy {choosing:.4f} on the",
        f"half of dev that it was chosen on, {reporting:.4f} on the other.",
    ]
    for final in finals:
        if final.name == f"trial {best.number}":
            lines += [
                f"Trained with {counted(len(final.choosing), 'further seed')}: "
                f"{final.choosing_mean:.4f} and {final.reporting_mean:.4f} on average.",
            ]
    file = StringIO()
    writer: Any = YAML(typ="safe")
    writer.default_flow_style = None  # lists on one line
    writer.width = 98
    writer.sort_base_mapping_type_on_output = False
    writer.dump(kept, file)
    return "".join(f"# {line}\n" for line in lines) + file.getvalue()
