"""Winners of a search: the best trials, and how good they are over further seeds."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from phonemes.recipes import merged
from phonemes.search.journal import Record, Trial
from phonemes.search.space import SEARCHED, Space, lookup, nested

DECIMALS = 6  # of an accuracy
START = "start"  # what a search is to beat: what the space starts from, trained like a winner


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the highest accuracy on the choosing half."""
    return next(iter(ranked(trials)), None)


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the complete trials, the most accurate on the choosing half first."""
    complete = [trial for trial in trials if trial.record.ending == "complete"]
    return sorted(complete, key=lambda trial: (-(trial.record.choosing or 0), trial.number))


def top(trials: Sequence[Trial], count: int) -> list[Trial]:
    """Return the best complete trials, each set of values once."""
    found: list[Trial] = []
    for trial in ranked(trials):
        if len(found) < count and all(trial.record.values != e.record.values for e in found):
            found.append(trial)
    return found


def contenders(space: Space, winners: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """Return all parameters of winners as they are trained in the end, and the start's."""
    return {START: space.start} | {
        f"trial {trial.number}": final_values(space, trial) for trial in winners
    }


def final_values(space: Space, trial: Trial) -> dict[str, Any]:
    """Return all parameters that a winner is trained with in the end, section by section."""
    return merged(merged(space.base, nested(trial.record.values)), space.retrain)


def further_seeds(space: Space, count: int) -> list[int]:
    """Return the seeds after that of all trials."""
    first = lookup(space.base, "train.seed")
    return [(first + number) % 2**31 for number in range(1, count + 1)]


class Final(NamedTuple):
    """How good a winner is, over further seeds."""

    name: str  # trial NUMBER, or start
    choosing: list[float]  # one a seed
    reporting: list[float]
    seconds: float  # of one training

    @property
    def choosing_mean(self) -> float:
        """Return the mean over seeds on the choosing half."""
        return mean(self.choosing)

    @property
    def reporting_mean(self) -> float:
        """Return the mean over seeds on the reporting half."""
        return mean(self.reporting)


def finals(records: Mapping[str, Record]) -> list[Final]:
    """Return what was trained with further seeds, the best on the choosing half first."""
    groups: dict[str, list[Record]] = {}
    for name, record in sorted(records.items()):
        if record.ending == "complete":
            groups.setdefault(name.rpartition(", seed ")[0], []).append(record)
    found = [
        Final(
            name,
            [each.choosing or 0.0 for each in group],
            [each.reporting or 0.0 for each in group],
            mean(each.seconds or 0.0 for each in group),
        )
        for name, group in groups.items()
    ]
    return sorted(found, key=lambda each: -each.choosing_mean)


def winner(trials: Sequence[Trial], found: Sequence[Final]) -> Trial | None:
    """Return the best trial: over further seeds, or where none was trained, as it was tried."""
    by_name = {f"trial {trial.number}": trial for trial in trials}
    return next((by_name[each.name] for each in found if each.name in by_name), best_of(trials))


def rounded(value: float | None) -> float | None:
    """Return an accuracy as it is written."""
    return None if value is None else round(value, DECIMALS)


def gap(choosing: float | None, reporting: float | None) -> float | None:
    """Return by how much the half that was chosen on is better."""
    return None if choosing is None or reporting is None else rounded(choosing - reporting)


def changed_values(space: Space, trial: Trial) -> dict[str, tuple[Any, Any]]:
    """Return what a winner differs in from the start: before and after, by names in full."""
    after = final_values(space, trial)
    names = [f"{section}.{key}" for section in SEARCHED for key in after[section]]
    pairs = {name: (lookup(space.start, name), lookup(after, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def shares_of_time(trials: Sequence[Trial]) -> Mapping[str, float]:
    """Return mean s of a trained trial: of training, and of overhead."""
    trained = [trial.record for trial in trials if trial.record.seconds is not None]
    if not trained:
        return {}
    return {
        "seconds": mean(record.seconds or 0.0 for record in trained),
        "overhead_seconds": mean(record.overhead_seconds or 0.0 for record in trained),
    }
