"""Read YAML as DVC does, and check it against annotated frozen dataclasses, all problems at once.

A field is `Annotated[type, Rule]`; a field that is itself a dataclass is a section.
There are no defaults: params.yaml names every value, and a key it does not know is
an error, since a typo must not silently mean "default".
"""

import re
import reprlib
import unicodedata
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent

from phonemes.errors import InputError, did_you_mean, raise_true_cause

Section = TypeVar("Section")


MOST_CHARACTERS = 100_000  # of a file; params.yaml has 8,000
MOST_OF_SCALAR = 2_000  # characters of a key or value; of more digits Python makes no text
MOST_LEVELS = 20  # of sections and lists in each other
LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
MOST_SHOWN = 200  # characters of one value in a message
MOST_LISTED = 200  # problems in a message; there are half as many parameters


def read_yaml(text: str, name: str) -> Any:
    """Return what a YAML text means to DVC, which records it: it is read by DVC's own loader.

    That is YAML 1.2: 0o10 is eight, yes and 1:30 are texts. 010, ten there and eight elsewhere,
    is refused, and what makes much out of a short text: anchors and aliases, absurd sizes.

    Raises:
        InputError: the text is not YAML, gives a key twice or is refused; one line with `name`.
    """
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{name} has more than {MOST_CHARACTERS:,} characters; keep values only")
    try:
        _refuse(text, name)
        return YAML(typ="safe").load(text)
    except InputError:
        raise
    except MarkedYAMLError as error:
        problem = str(error.problem).partition(" with value ")[0]  # of a key that is given twice
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{name} is not YAML: {place}{_cut(problem)}") from None
    except Exception as error:  # KeyError and others where a tag does not fit
        raise_true_cause(error, name)
        raise InputError(f"{name} is not YAML: {_cut(' '.join(str(error).split()))}") from None


def read_yaml_file(path: Path) -> Any:
    """Return what a file of YAML means to DVC; see `read_yaml`."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path}: {error}") from None
    return read_yaml(text, str(path))


def _refuse(text: str, name: str) -> None:
    """Raise InputError for what two people would not read alike, or takes too long to read."""
    levels = 0
    for event in YAML(typ="safe").parse(text):
        line = f"{name}, line {event.start_mark.line + 1}"
        if isinstance(event, NodeEvent) and event.anchor is not None:
            raise InputError(f"{line}: & and * are not read here; write the value out")
        if isinstance(event, ScalarEvent):
            if len(event.value) > MOST_OF_SCALAR:
                raise InputError(
                    f"{line}: a key or value of more than {MOST_OF_SCALAR:,} characters"
                )
            if event.implicit[0] and LEADING_ZERO.fullmatch(event.value):
                raise InputError(
                    f"{line}: {_cut(event.value)} would be octal to some; write it without the 0 "
                    "in front, or in quotes if it is a text"
                )
        levels += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if levels > MOST_LEVELS:
            raise InputError(f"{line}: more than {MOST_LEVELS} levels of sections or lists")


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
class AutoOr:
    """The word auto, or a whole number."""

    number: Number


@dataclass(frozen=True)
class Text:
    """A text on one line that is not empty unless `empty` says what an empty one means."""

    empty: str = ""
    most: int = 1_000  # characters

    def admits(self, value: str) -> bool:
        """Return whether `value` is one line of allowed length that a file's name could hold."""
        line = not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in value)
        return (
            line and len(value) <= self.most and bool(value.strip() or (self.empty and not value))
        )


@dataclass(frozen=True)
class Items:
    """A list of `least` to `most` numbers, each within `each`."""

    least: int
    most: int
    each: Number


Problems = list[str]
Seed = Annotated[int, Number(0, 2**31 - 1)]


def build(
    section: type[Section], values: object, name: str = "", partly: bool = False
) -> tuple[Section | None, Problems]:
    """Return the section made of `values` and what is wrong with them; None if anything is.

    With `partly`, keys may be missing: values are checked, and no section is made.
    """
    if not isinstance(values, dict):
        return None, [f"{name or 'params.yaml'} is {_shown(values)}; expected keys and values"]
    assert is_dataclass(section)
    known = {field.name: field.type for field in fields(section)}
    hints = get_type_hints(section, include_extras=True)
    prefix = f"{name}." if name else ""
    problems = [
        f"{prefix}{_key(key)} is not a parameter{did_you_mean(_key(key), list(known))}"
        for key in values
        if key not in known
    ]
    built: dict[str, Any] = {}
    for key in known:
        if key not in values:
            if not partly:
                problems.append(f"{prefix}{key} is missing; expected {_expected(hints[key])}")
        elif is_dataclass(hints[key]):
            built[key], inner = build(hints[key], values[key], prefix + key, partly)
            problems += inner
        else:
            built[key], ok = _convert(hints[key], values[key])
            if not ok:
                expected = _expected(hints[key])
                problems.append(f"{prefix}{key} is {_shown(values[key])}; expected {expected}")
    return (None, problems) if problems or partly else (section(**built), [])


def listed(problems: Problems, name: str) -> str:
    """Return one message with all problems of a file, one a line under a heading."""
    heading = f"{name} has {len(problems)} problem{'s' * (len(problems) > 1)}:"
    more = len(problems) - MOST_LISTED
    ending = [f"and {more:,} more"] if more > 0 else []
    return "\n  ".join([heading, *problems[:MOST_LISTED], *ending])


def _key(key: object) -> str:
    """Return a key for a message: on one line, and cut short as values are."""
    return _cut(key) if isinstance(key, str) and key.isprintable() else _shown(key)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _shown(value: object) -> str:
    """Return a value as the user wrote it, cut short where it would fill the screen."""
    brief = reprlib.Repr()
    brief.maxlist = brief.maxdict = 16
    brief.maxstring = brief.maxother = MOST_SHOWN
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
        case AutoOr(number):
            return (value, True) if value == "auto" else _convert(Annotated[int, number], value)
        case Text():
            return value, isinstance(value, str) and rule.admits(value)
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
        case AutoOr(number):
            return f"auto or {_numbers(int, number)}"
        case Text(empty, most):
            ending = f", or an empty one for {empty}" if empty else ""
            return f"a text on one line of at most {most:,} characters{ending}"
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
