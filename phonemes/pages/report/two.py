"""The page that compares two runs."""

from typing import Any, NamedTuple

import pandas as pd

from phonemes.pages.page import render
from phonemes.pages.report.charts import Chart, Line, chart
from phonemes.pages.report.comparison import (
    LOWER_IS_BETTER,
    RATIOS,
    Paired,
    common_utterances,
    paired,
    parameter_changes,
    phoneme_changes,
    score_changes,
    table_changes,
)
from phonemes.pages.report.findings import Finding
from phonemes.pages.report.matrix import Matrix, counts_of, difference_matrix
from phonemes.pages.report.one import SCORE_NAMES, TOOLS, about, curves, records, shown, warnings
from phonemes.pages.report.run import Run
from phonemes.pages.report.text import number, signed, signed_count

MOST_PHONEMES = 10  # better ones, and worse ones
MOST_SPEAKERS = 20  # that changed most
TABLES = (  # caption, key, table and its column of names, of accuracies
    ("By phonetic class", "class", "phonetic_classes", "class"),
    ("By distance from a boundary", "distance, frames", "boundaries", "distance"),
    ("Vowels by stress", "stress", "stress", "stress"),
)


class Changes(NamedTuple):
    """A table of accuracies of both runs."""

    caption: str
    key: str  # what rows are
    rows: list[dict[str, Any]]  # key, before, after, change
    largest: float  # change of either sign


def comparison(before: Run, after: Run) -> str:
    """Return the page that compares a second run with a first.

    Raises:
        InputError: a file of them is damaged.
    """
    phonemes = phoneme_changes(before, after)
    gained, lost = phonemes[phonemes["gained"] > 0], phonemes[phonemes["gained"] < 0].iloc[::-1]
    utterances = common_utterances(before, after)
    return render(
        "comparison.html",
        title=f"{after.name} compared with {before.name}",
        before={"name": before.name, "about": about(before)},
        after={"name": after.name, "about": about(after)},
        warnings=[*warnings(before), *warnings(after)],
        verdicts=verdicts(utterances, before.name, after.name),
        unit=unit_of(utterances),
        scores=score_rows(before, after),
        parameters=[
            (name, shown(first), shown(second))
            for name, first, second in parameter_changes(before, after)
        ],
        gained=records(gained.head(MOST_PHONEMES)),
        lost=records(lost.head(MOST_PHONEMES)),
        matrix=matrix(before, after),
        tables=tables(before, after),
        calibration=reliability(before, after),
        curves=curves([before, after]),
        signed_count=signed_count,
        **TOOLS,
    )


def unit_of(utterances: pd.DataFrame | str) -> str:
    """Return what runs are compared by: speaker or utterance; "" where they cannot be paired."""
    if isinstance(utterances, str):
        return ""
    return "speaker" if (utterances["speaker"] != "").any() else "utterance"


def verdicts(utterances: pd.DataFrame | str, before: str, after: str) -> list[Finding]:
    """Return whether scores of dev differ by more than noise, in sentences.

    Args:
        utterances: of both runs, or why they cannot be paired.
        before: name of the first run.
        after: name of the second run.
    """
    if isinstance(utterances, str):
        return [Finding("Noise", f"Nothing tells whether the change is noise: {utterances}.")]
    names = {"accuracy": "Accuracy", "phone_error_rate": "Phone error rate"}
    return [
        Finding(names[score], verdict(paired(utterances, score), score, before, after))
        for score in RATIOS
    ]


def verdict(found: Paired, score: str, before: str, after: str) -> str:
    """Return a sentence about one score."""
    better = (found.value < 0) == (score in LOWER_IS_BETTER)
    if found.value == 0:
        return f"{before} and {after} are equally good."
    if found.beyond_noise:
        start = f"{after} is {'better' if better else 'worse'} than {before}"
    else:
        start = f"{before} and {after} do not differ by more than noise"
    if found.units == 1:
        one = found.kind.removesuffix("s")
        return f"{start}, as far as one {one} tells: {signed(found.value)}."
    certain = found.better in (0, found.units)  # then every sample has the same sign
    improvement = "" if certain else f"; probability of improvement {number(found.improvement)}"
    return (
        f"{start}: {signed(found.value)}, 95 % interval {signed(found.low)} to "
        f"{signed(found.high)} over {found.units} {found.kind}. {after} is better for "
        f"{found.better} of them{improvement}."
    )


def score_rows(before: Run, after: Run) -> list[dict[str, Any]]:
    """Return all scores of both runs, and which is better."""
    sides = {True: "better", False: "worse", None: "same"}
    return [
        {
            "split": each.split,
            "label": SCORE_NAMES.get(each.score, each.score),
            "before": each.before,
            "after": each.after,
            "change": each.after - each.before,
            "side": sides[each.better],
        }
        for each in score_changes(before, after)
    ]


def matrix(before: Run, after: Run) -> Matrix | None:
    """Return the difference of the confusions; None where the runs have different phonemes."""
    if before.phonemes != after.phonemes:
        return None
    first, second = (counts_of(run.dev["confusion"], run.phonemes) for run in (before, after))
    return difference_matrix(first, second, before.phonemes)


def tables(before: Run, after: Run) -> list[Changes]:
    """Return the tables of accuracy that both runs have; of speakers those that changed most."""
    found = [
        _changes(caption, key, table_changes(before, after, name, column, "accuracy"))
        for caption, key, name, column in TABLES
    ]
    speakers = table_changes(before, after, "speakers", "speaker", "accuracy")
    if len(speakers) > 1:
        order = speakers["change"].abs().sort_values(ascending=False, kind="stable").index
        most = speakers.loc[order[:MOST_SPEAKERS]].sort_values("change", kind="stable")
        cut = len(speakers) - len(most)
        caption = f"Speakers that changed most, of {len(speakers)}" if cut else "By speaker"
        found.append(_changes(caption, "speaker", most))
    return [each for each in found if each.rows]


def _changes(caption: str, key: str, table: pd.DataFrame) -> Changes:
    return Changes(caption, key, records(table), float(table["change"].abs().max()))


def reliability(before: Run, after: Run) -> Chart | None:
    """Return the reliability diagrams of both runs in one; None where one has no table."""
    if any("calibration" not in run.dev for run in (before, after)):
        return None
    lines = [Line("as it should be", "even", [0, 1], [0, 1])]
    for run, look in ((before, "second"), (after, "accent")):
        full = run.dev["calibration"].query("frames > 0")
        lines.append(Line(run.name, look, full["confidence"].tolist(), full["accuracy"].tolist()))
    errors = [number(run.score("calibration_error")) for run in (before, after)]
    return chart(
        "Reliability",
        lines,
        "confidence",
        "accuracy",
        f"Accuracy over confidence of both runs; calibration errors {errors[0]} and {errors[1]}",
        f"Expected calibration error {errors[0]} and {errors[1]}.",
        limits=(0, 1),
        whole=False,
    )
