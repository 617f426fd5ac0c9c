"""Whether a second run is better than a first, and where.

Both runs score the same utterances, so their differences are compared speaker by speaker: what
makes a speaker hard is in both and cancels. Two answers are given. The interval of the
difference is that of all scores: a jackknife with Student's t, see `phonemes.scoring.scores`.
The probability of improvement is the share of 10,000 bootstrap samples of the speakers in which
the second run is better (Bisani and Ney, 2004, "Bootstrap estimates for confidence intervals in
ASR performance evaluation"). The interval is not one of the bootstrap's percentiles: those
cover .77 at 4 speakers, .90 at 10, where .95 is meant; the jackknife's covers .94 and .96. Where
speakers are unknown, utterances take their place. S units (speakers or utterances).
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonemes.pages.report.matrix import counts_of
from phonemes.pages.report.run import SPLITS, Run
from phonemes.scoring.scores import independent_units, interval_reach

SAMPLES = 10_000  # of the bootstrap
LOWER_IS_BETTER = {"cross_entropy", "phone_error_rate", "calibration_error"}
RATIOS = {  # scores that utterances tell: what is counted, of what
    "accuracy": ("right", "frames"),
    "phone_error_rate": ("phone_errors", "phones"),
}


class Paired(NamedTuple):
    """The difference of a score between two runs, second less first."""

    value: float
    low: float  # of its 95 % interval; NaN with one unit
    high: float
    improvement: float  # probability that the second run is better
    better: int  # units for which it is
    units: int  # S
    kind: str  # speakers, utterances or both

    @property
    def beyond_noise(self) -> bool:
        """Return whether the interval leaves 0 out."""
        return bool(self.low > 0 or self.high < 0)


class ScoreChange(NamedTuple):
    """A score of two runs."""

    split: str
    score: str
    before: float
    after: float

    @property
    def better(self) -> bool | None:
        """Return whether it is better after than before; None where it is the same."""
        if self.after == self.before:
            return None
        return (self.after < self.before) == (self.score in LOWER_IS_BETTER)


def score_changes(before: Run, after: Run) -> list[ScoreChange]:
    """Return all scores that both runs have."""
    found = []
    for split in SPLITS:
        for name in before.tables.get(split, {}).get("scores", pd.DataFrame({"score": []}))[
            "score"
        ]:
            first, second = (run.score(name, split) for run in (before, after))
            if first is not None and second is not None:
                found.append(ScoreChange(split, name, first, second))
    return found


def common_utterances(before: Run, after: Run) -> pd.DataFrame | str:
    """Return the utterances of dev with the counts of both runs, or why they cannot be paired.

    Returns:
        A row for each utterance: columns utterance, speaker, frames, phones, and right and
        phone_errors with _before and _after.
    """
    first, second = before.dev.get("utterances"), after.dev.get("utterances")
    if first is None or second is None:
        lacking = before if first is None else after
        return f"{lacking.name} has no table of utterances: {lacking.files.advice()}"
    key = ["utterance", "speaker", "frames", "phones"]
    both = first.merge(second, on=key, suffixes=("_before", "_after"))
    if not len(both) == len(first) == len(second):
        return "the runs were scored on different utterances, or on different labels"
    return both


def paired(utterances: pd.DataFrame, score: str) -> Paired:
    """Return the difference of a score between two runs.

    Args:
        utterances: from `common_utterances`.
        score: of RATIOS.
    """
    part, whole = RATIOS[score]
    kind, count, of_utterance = independent_units(utterances["speaker"].tolist())
    change = utterances[f"{part}_after"] - utterances[f"{part}_before"]
    gain, size = (
        np.bincount(of_utterance, values, count).astype(np.float64)
        for values in (change, utterances[whole])
    )
    value = float(gain.sum() / size.sum())
    with np.errstate(invalid="ignore"):  # of one unit, without which there is none
        reach = float(interval_reach((gain.sum() - gain) / (size.sum() - size), size))
    better = -gain if score in LOWER_IS_BETTER else gain
    return Paired(
        value, value - reach, value + reach,
        improvement(better, np.random.default_rng(0)), int((better > 0).sum()), count, kind,
    )  # fmt: skip


def improvement(gains: NDArray[np.float64], random: np.random.Generator) -> float:
    """Return the share of bootstrap samples whose gains, (S,), are above 0 in sum; ties are half.

    Both runs have the same frames, so the sign of the difference is that of the sum.
    """
    count, wins = len(gains), 0.0
    for _ in range(100):  # in parts, which need little memory
        drawn = random.multinomial(count, np.full(count, 1 / count), SAMPLES // 100)
        sums = drawn @ gains
        wins += (sums > 0).sum() + (sums == 0).sum() / 2
    return float(wins / SAMPLES)


def phoneme_changes(before: Run, after: Run) -> pd.DataFrame:
    """Return the phonemes that both runs know, the one that gains most frames first.

    Returns:
        Columns phoneme, frames (of the second run), before and after (F1) and gained (frames
        that are right in the second run and were not in the first, net).
    """
    tables = []
    for run in (before, after):
        counts = counts_of(run.dev["confusion"], run.phonemes)
        tables.append(
            run.dev["phonemes"].assign(right=np.diag(counts))[["phoneme", "f1", "support", "right"]]
        )
    both = tables[0].merge(tables[1], on="phoneme", suffixes=("_before", "_after"))
    found = pd.DataFrame(
        {
            "phoneme": both["phoneme"],
            "frames": both["support_after"],
            "before": both["f1_before"],
            "after": both["f1_after"],
            "gained": both["right_after"] - both["right_before"],
        }
    )
    return found.sort_values("gained", ascending=False, kind="stable").reset_index(drop=True)


def table_changes(before: Run, after: Run, name: str, key: str, value: str) -> pd.DataFrame:
    """Return one figure of a table of both runs, for the rows that both have.

    Returns:
        Columns key, before, after and change; no rows where a run lacks the table.
    """
    first, second = before.dev.get(name), after.dev.get(name)
    if first is None or second is None:
        return pd.DataFrame(columns=["key", "before", "after", "change"])
    both = first.merge(second, on=key, suffixes=("_before", "_after"))
    values = {side: both[f"{value}_{side}"] for side in ("before", "after")}
    change = values["after"] - values["before"]
    return pd.DataFrame({"key": both[key], **values, "change": change})


def parameter_changes(before: Run, after: Run) -> list[tuple[str, Any, Any]]:
    """Return the parameters that differ: name, and value in both runs, None where it has none.

    Those of `runtime` are left out, as they change no result.
    """
    first, second = before.flat_params(), after.flat_params()
    return [
        (name, first.get(name), second.get(name))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name) and not name.startswith("runtime.")
    ]
