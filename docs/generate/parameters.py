"""The page of all parameters, from params.yaml and its comments, the classes and dvc.yaml."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node

from phonemes.params import Params
from phonemes.schema import Choice, Items, Number, Text, read_yaml_file

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/parameters.md"
INTRODUCTION = """\
# Parameters

All parameters of `params.yaml`, with the values that stand there. This page is made by `make docs`
from `params.yaml` and from the code that checks it.

Set a value in `params.yaml`, or for one run: `dvc exp run -S SECTION.NAME=VALUE`. A value outside
what is allowed, an unknown name or a missing one stops the first stage. A value outside the usual
range is taken, with a warning. "Stages" are those that DVC runs again when the value changes; the
stages after them run again where their inputs change. What a value is worth in accuracy:
[accuracy](accuracy.md); how the parts work: [how it works](how_it_works.md).
"""
HEADER = """\
| name | value | allowed | what it is | stages |
|---|---|---|---|---|"""


class Parameter(NamedTuple):
    """One key of params.yaml."""

    name: str  # without its section
    value: object
    kind: type
    rule: Any  # of phonemes.schema; None of true and false
    comment: str  # next to it in params.yaml
    stages: tuple[str, ...]  # that depend on it


def rules(section: type = Params, prefix: str = "") -> Iterator[tuple[str, type, Any]]:
    """Yield every key as ("train.lr", float, Number(...)); a bool has no rule."""
    for name, hint in get_type_hints(section, include_extras=True).items():
        if isinstance(hint, type) and is_dataclass(hint):
            yield from rules(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, *(get_args(hint) or (hint, None))


def sections(section: type = Params, prefix: str = "") -> Iterator[tuple[str, type]]:
    """Yield every section, those within others too, as ("corpus.audio", AudioParams)."""
    for name, hint in get_type_hints(section).items():
        if isinstance(hint, type) and is_dataclass(hint):
            yield prefix + name, hint
            yield from sections(hint, f"{prefix}{name}.")


def comments(text: str) -> dict[str, str]:
    """Return the comment on the line of every key of a YAML text, sections included."""
    lines = text.splitlines()
    found = {}

    def walk(node: Node, prefix: str) -> None:
        assert isinstance(node, MappingNode)
        for key, value in node.value:
            name = prefix + key.value
            found[name] = lines[key.start_mark.line].partition(" # ")[2].strip()
            if isinstance(value, MappingNode):
                walk(value, f"{name}.")

    walk(YAML(typ="safe").compose(text), "")
    return found


def declared() -> dict[str, tuple[str, ...]]:
    """Return what of params.yaml each stage of dvc.yaml depends on, in the order of the stages."""
    stages = read_yaml_file(ROOT / "dvc.yaml")["stages"]
    return {name: tuple(stage.get("params", ())) for name, stage in stages.items()}


def parameters() -> dict[str, Parameter]:
    """Return all parameters by their full names, in the order of the sections' classes."""
    values, notes = (
        read_yaml_file(ROOT / "params.yaml"),
        comments((ROOT / "params.yaml").read_text("utf-8")),
    )
    stages = declared()
    found = {}
    for key, kind, rule in rules():
        value = values
        for part in key.split("."):
            value = value[part]
        users = tuple(
            stage
            for stage, names in stages.items()
            if any(f"{key}.".startswith(f"{name}.") for name in names)
        )
        name = key.rpartition(".")[2]
        found[key] = Parameter(name, value, kind, rule, notes[key], users)
    return found


def allowed(kind: type, rule: object) -> str:
    """Return which values a parameter may have, and which are usual."""
    match rule:
        case Number():
            usual = f"; usual {rule.usual[0]:g} to {rule.usual[1]:g}" if rule.usual else ""
            return f"{'whole' if kind is int else 'number'}, {rule.range()}{usual}"
        case Choice(words):
            return ", ".join(f"`{word}`" for word in words)
        case Text(empty):
            return f"text; empty: {empty}" if empty else "text"
        case Items(least, most, each):
            return f"list of {least} to {most}, each {allowed(get_args(kind)[0], each)}"
    return "`true`, `false`"


def meaning(parameter: Parameter) -> str:
    """Return the comment, without the range that the column of allowed values has already."""
    text = parameter.comment
    if isinstance(parameter.rule, Number | Items):
        text = text.rpartition("; ")[0]
    return re.sub(r"([\\`*_\[\]<>|^])", r"\\\1", text)


def shown(value: object) -> str:
    """Return a value as params.yaml may have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "''" if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def table(section: str, found: dict[str, Parameter]) -> str:
    """Return the rows of a section's own parameters."""
    rows = [
        f"| `{each.name}` | `{shown(each.value)}` | {allowed(each.kind, each.rule)} "
        f"| {meaning(each)} | {', '.join(each.stages) or 'none'} |"
        for key, each in found.items()
        if key.rpartition(".")[0] == section
    ]
    return "\n".join([HEADER, *rows])


def page() -> str:
    """Return docs/parameters.md."""
    found = parameters()
    notes = comments((ROOT / "params.yaml").read_text("utf-8"))
    parts = [INTRODUCTION]
    for name, section in sections():
        described = (inspect.getdoc(section) or "").splitlines()[0]
        note = f" In `params.yaml`: {notes[name]}." if notes[name] else ""
        source = section.__module__.replace(".", "/") + ".py"
        home = f"Defined in [{source}](../{source})."
        parts.append(f"## {name}\n\n{described}{note} {home}\n\n{table(name, found)}\n")
    return "\n".join(parts)
