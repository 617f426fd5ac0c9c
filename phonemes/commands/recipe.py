"""`phonemes recipe`: print a named recipe as arguments of `dvc exp run`.

A recipe is a file of recipes/ with the parameters it sets, as in params.yaml. It may build
on another one, `extends: NAME`, and then states only what differs. Of several recipes, each
adds to those before it. Printed as arguments, a recipe queues, runs in a temporary folder
and takes further `-S` like any experiment.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from phonemes.errors import InputError, did_you_mean
from phonemes.schema import Loader

RECIPES = Path("recipes")


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested mappings with some values changed or added."""
    return values | {
        key: merged(values.get(key, {}), change) if isinstance(change, dict) else change
        for key, change in changes.items()
    }


def overrides(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every value of nested mappings as "train.lr=0.001"; lists without spaces."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from overrides(value, f"{prefix}{key}.")
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")
            yield f"{prefix}{key}={text}"


def read_recipe(*names: str, folder: Path = RECIPES) -> dict[str, Any]:
    """Return the parameters of named recipes, section by section, the later ones' on top.

    Raises:
        InputError: none is named, or there is no such recipe; names those there are.
    """
    values: dict[str, Any] = {}
    for name in names or ("",):
        values = merged(values, _read(name, folder, ()))
    return values


def _read(name: str, folder: Path, extending: tuple[str, ...]) -> dict[str, Any]:
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if not known:
        raise InputError(f"{folder} holds no recipes; run this in the project's folder")
    if name not in known:
        close = did_you_mean(name, known)
        raise InputError(f"no recipe {name!r}{close}; there are {', '.join(known)}")
    if name in extending:
        raise InputError(f"recipes extend each other: {' -> '.join([*extending, name])}")
    path = folder / f"{name}.yaml"
    try:
        values: dict[str, Any] = yaml.load(path.read_text("utf-8"), Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    base = values.pop("extends", None)
    return merged(_read(base, folder, (*extending, name)), values) if base else values


@click.command(epilog="Example: dvc exp run $(phonemes recipe deep smoothed)")
@click.argument("names", nargs=-1, metavar="NAME...")
def recipe(names: tuple[str, ...]) -> None:
    """Print named recipes as arguments of `dvc exp run`.

    A recipe is a file of recipes/; of several, each adds to those before it.
    """
    click.echo(" ".join(f"-S {item}" for item in overrides(read_recipe(*names))))
