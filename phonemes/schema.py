"""Check plain YAML values against annotated frozen dataclasses, all problems at once.

A field is `Annotated[type, Rule]`; a field that is itself a dataclass is a section.
There are no defaults: params.yaml names every value, and a key it does not know is
an error, since a typo must not silently mean "default".
"""

import re
import reprlib
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from phonemes.errors import did_you_mean

Section = TypeVar("Section")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the floats of YAML 1.2, so that 1e-3 and 1e-05 are numbers.

    A key given twice is an error rather than silently the last one.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse duplicate keys, then build the mapping as PyYAML does."""
        seen = set()
        pairs = node.value if isinstance(node, yaml.MappingNode) else []  # else PyYAML complains
        for key in (key for key, _ in pairs if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:float"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both allowed unless `above` excludes the lower end.

    A value outside the `usual` range is taken, with a warning.
    """

    low: float
    high: float
    above: bool = False
    usual: tuple[float, float] | None = None

    def range(self) -> str:
        """Return what is allowed, as params.yaml and messages say it."""
        low, high = (
            f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high)
        )
        return f"{'above ' * self.above}{low} to {high}"

    def admits(self, value: float) -> bool:
        """Return whether `value` is within the range; NaN never is."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A text that is not empty unless `empty` says what an empty one means."""

    empty: str = ""


@dataclass(frozen=True)
class Items:
    """A list of `least` to `most` numbers, each within `each`."""

    least: int
    most: int
    each: Number


Problems = list[str]
Seed = Annotated[int, Number(0, 2**31 - 1)]


def build(
    section: type[Section], values: object, name: str = ""
) -> tuple[Section | None, Problems]:
    """Return the section made of `values` and what is wrong with them; None if anything is."""
    if not isinstance(values, dict):
        return None, [f"{name or 'params.yaml'} is {_shown(values)}; expected keys and values"]
    assert is_dataclass(section)
    known = {field.name: field.type for field in fields(section)}
    hints = get_type_hints(section, include_extras=True)
    prefix = f"{name}." if name else ""
    problems = [
        f"{prefix}{key} is not a parameter{did_you_mean(str(key), list(known))}"
        for key in values
        if key not in known
    ]
    built: dict[str, Any] = {}
    for key in known:
        if key not in values:
            problems.append(f"{prefix}{key} is missing; expected {_expected(hints[key])}")
        elif is_dataclass(hints[key]):
            built[key], inner = build(hints[key], values[key], prefix + key)
            problems += inner
        else:
            built[key], ok = _convert(hints[key], values[key])
            if not ok:
                expected = _expected(hints[key])
                problems.append(f"{prefix}{key} is {_shown(values[key])}; expected {expected}")
    return (None, problems) if problems else (section(**built), [])


def _shown(value: object) -> str:
    """Return a value as the user wrote it, cut short where it would fill the screen."""
    brief = reprlib.Repr()
    brief.maxlist = brief.maxdict = 16
    brief.maxstring = brief.maxother = 200
    brief.maxlevel = 3
    try:
        return brief.repr(value)
    except ValueError:  # Python prints no whole number of more than 4300 digits
        return "a number of thousands of digits"


def _convert(hint: Any, value: object) -> tuple[Any, bool]:
    """Return `value` as the annotated type and whether it is allowed."""
    kind, rule = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    if kind is bool:
        return value, isinstance(value, bool)
    match rule:
        case Number():
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (kind is float and isinstance(value, float))):
                return value, False
            try:
                number = kind(value)
            except OverflowError:
                return value, False
            return number, rule.admits(number)
        case Choice(words):
            return value, isinstance(value, str) and value in words
        case Text(empty):
            return value, isinstance(value, str) and (bool(value.strip()) or bool(empty))
        case Items(least, most, each):
            if not isinstance(value, list) or not least <= len(value) <= most:
                return value, False
            item = get_args(kind)[0]
            converted = [_convert(Annotated[item, each], element) for element in value]
            return tuple(number for number, _ in converted), all(ok for _, ok in converted)
    raise TypeError(f"no rule for {hint}")


def _expected(hint: Any) -> str:
    if is_dataclass(hint):
        return "the section with " + ", ".join(field.name for field in fields(hint))
    kind, rule = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    match rule:
        case Number():
            return _numbers(kind, rule)
        case Choice(words):
            return "one of " + ", ".join(words)
        case Text(empty):
            return "a text" + (f", or an empty one for {empty}" if empty else "")
        case Items(least, most, each):
            item = _numbers(get_args(kind)[0], each)
            return f"a list of {least} to {most} items, each {item}"
    return "true or false"


def _numbers(kind: type, rule: Number) -> str:
    start = "" if rule.above else "from "
    return f"a {'whole number' if kind is int else 'number'} {start}{rule.range()}"


def unusual(section: object, name: str) -> list[str]:
    """Return a warning for each value of a built section that is allowed and hardly meant."""
    assert is_dataclass(section)
    warnings = []
    for key, hint in get_type_hints(type(section), include_extras=True).items():
        value, path = getattr(section, key), f"{name}.{key}"
        if is_dataclass(value):
            warnings += unusual(value, path)
        elif get_origin(hint) is Annotated and isinstance(rule := get_args(hint)[1], Number):
            low, high = rule.usual or (rule.low, rule.high)
            if not low <= value <= high:
                warnings.append(f"{path} is {value:g}; usual are values from {low:g} to {high:g}")
    return warnings
