"""The page of a search: what it found, how sure that is, and how it got there."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from phonemes.pages.page import render
from phonemes.pages.parallel import parallel_coordinates, shown
from phonemes.pages.report import text
from phonemes.pages.report.charts import Chart, Line, chart
from phonemes.search import journal
from phonemes.search.domain import Range
from phonemes.search.journal import Trial
from phonemes.search.space import Space
from phonemes.search.winners import (
    START,
    Final,
    changed_values,
    gap,
    ranked,
    shares_of_time,
    winner,
)
from phonemes.wording import counted

MOST_CURVES = 200  # learning curves that are drawn, evenly out of all


class Half(NamedTuple):
    """A half of dev."""

    speakers: int  # 0 where unknown
    frames: int

    def __str__(self) -> str:
        who = f"{counted(self.speakers, 'speaker')}, " if self.speakers else ""
        return f"{who}{counted(self.frames, 'frame')}"


class Found(NamedTuple):
    """All that the page is about."""

    name: str
    space: Space
    trials: Sequence[Trial]
    finals: Sequence[Final]
    importances: Mapping[str, float]
    choosing: Half
    reporting: Half
    how: str  # sampler, pruner and seed


def search_page(found: Found) -> str:
    """Return the page; with one trial or more."""
    trials, best = found.trials, winner(found.trials, found.finals)
    tried = sum(map(journal.counted, trials))
    return render(
        "search.html",
        title=f"Search {found.name}",
        found=found,
        about=f"{counted(tried, 'network')} trained; {found.how}",
        findings=findings(found, best),
        winners=winner_rows(found),
        best=best,
        changes=changed_values(found.space, best) if best else {},
        progress=[best_so_far(trials)] if best else [],
        importances=[(name, share) for name, share in found.importances.items() if share > 0],
        parallel=parallel_axes(found),
        curves=learning_curves(trials),
        endings=endings(trials),
        number=text.number,
        signed=text.signed,
        percent=text.percent,
        shown=shown,
    )


def findings(found: Found, best: Trial | None) -> list[dict[str, str]]:
    """Return what the search says, in sentences."""
    if best is None:
        return [{"topic": "Nothing yet", "text": "No trial was trained to its end.", "advice": ""}]
    choosing, reporting = best.record.choosing or 0.0, best.record.reporting or 0.0
    complete = len(ranked(found.trials))
    rows = [
        {
            "topic": "Best trial",
            "text": f"Trial {best.number}: accuracy {text.number(choosing)} on the half of dev "
            f"that it was chosen on, {text.number(reporting)} on the other.",
            "advice": f"`dvc exp run $(phonemes recipe search/{found.name})` trains it",
        },
        {
            "topic": "Chance",
            "text": f"The best of {counted(complete, 'complete trial')} is too good on the half "
            f"that it was chosen on ({found.choosing}): quote the other ({found.reporting}).",
            "advice": "",
        },
    ]
    by_name = {final.name: final for final in found.finals}
    own, start = by_name.get(f"trial {best.number}"), by_name.get(START)
    if own:
        text_of = (
            f"Trained with {counted(len(own.choosing), 'further seed')}, trial {best.number} has "
            f"{text.number(own.choosing_mean)} on the choosing half and "
            f"{text.number(own.reporting_mean)} on the reporting half, on average."
        )
        if start:
            difference = own.reporting_mean - start.reporting_mean
            text_of += (
                f" What the search started from has {text.number(start.reporting_mean)} on the "
                f"reporting half with the same seeds: a difference of {text.signed(difference)}."
            )
        worse = start is not None and own.reporting_mean <= start.reporting_mean
        advice = "The search has not beaten what it started from: search longer" if worse else ""
        rows.append({"topic": "Further seeds", "text": text_of, "advice": advice})
    return rows


def winner_rows(found: Found) -> list[dict[str, Any]]:
    """Return the rows of the table of winners: the best on the choosing half first."""
    by_name = {f"trial {trial.number}": trial for trial in found.trials}
    names = [final.name for final in found.finals]
    names += [f"trial {trial.number}" for trial in ranked(found.trials)[:5]]
    finals = {final.name: final for final in found.finals}
    rows = []
    for name in dict.fromkeys(names):
        record = by_name[name].record if name in by_name else None
        final = finals.get(name)
        rows.append(
            {
                "name": "start of the search" if name == START else name,
                "choosing": record.choosing if record else None,
                "reporting": record.reporting if record else None,
                "gap": gap(record.choosing, record.reporting) if record else None,
                "seeds": len(final.choosing) if final else 0,
                "mean_choosing": final.choosing_mean if final else None,
                "mean_reporting": final.reporting_mean if final else None,
                "mean_gap": final.choosing_mean - final.reporting_mean if final else None,
                "parameters": record.parameters if record else None,
                "seconds": final.seconds if final else record and record.seconds,
            }
        )
    return rows


def best_so_far(trials: Sequence[Trial]) -> Chart:
    """Return the best accuracy on the choosing half over time, and that trial's on the other."""
    complete = [trial for trial in trials if trial.record.ending == "complete"]
    began = min(trial.started for trial in trials)
    steps: list[tuple[float, float, float]] = []  # minutes, and accuracy on both halves
    for trial in sorted(complete, key=lambda each: each.ended):
        minute, record = (trial.ended - began) / 60, trial.record
        if not steps or (record.choosing or 0.0) > steps[-1][1]:
            steps += [(minute, before[1], before[2]) for before in steps[-1:]]
            steps.append((minute, record.choosing or 0.0, record.reporting or 0.0))
    steps.append(((max(trial.ended for trial in trials) - began) / 60, *steps[-1][1:]))
    times, choosing, reporting = zip(*steps, strict=True)
    return chart(
        "Best so far",
        [
            Line("chosen on", "accent", times, choosing),
            Line("the same trial on the other half", "second", times, reporting),
        ],
        "minutes",
        "accuracy",
        f"Best accuracy over time: from {choosing[0]:.4f} to {choosing[-1]:.4f} on the half that "
        f"was chosen on, {reporting[-1]:.4f} on the other",
        whole=False,
    )


def parallel_axes(found: Found) -> Markup | None:
    """Return the parallel coordinates of the complete trials; None where there is no difference."""
    order = ranked(found.trials)[::-1]
    accuracies = [trial.record.choosing or 0.0 for trial in order]
    logarithmic = {
        each.name
        for each in found.space.varied
        if isinstance(each.domain, Range) and each.domain.log
    }
    values = [trial.record.values for trial in order]
    return parallel_coordinates(values, accuracies, [*found.importances], logarithmic)


def learning_curves(trials: Sequence[Trial]) -> Chart | None:
    """Return the accuracy of trials over epochs, the best one in another colour."""
    drawn = [trial for trial in trials if trial.curve]
    if not drawn:
        return None
    order = ranked(drawn)
    best = order[0] if order else None
    step = math.ceil(len(drawn) / MOST_CURVES)
    lines = [
        Line("others", "even", range(1, len(trial.curve) + 1), trial.curve)
        for trial in drawn[::step]
    ]
    if best:
        tips = [f"epoch {n}: {value:.4f}" for n, value in enumerate(best.curve, 1)]
        lines.append(Line("best", "accent", range(1, len(best.curve) + 1), best.curve, tips=tips))
    made = chart(
        "Learning curves",
        lines,
        "epoch",
        "accuracy, choosing half",
        f"Accuracy over epochs of {len(lines)} trials",
        f"{len(drawn[::step])} of {len(drawn)} trials. Trials are compared at equal epochs.",
    )
    legend = (("best", "accent"),) * bool(best) + (("others", "even"),)
    return made._replace(legend=legend)


def endings(trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """Return how the trials ended and what they took, line by line."""
    counts = Counter(trial.record.ending for trial in trials)
    rows = [(f"trials {ending}", f"{count:,}") for ending, count in sorted(counts.items())]
    span = max((t.ended for t in trials), default=0) - min((t.started for t in trials), default=0)
    tried = sum(map(journal.counted, trials))
    if span > 0:
        rows.append(("from the first to the last", f"{span / 60:,.1f} min"))
        rows.append(("networks an hour", f"{tried / span * 3600:,.0f}"))
    times = shares_of_time(trials)
    if times:
        rows.append(("training of a network, mean", f"{times['seconds']:.1f} s"))
        rows.append(("overhead of a trial, mean", f"{times['overhead_seconds']:.2f} s"))
    rows.append(("epochs trained", f"{sum(len(trial.curve) for trial in trials):,}"))
    return rows
