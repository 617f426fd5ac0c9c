"""Spaces: which parameters a search varies, and how; read from YAML.

A space is laid out as params.yaml. A value is fixed, a list is a choice, and a mapping is one of

    {choices: [relu, gelu]}                          as the list alone
    {low: 1e-4, high: 1e-2, log: true}               a range; whole numbers where the parameter is
    {low: 256, high: 2048, step: 128}
    {blocks: ..., width: ..., taper: ...}            of model.hidden: each a value, list or range

to which `if: {train.optimizer: sgd}` may be added: the parameter is varied only where another
one has that value, or one of a list of them. A width narrows evenly, on a scale of logarithms,
to the last block's, `taper` times the first. `extends: NAME` names the recipe that a space
starts from; what neither has is params.yaml's. `retrain`, laid out in the same way, holds
values that winners are trained with in the end, as more epochs.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, get_args, get_origin, get_type_hints

from phonemes.errors import InputError, did_you_mean
from phonemes.params import Params, checked
from phonemes.recipes import RECIPES, merged, read_recipe
from phonemes.schema import Items, build, listed, read_yaml_file

SPACES = RECIPES / "spaces"
SEARCHED = ("normalize", "data", "model", "augment", "train")
NOT_SEARCHED = {
    "corpus": "a search is over one packed corpus: vary it with `dvc exp run --queue`",
    "features": "a search is over one packed corpus: vary them with `dvc exp run --queue`",
    "stacking": "a search is for one network: add the recipe stacked to what it finds",
    "smooth": "it trains nothing: vary it afterwards with `dvc exp run`",
    "evaluate": "no accuracy depends on it",
    "predict": "no accuracy depends on it",
    "runtime": "no accuracy depends on it",
    "train.seed": "a lucky seed makes no better network; winners are trained with further seeds",
}
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


class Varied(NamedTuple):
    """A parameter that is varied."""

    name: str  # in full, as train.lr
    domain: Choices | Range | Widths
    given: dict[str, list[Any]]  # values of other parameters, with one of which it is varied


class Space(NamedTuple):
    """What is searched."""

    base: dict[str, Any]  # all of params.yaml, section by section, with the space's fixed values
    varied: tuple[Varied, ...]
    retrain: dict[str, Any]  # values of winners, section by section
    start: dict[str, Any]  # base without the space's own values: what a search is to beat

    def params(self, values: Mapping[str, Any], name: str) -> Params:
        """Return all parameters with some values, by their names in full.

        Raises:
            InputError: they contradict each other; `name` is said to have them.
        """
        return checked(merged(self.base, nested(values)), name)

    def digest(self) -> str:
        """Return a short text that another space, or one on other parameters, does not have."""
        values = json.dumps([self.base, self.retrain, self.start], sort_keys=True)
        return blake2b(f"{values}{self.varied}".encode(), digest_size=16).hexdigest()

    def largest(self, name: str) -> Any:
        """Return the largest value that a number can have in a trial or a winner."""
        values = [lookup(self.base, name), lookup(merged(self.base, self.retrain), name)]
        return max(
            values + [v for each in self.varied if each.name == name for v in each.domain.samples()]
        )


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


def suggest(space: Space, trial: Suggesting) -> dict[str, Any]:
    """Return a value for each parameter that is varied, by its name in full."""
    values: dict[str, Any] = {}
    for name, domain, given in space.varied:
        if all(
            values.get(other, lookup(space.base, other)) in allowed
            for other, allowed in given.items()
        ):
            values[name] = _drawn(domain, name, trial)
    return values


def _drawn(domain: Choices | Range | Widths, name: str, trial: Suggesting) -> Any:
    if isinstance(domain, Widths):
        parts = {
            part: _drawn(each, f"{name}.{part}", trial) for part, each in domain._asdict().items()
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


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by their names in full as nested mappings: train.lr as train, lr."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        holder = made
        for section in sections:
            holder = holder.setdefault(section, {})
        holder[last] = value
    return made


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """Return the value of a parameter by its name in full; None where there is none."""
    found: Any = values
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def find_space(name: str, folder: Path = SPACES) -> Path:
    """Return the file of a space: one of the project's, or a path that ends in .yaml.

    Raises:
        InputError: there is none; names those there are.
    """
    if name.endswith(".yaml"):
        if Path(name).is_file():
            return Path(name)
        raise InputError(f"there is no space {name}; see {SPACES} for examples")
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if not known:
        raise InputError(f"{folder} holds no spaces; run this in the project's folder")
    if name not in known:
        close = did_you_mean(name, known)
        raise InputError(
            f"no space {name!r}{close}; there are {', '.join(known)}, or give a path, x.yaml"
        )
    return folder / f"{name}.yaml"


def read_space(path: Path, params: Mapping[str, Any], recipes: Path = RECIPES) -> Space:
    """Read a space.

    Args:
        path: of the file.
        params: all values of params.yaml, section by section.
        recipes: folder of what it may extend.

    Raises:
        InputError: names the file and each key that is wrong.
    """
    values = read_yaml_file(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no sections; write what it varies as params.yaml has it")
    base, retrain = values.pop("extends", None), values.pop("retrain", {})
    problems = [f"retrain: {each}" for each in build(Params, retrain, partly=True)[1]]
    start = dict(params)
    if isinstance(base, str):
        start = merged(start, read_recipe(base, folder=recipes))
    elif base is not None:
        problems.append(f"extends is {base!r}; expected the name of a recipe")
    fixed: dict[str, Any] = {}
    varied: list[Varied] = []
    for name, value in _entries(values, problems):
        found, wrong = _entry(name, value)
        problems += wrong
        if found:
            varied.append(found)
        else:
            fixed[name] = value
    if not problems:
        problems += _conditions(varied, merged(start, nested(fixed)))
        problems += ["nothing is varied; give a parameter a list or a range"] * (not varied)
    if problems:
        raise InputError(listed(problems, str(path)))
    space = Space(merged(start, nested(fixed)), tuple(varied), retrain, start)
    if lookup(space.base, "train.batches") == "streamed":
        raise InputError("train.batches is streamed; a search keeps frames on the device: set auto")
    return space


def _entries(values: dict[str, Any], problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield what the sections of a space hold, by names in full; add what is wrong with others."""
    for section, entries in values.items():
        if section in NOT_SEARCHED:
            problems.append(f"{section} is not searched; {NOT_SEARCHED[section]}")
        elif section not in SEARCHED:
            close = did_you_mean(str(section), [*SEARCHED])
            problems.append(f"{section} is no section of a space{close}")
        elif not isinstance(entries, dict):
            problems.append(f"{section} is {entries!r}; expected keys and values")
        else:
            for key, value in entries.items():
                name = f"{section}.{key}"
                if name in NOT_SEARCHED:
                    problems.append(f"{name} is not searched; {NOT_SEARCHED[name]}")
                else:
                    yield name, value


def _entry(name: str, value: Any) -> tuple[Varied | None, list[str]]:
    """Return how a parameter is varied, None where it is fixed, and what is wrong with it."""
    section, key = name.split(".", 1)
    hints = get_type_hints(Params.__dataclass_fields__[section].type, include_extras=True)
    if key not in hints:
        return None, [f"{name} is not a parameter{did_you_mean(key, list(hints))}"]
    hint = hints[key]
    kind, rule = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    given: dict[str, list[Any]] = {}
    if isinstance(value, dict):
        value = dict(value)
        condition = value.pop("if", {})
        if not isinstance(condition, dict):
            return None, [f"{name}: if is {condition!r}; expected a parameter and its value"]
        given = {
            other: allowed if isinstance(allowed, list) else [allowed]
            for other, allowed in condition.items()
        }
    try:
        domain = _domain(name, value, kind, isinstance(rule, Items))
    except InputError as error:
        return None, [str(error)]
    samples = [value] if domain is None else domain.samples()
    problems = dict.fromkeys(
        problem
        for sample in samples
        for problem in build(Params, nested({name: _plain(sample)}), partly=True)[1]
    )
    return None if domain is None else Varied(name, domain, given), [*problems]


def _plain(value: Any) -> Any:
    return [*value] if isinstance(value, tuple) else value


def _domain(name: str, value: Any, kind: type, items: bool) -> Choices | Range | Widths | None:
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
    domain = _domain(name, value, kind, items=False) or Choices((value,))
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


def _conditions(varied: list[Varied], base: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the conditions of some parameters, in their order."""
    problems: list[str] = []
    before: set[str] = set()
    later = {each.name for each in varied}
    for each in varied:
        for other in each.given:
            if other in later - before:
                problems.append(
                    f"{each.name}: if needs {other}, which is varied later; put it first"
                )
            elif lookup(base, other) is None:
                problems.append(f"{each.name}: if has {other}, which is not a parameter")
        before.add(each.name)
    return problems
