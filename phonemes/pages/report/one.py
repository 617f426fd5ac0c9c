"""The page about one run."""

import math
from typing import Any, NamedTuple

import pandas as pd

from phonemes.inventory import phonetic_order
from phonemes.pages.page import render
from phonemes.pages.report import text
from phonemes.pages.report.charts import Chart, Line, chart
from phonemes.pages.report.findings import findings
from phonemes.pages.report.matrix import confusion_matrix, counts_of, groups_of
from phonemes.pages.report.run import SPLITS, Run
from phonemes.pages.report.utterances import FEWEST_PHONES, FRAME_WIDTH, extremes

MISTAKES = 15  # most frequent ones in the table
MOST_SPEAKERS = 40  # in the table
SCORE_NAMES = {
    "accuracy": "Accuracy",
    "accuracy_without_sil": "Accuracy without silence",
    "folded_accuracy": "Accuracy without stress",
    "top3_accuracy": "Top-3 accuracy",
    "macro_f1": "Macro F1",
    "phone_error_rate": "Phone error rate",
    "cross_entropy": "Cross-entropy, nats per frame",
    "calibration_error": "Calibration error",
}
TOOLS: dict[str, object] = {  # for all templates of reports
    "number": text.number,
    "signed": text.signed,
    "percent": text.percent,
    "frame_width": FRAME_WIDTH,
    "stresses": ("none", "primary", "secondary"),
}


class Speakers(NamedTuple):
    """The table of speakers, the least accurate first."""

    rows: list[dict[str, Any]]
    number: int
    mean: float  # accuracy over speakers
    largest: float  # difference from the mean
    cut: int  # speakers that the table leaves out


def report(run: Run) -> str:
    """Return the page about a run.

    Raises:
        InputError: a file of it is damaged.
    """
    counts = counts_of(run.dev["confusion"], run.phonemes)
    calibration = run.dev.get("calibration")
    return render(
        "report.html",
        title=f"Report of {run.name}",
        name=run.name,
        about=about(run),
        warnings=warnings(run),
        splits=split_facts(run),
        scores=score_rows(run),
        findings=findings(run),
        matrix=confusion_matrix(counts, run.phonemes),
        mistakes=mistakes(run.dev["confusion"]),
        classes=rows(run, "phonetic_classes"),
        boundaries=rows(run, "boundaries"),
        stress=rows(run, "stress"),
        phones=rows(run, "phone_errors"),
        phonemes=phoneme_groups(run),
        speakers=speakers(run.dev.get("speakers")),
        calibration=None if calibration is None else reliability(run, calibration),
        bins=rows(run, "calibration"),
        curves=curves([run]),
        changed_later=changed_later(run),
        utterances=extremes(run),
        fewest_phones=FEWEST_PHONES,
        parameters=parameters(run),
        **TOOLS,
    )


def about(run: Run) -> str:
    """Return a line about what was trained, and on what."""
    source = run.param("corpus", "source")
    path = f" in {run.param('corpus', 'path')}" if source in ("arrays", "audio") else ""
    minutes = (run.param("corpus", "synthetic") or {}).get("minutes")
    corpus = (
        f"generated speech, {minutes:g} minutes" if source == "synthetic" else f"{source}{path}"
    )
    return (
        f"{run.model['parameters']:,.0f} parameters, epoch {run.model['epoch']:.0f} kept; "
        f"{len(run.phonemes)} phonemes; corpus: {corpus}"
    )


def warnings(run: Run) -> list[str]:
    """Return what a reader has to know of a run before its figures."""
    found = []
    if run.missing:
        names = ", ".join(name.replace("_", " ") for name in run.missing)
        found.append(f"{run.name} has no tables of {names}: {run.files.advice()}.")
    if run.changed_since:
        found.append(
            f"params.yaml and dvc.lock of {run.name} differ in {text.named(run.changed_since)}: "
            "the results may have been made with other values. `dvc repro` makes them anew."
        )
    return found


def split_facts(run: Run) -> list[dict[str, object]]:
    """Return what each split's intervals count."""
    return [
        {
            "name": split,
            "units": f"{run.tables[split]['scores']['units'].iloc[0]:,.0f}",
            "kind": run.tables[split]["scores"]["unit"].iloc[0],
        }
        for split in SPLITS
        if split in run.tables
    ]


def score_rows(run: Run) -> list[tuple[str, list[dict[str, float]]]]:
    """Return the scores with a cell for each split: value, low and high."""
    tables = [
        run.tables[split]["scores"].set_index("score") for split in SPLITS if split in run.tables
    ]
    known = {name for table in tables for name in table.index}
    names = [name for name in SCORE_NAMES if name in known]
    columns = ["value", "low", "high"]
    return [
        (
            SCORE_NAMES[name],
            [
                dict(zip(columns, map(float, table.reindex([name])[columns].iloc[0]), strict=True))
                for table in tables
            ],
        )
        for name in names
    ]


def rows(run: Run, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table of dev; none where the run has no such table."""
    table = run.dev.get(name)
    return [] if table is None else records(table)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table by their columns."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def mistakes(confusion: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the most frequent mistakes."""
    frames = confusion.groupby("actual")["count"].transform("sum")
    table = confusion.assign(share=confusion["count"] / frames, frames=confusion["count"])
    wrong = table[(table["actual"] != table["predicted"]) & (table["count"] > 0)]
    most = wrong.sort_values("count", ascending=False, kind="stable").head(MISTAKES)
    return records(most)


def phoneme_groups(run: Run) -> list[dict[str, Any]]:
    """Return the phonemes with their scores, by phonetic class, or all in one."""
    table = run.dev["phonemes"].rename(columns={"support": "frames"})
    ordered = table.iloc[phonetic_order(run.phonemes)]
    groups = groups_of(tuple(ordered["phoneme"]))
    bounds = [(group.name, group.start, group.end) for group in groups] or [("", 0, len(ordered))]
    return [{"name": name, "rows": records(ordered.iloc[start:end])} for name, start, end in bounds]


def speakers(table: pd.DataFrame | None) -> Speakers | None:
    """Return the table of speakers; None where fewer than two are known."""
    if table is None or len(table) < 2:
        return None
    mean = float(table["accuracy"].mean())
    ordered = table.assign(difference=table["accuracy"] - mean).sort_values(
        "accuracy", kind="stable"
    )
    shown = ordered
    if len(ordered) > MOST_SPEAKERS:
        half = MOST_SPEAKERS // 2
        shown = pd.concat([ordered.head(half), ordered.tail(half)])
    return Speakers(
        records(shown), len(ordered), mean,
        float(ordered["difference"].abs().max()), len(ordered) - len(shown),
    )  # fmt: skip


def reliability(run: Run, table: pd.DataFrame) -> Chart:
    """Return the reliability diagram: accuracy over confidence."""
    full = table[table["frames"] > 0]
    error = text.number(run.score("calibration_error"))
    confidence, accuracy = full["confidence"].tolist(), full["accuracy"].tolist()
    tips = [
        f"confidence {text.number(mean)}: accuracy {text.number(right)}, {frames:,} frames"
        for mean, right, frames in zip(confidence, accuracy, full["frames"], strict=True)
    ]
    sizes = (full["frames"] / full["frames"].max()).tolist()
    return chart(
        "Reliability",
        [
            Line("as it should be", "even", [0, 1], [0, 1]),
            Line("dev", "accent", confidence, accuracy, sizes, tips),
        ],
        "confidence",
        "accuracy",
        f"Accuracy over confidence in tenths; expected calibration error {error}",
        "Above the line, confidences are too low; below, too high. The area of a mark is its share "
        f"of the frames. Expected calibration error {error}.",
        limits=(0, 1),
        whole=False,
    )


def curves(runs: list[Run]) -> list[Chart]:
    """Return the curves of training of one or two runs; none where there is no history."""
    known = [run for run in runs if run.history is not None and len(run.history)]
    if not known:
        return []
    note = (
        "On the training set accuracy is measured while training: with dropout, on distorted "
        "input, over changing weights."
    )
    unit, dev = "share of frames", [("dev_accuracy", "dev")]
    accuracy = _curve("Accuracy of dev", known, dev, unit)
    if len(runs) == 1:
        both = [*dev, ("train_accuracy", "training set")]
        accuracy = _curve("Accuracy", known, both, unit, note)
    return [
        accuracy,
        _curve("Cross-entropy of dev", known, [("dev_loss", "dev")], "nats per frame"),
        _curve("Learning rate", known, [("lr", "mean of an epoch")], ""),
    ]


def _curve(
    title: str, runs: list[Run], columns: list[tuple[str, str]], unit: str, note: str = ""
) -> Chart:
    """Return some columns of the histories over epochs; of two runs one column each."""
    lines = []
    looks = iter(("accent", "second") if len(runs) == 1 else ("second", "accent"))
    for run in runs:
        assert run.history is not None
        for column, name in columns:
            epochs, values = run.history["epoch"].tolist(), run.history[column].tolist()
            tips = [f"epoch {n:g}: {value:.4g}" for n, value in zip(epochs, values, strict=True)]
            named = name if len(runs) == 1 else run.name
            lines.append(Line(named, next(looks), epochs, values, tips=tips))
    last = "; ".join(f"{line.name} from {line.y[0]:.4g} to {line.y[-1]:.4g}" for line in lines)
    return chart(title, lines, "epoch", unit, f"{title} over epochs: {last}", note)


def changed_later(run: Run) -> str:
    """Return what the scores have that the curves of training lack; "" for nothing."""
    later = (
        ("stacking", "folds", "stacking"),
        ("smooth", "lm_scale", "smoothing over time"),
        ("smooth", "prior_scale", "division by the prior"),
    )
    return " and ".join(what for section, name, what in later if run.param(section, name))


def parameters(run: Run) -> list[tuple[str, str]]:
    """Return all parameters by their names in full."""
    return [(name, shown(value)) for name, value in run.flat_params().items()]


def shown(value: Any) -> str:
    """Return a parameter as params.yaml has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return "" if value is None else str(value)
