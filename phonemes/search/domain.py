"""What one parameter of a space is drawn from: choices, a range, or lists of widths."""

import json
from typing import Any, NamedTuple, Protocol

from phonemes.errors import InputError

WIDTH_STEP = 8  # of widths that narrow: products are slow on others
DIGITS = 4  # of a number that is drawn, so that a recipe can be read


class Choices(NamedTuple):
    """One of a few values."""

    values: tuple[Any, ...]

    def samples(self) -> list[Any]:
        """Return the values that show whether all are allowed."""
        return [*self.values]


class Range(NamedTuple):
    """A number from low to high, both possible."""

    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    def samples(self) -> list[Any]:
        """Return the values that show whether all are allowed."""
        return [self.low, self.high]


class Widths(NamedTuple):
    """A list of widths: so many blocks, the first of so many units, narrowing by a factor."""

    blocks: Choices | Range
    width: Choices | Range
    taper: Choices | Range

    def samples(self) -> list[Any]:
        """Return the values that show whether all are allowed."""
        ends = [[min(each.samples()), max(each.samples())] for each in (self.blocks, self.width)]
        return [
            self.made(blocks, width, taper)
            for blocks, width in zip(*ends, strict=True)
            for taper in self.taper.samples()
        ]

    def made(self, blocks: int, width: int, taper: float) -> list[int]:
        """Return the widths of all blocks."""
        if taper == 1:
            return [width] * blocks
        shares = [taper ** (number / max(1, blocks - 1)) for number in range(blocks)]
        return [max(1, round(width * share / WIDTH_STEP)) * WIDTH_STEP for share in shares]


class Suggesting(Protocol):
    """What draws values: a trial of Optuna."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """Return one of some values."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Return a whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        """Return a number."""


def drawn_from(domain: Choices | Range | Widths, name: str, trial: Suggesting) -> Any:
    """Return a value of a parameter, by its name in full."""
    if isinstance(domain, Widths):
        parts = {
            part: drawn_from(each, f"{name}.{part}", trial)
            for part, each in domain._asdict().items()
        }
        return domain.made(**parts)
    if isinstance(domain, Choices):
        if len(domain.values) == 1:
            return domain.values[0]
        texts = {json.dumps(value): value for value in domain.values}  # lists are no categories
        return texts[trial.suggest_categorical(name, [*texts])]
    low, high, step, log, whole = domain
    if whole:
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=log)
    drawn = trial.suggest_float(name, low, high, step=step, log=log)
    return min(max(float(f"{drawn:.{DIGITS}g}"), low), high)


def domain_of(name: str, value: Any, kind: type, items: bool) -> Choices | Range | Widths | None:
    """Return what a parameter is drawn from; None where its value is fixed."""
    if items and isinstance(value, dict) and "blocks" in value:
        extra = set(value) - {"blocks", "width", "taper"}
        if extra or "width" not in value:
            raise InputError(f"{name}: expected blocks, width and perhaps taper, not {[*value]}")
        return Widths(
            _part(f"{name}.blocks", value["blocks"], int),
            _part(f"{name}.width", value["width"], int),
            _part(f"{name}.taper", value.get("taper", 1), float),
        )
    if isinstance(value, dict) and "choices" in value:
        if extra := set(value) - {"choices"}:
            raise InputError(f"{name}: expected choices alone, not {', '.join(sorted(extra))} too")
        if not isinstance(value["choices"], list):
            raise InputError(f"{name}: choices is {value['choices']!r}; expected a list")
        return _choices(name, value["choices"])
    if isinstance(value, dict):
        return _range(name, value, kind)
    if isinstance(value, list) and (not items or any(isinstance(each, list) for each in value)):
        return _choices(name, value)
    return None


def _choices(name: str, values: list[Any]) -> Choices:
    if not values:
        raise InputError(f"{name}: expected at least one choice")
    if len({json.dumps(value) for value in values}) < len(values):
        raise InputError(f"{name}: a choice is there twice")
    return Choices(tuple(values))


def _part(name: str, value: Any, kind: type) -> Choices | Range:
    """Return what a part of a list of widths is drawn from."""
    domain = domain_of(name, value, kind, items=False) or Choices((value,))
    assert not isinstance(domain, Widths)
    for sample in domain.samples():
        whole = isinstance(sample, int) and not isinstance(sample, bool)
        if not (whole or (kind is float and isinstance(sample, float))) or sample <= 0:
            needed = "a whole number" if kind is int else "a number"
            raise InputError(f"{name} is {sample!r}; expected {needed} above 0")
    return domain


def _range(name: str, value: dict[str, Any], kind: type) -> Range:
    """Return a range of numbers.

    Raises:
        InputError: says what is wrong with it.
    """
    if kind not in (int, float):
        raise InputError(f"{name} is no number; expected a list of choices")
    if extra := set(value) - {"low", "high", "step", "log"}:
        raise InputError(
            f"{name}: {', '.join(map(str, extra))} is not known; "
            "expected low and high, perhaps step or log, or choices"
        )
    low, high, step, log = (value.get(key) for key in ("low", "high", "step", "log"))
    for end, number in (("low", low), ("high", high), ("step", 1 if step is None else step)):
        if isinstance(number, bool) or not isinstance(number, int | kind):
            needed = "a whole number" if kind is int else "a number"
            raise InputError(f"{name}: {end} is {number!r}; expected {needed}")
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not low < high:
        raise InputError(f"{name}: low is {low} and high is {high}; expected low below high")
    if log not in (None, True, False):
        raise InputError(f"{name}: log is {log!r}; expected true or false")
    if log and (step is not None or low <= 0):
        raise InputError(f"{name}: with log, expected low above 0 and no step")
    if step is not None and not 0 < step <= high - low:
        raise InputError(f"{name}: step is {step}; expected above 0 and at most {high - low:g}")
    return Range(low, high, step, bool(log), kind is int)
