"""`phonemes summary`: the scores here, and whether they are those of the last commit.

Results are the same bytes on the same machine, device and number of threads. Elsewhere sums
are rounded differently: models and scores then differ a little although nothing is wrong, and
git shows dvc.lock and metrics as modified. dvc.lock says what differs: code, data or
parameters that a stage depends on, or else the first stage whose outputs have other bytes.
`make reproduce` ends with it.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import click

from phonemes.commands.experiments import SPLITS, flat, git, of_one_run
from phonemes.errors import InputError
from phonemes.schema import read_yaml
from phonemes.storage.layout import CORPUS, MODEL, SCORES, TABLES

LOCK = Path("dvc.lock")
BASE = "HEAD"
TRACKED = ("dvc.lock", "metrics")  # what a run may change in git
SHOWN = {
    "accuracy": "accuracy {:.4f}",
    "macro_f1": "macro F1 {:.4f}",
    "cross_entropy": "cross-entropy {:.4f} nats",
}
NAMED = 3  # of what changed, at most
WIDTH = 100  # characters of a line
ROUNDED = (
    "code, data and parameters are the commit's; from stage {} on sums were rounded differently, "
    "as by another processor, device, number of threads or version"
)
# of the index too, to which DVC adds dvc.lock; what was computed stays
CLEAN = f"git checkout {BASE} {' '.join(TRACKED)}"


class Interval(NamedTuple):
    """The 95 % interval of a score, as scores.csv has it; "" where there is none."""

    low: str
    high: str


class State(NamedTuple):
    """What git keeps of a run."""

    stages: Mapping[str, Any]  # of dvc.lock
    scores: Mapping[str, Any]  # of metrics/evaluate.json


def read_state(lock: str, scores: str, where: str) -> State:
    """Read the texts of dvc.lock and of the scores; either may be "", where there is none.

    Raises:
        InputError: one of them is damaged.
    """
    try:
        found = read_yaml(lock, f"{LOCK} of {where}") or {}
        return State(found.get("stages") or {}, json.loads(scores) if scores else {})
    except (AttributeError, ValueError) as error:
        raise InputError(
            f"{LOCK} or {SCORES} of {where} is damaged ({error}); run `dvc repro`"
        ) from None


def score_lines(state: State, intervals: Mapping[str, Interval]) -> Iterator[str]:
    """Yield a line about each split; `intervals` has the interval of its accuracy."""
    for split in (split for split in SPLITS if split in state.scores):
        scores, interval = state.scores[split], intervals.get(split)
        parts = [text.format(scores[name]) for name, text in SHOWN.items() if name in scores]
        if interval and interval.low:
            parts[0] += f" (95 % {float(interval.low):.4f} to {float(interval.high):.4f})"
        yield f"{split + ':':<8}{', '.join(parts)}"


def _outputs(state: State) -> dict[str, str]:
    """Return the digests of what stages write."""
    return {
        out["path"]: out["md5"]
        for stage in state.stages.values()
        for out in stage.get("outs", [])
        if "md5" in out
    }


def model_line(here: State, base: State) -> str:
    """Return whether the model has the bytes of the commit."""
    name = MODEL.as_posix()
    made, committed = (_outputs(state).get(name) for state in (here, base))
    if committed is None:
        return "the commit has none"
    return "the bytes of the commit" if made == committed else "other bytes than the commit's"


def scores_line(here: State, base: State) -> str:
    """Return the largest difference of a score from the commit's."""
    old, new = (
        dict(flat({split: state.scores[split] for split in SPLITS if split in state.scores}))
        for state in (base, here)
    )
    common = [name for name in new if name in old]
    if not common:
        return "the commit has none"
    name = max(common, key=lambda each: abs(new[each] - old[each]))
    if new[name] == old[name]:
        return f"all {len(common)} equal those of the commit"
    return (
        f"differ by {abs(new[name] - old[name]):.4f} at most: "
        f"{name} is {new[name]:.4f}, in the commit {old[name]:.4f}"
    )


def outdated(here: State, base: State) -> bool:
    """Return whether scores are of an earlier run than what some stages made since."""
    made, before = _outputs(here), _outputs(base)
    model, corpus = MODEL.as_posix(), CORPUS.as_posix()
    if made.get(model) == before.get(model) and made.get(corpus) != before.get(corpus):
        return True  # no other corpus makes the same model
    deps = [dep for stage in here.stages.values() for dep in stage.get("deps", [])]
    return not of_one_run(((dep["path"], dep.get("md5")) for dep in deps), made)


def changes(here: State, base: State) -> list[str]:
    """Return the files and parameters that stages depend on and that are not the commit's."""
    made = {*_outputs(here), *_outputs(base)}
    different: list[str] = []
    for name, stage in here.stages.items():
        before = base.stages.get(name, {})
        now, old = (
            {
                dep["path"]: dep.get("md5")
                for dep in each.get("deps", [])
                if not any(Path(dep["path"]).is_relative_to(out) for out in made)
            }
            | dict(flat(each.get("params", {}).get("params.yaml", {})))
            for each in (stage, before)
        )
        different += [each for each in {**now, **old} if now.get(each) != old.get(each)]
    return [*dict.fromkeys(different)]


def reason(here: State, base: State, different: list[str]) -> str:
    """Return why outputs are not the commit's, from what is `different`; "" where they are."""
    if different:
        more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
        return f"the commit's results were made with other {', '.join(different[:NAMED])}{more}"
    for name, stage in here.stages.items():
        if stage.get("outs") != base.stages.get(name, {}).get("outs"):
            return ROUNDED.format(name)
    return ""


def summary_lines(
    here: State, base: State, intervals: Mapping[str, Interval], modified: list[str]
) -> list[str]:
    """Return the lines of the summary; `modified` are the files that git shows."""
    lines = [
        *score_lines(here, intervals),
        f"model:  {model_line(here, base)}",
        f"scores: {scores_line(here, base)}",
    ]
    if outdated(here, base):
        lines.append("old:    scores of an earlier run; `dvc repro` makes those of what is here")
    different = changes(here, base)
    if base.stages and (why := reason(here, base, different)):
        lines.append(f"why:    {why}")
    if modified:
        if not base.stages:
            what = "commit them"
        elif different:
            what = "commit them, or `make back` returns to the results of the commit"
        else:
            what = f"`{CLEAN}`: nothing has to be committed, what was computed stays"
        lines += [
            f"git:    shows {', '.join(modified)}: hashes and scores of what is here",
            f"next:   {what}",
        ]
    else:
        lines.append("git:    nothing to commit in dvc.lock and metrics")
    return lines


def committed(path: Path) -> str:
    """Return the text of a file in the last commit; "" where there is no commit or no file."""
    try:
        return git("show", f"{BASE}:./{path.as_posix()}")
    except InputError:
        return ""


def text_here(path: Path) -> str:
    """Return the text of a file in the current folder; "" where there is none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""


def read_interval(split: str) -> Interval | None:
    """Return the accuracy of a split with its interval; None where it has no table."""
    path = TABLES / split / "scores.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["score"]: row for row in csv.DictReader(file)}
    row = rows.get("accuracy")
    return Interval(row["low"], row["high"]) if row else None


@click.command(epilog="Example: dvc repro && phonemes summary")
def summary() -> None:
    """Print the scores here, and whether they are the last commit's.

    And whether the model is. Says by how much they differ and why: code, data or parameters, or
    rounding. `phonemes report HEAD workspace` has the differences in detail.
    """
    here = read_state(text_here(LOCK), text_here(SCORES), "workspace")
    if not here.scores:
        raise InputError(f"there is no {SCORES} here; run `dvc repro`")
    base = read_state(committed(LOCK), committed(SCORES), BASE)
    modified = git("status", "--porcelain", "--untracked-files=all", "--", *TRACKED).splitlines()
    intervals = {split: found for split in SPLITS if (found := read_interval(split))}
    names = [line[3:] for line in modified]
    for line in summary_lines(here, base, intervals, names):
        click.echo(fill(line, WIDTH, subsequent_indent=" " * 8, break_on_hyphens=False))
