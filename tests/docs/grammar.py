"""Whether a command could run: its program, subcommand, options, parameters and files exist."""

import argparse
import importlib
import importlib.util
import re
import shutil
import sys
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import click
from dvc.cli.parser import DvcParser, get_main_parser
from helpers import ROOT

from docs.generate.parameters import rules
from phonemes.commands.main import phonemes
from phonemes.errors import InputError
from phonemes.params import Params
from phonemes.recipes import read_recipe
from phonemes.schema import build, read_yaml

# of shells and systems; that others have them is not for us to test
SYSTEM = set("cd source cp mv rm ls cat echo mkdir git unzip tar sox ffmpeg curl sbatch".split())
PARAMETERS = {key for key, *_ in rules()}
PLACEHOLDER = re.compile(r"[A-Z][A-Z_.=]*\d?")  # FOLDER, or SECTION.NAME=VALUE


class _ParsedError(Exception):
    """The arguments of a module were parsed."""


def problem(words: list[str]) -> str:
    """Return why a command could not run, or an empty text."""
    program, *rest = words
    known = {"phonemes": _phonemes, "dvc": _dvc, "make": _make, "python": _python, "pip": _pip,
             "pytest": _files}  # fmt: skip
    if program in known:
        return known[program]([word for word in rest if word not in ("[", "]")])
    if program in SYSTEM or shutil.which(program):
        return ""
    return f"there is no program {program}"


def _phonemes(words: list[str]) -> str:
    command: click.Command = phonemes
    context = click.Context(command, info_name="phonemes")
    try:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            _, command, words = command.resolve_command(context, words)
            context = click.Context(command, parent=context)
        given, _, _ = command.make_parser(context).parse_args([*words])
        for parameter in command.params:
            value = given.get(parameter.name)
            meant = isinstance(value, str) and not PLACEHOLDER.fullmatch(value)
            if meant and not isinstance(parameter.type, click.Path):
                parameter.type_cast_value(context, value)
        if command.name == "recipe":
            names = [word for word in words if not PLACEHOLDER.fullmatch(word)]
            if names and not any(name.startswith("search/") for name in names):
                read_recipe(*names, folder=ROOT / "recipes")
    except click.UsageError as error:
        return error.format_message()
    except InputError as error:
        return str(error)
    return ""


def _refuse(_: argparse.ArgumentParser, message: str, *__: object) -> None:
    raise ValueError(message)


def _dvc(words: list[str]) -> str:
    found: list[str] = []
    with patch.object(DvcParser, "error", _refuse):
        try:
            get_main_parser().parse_args(words)
        except ValueError as error:
            found = [str(error)]
    for option, text in pairwise(words):
        if option in ("-S", "--set-param"):
            found += _override(text, "--queue" in words)
    return "; ".join(found)


def _override(text: str, queued: bool) -> list[str]:
    """Return what is wrong with -S KEY=VALUE; of a grid, with any of its values."""
    key, _, given = text.partition("=")
    if PLACEHOLDER.fullmatch(text):
        return []
    if key not in PARAMETERS:
        return [f"{key} is no parameter"]
    grid = queued and "," in given and not given.startswith("[")
    found = []
    for value in given.split(",") if grid else [given]:
        nested: Any = read_yaml(value, key)
        for name in reversed(key.split(".")):
            nested = {name: nested}
        found += build(Params, nested, partly=True)[1]
    return found


def _make(words: list[str]) -> str:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    missing = [word for word in words if "=" not in word and word not in targets]
    return f"make has no target {missing[0]}" if missing else ""


def _pip(words: list[str]) -> str:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = [
        extra for part in re.findall(r"\[(.*?)\]", " ".join(words)) for extra in part.split(",")
    ]
    missing = [extra for extra in extras if not re.search(rf"^{extra} = \[", project, re.M)]
    return f"there is no extra {missing[0]}" if missing else ""


def _files(words: list[str]) -> str:
    """Return which file of the project is missing."""
    missing = [word for word in words if word.endswith(".py") and not (ROOT / word).exists()]
    return f"there is no {missing[0]}" if missing else ""


def _python(words: list[str]) -> str:
    if not words or words[0] != "-m":
        return _files(words[:1])
    module, rest = words[1], words[2:]
    if module in ("phonemes", "dvc", "pip", "pytest"):
        return problem([module, *rest])
    if module.split(".")[0] not in ("benchmarks", "stages", "docs"):
        return "" if importlib.util.find_spec(module) else f"there is no module {module}"
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.exists():
        return f"there is no {module}"
    if "ArgumentParser" not in path.read_text("utf-8"):
        unknown = rest if module.startswith("benchmarks") else []
        return f"{module} takes no {unknown[0]}" if unknown else ""
    return _arguments(module, rest)


def _arguments(module: str, words: list[str]) -> str:
    """Return what a module's own parser says of its arguments; nothing else of it is run."""
    original = argparse.ArgumentParser.parse_args

    def parsed(parser: argparse.ArgumentParser) -> None:
        original(parser, words)
        raise _ParsedError

    with (
        patch.object(argparse.ArgumentParser, "parse_args", parsed),
        patch.object(argparse.ArgumentParser, "error", _refuse),
        patch.object(sys, "argv", [module]),
    ):
        try:
            importlib.import_module(module).main()
        except _ParsedError:
            return ""
        except ValueError as error:
            return str(error)
    return f"{module} does not parse its arguments"
