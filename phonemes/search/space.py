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
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from phonemes.errors import InputError, did_you_mean
from phonemes.params import Params, checked
from phonemes.recipes import RECIPES, merged, read_recipe
from phonemes.schema import Items, build, listed, read_yaml_file
from phonemes.search.domain import Choices, Range, Suggesting, Widths, domain_of, drawn_from

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
        kept = [
            {section: given for section, given in values.items() if section != "runtime"}
            for values in (self.base, self.retrain, self.start)
        ]
        values = json.dumps(kept, sort_keys=True)
        return blake2b(f"{values}{self.varied}".encode(), digest_size=16).hexdigest()

    def largest(self, name: str) -> Any:
        """Return the largest value that a number can have in a trial or a winner."""
        values = [lookup(self.base, name), lookup(merged(self.base, self.retrain), name)]
        return max(
            values + [v for each in self.varied if each.name == name for v in each.domain.samples()]
        )


def suggest(space: Space, trial: Suggesting) -> dict[str, Any]:
    """Return a value for each parameter that is varied, by its name in full."""
    values: dict[str, Any] = {}
    for name, domain, given in space.varied:
        if all(
            values.get(other, lookup(space.base, other)) in allowed
            for other, allowed in given.items()
        ):
            values[name] = drawn_from(domain, name, trial)
    return values


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
        domain = domain_of(name, value, kind, isinstance(rule, Items))
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
