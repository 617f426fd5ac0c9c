"""Named recipes: `dvc exp run $(python -m phonemes.recipes course)` runs one.

A recipe is a file of recipes/ with the parameters it sets, as in params.yaml. The
command prints them as arguments of `dvc exp run`, so that a recipe queues, runs in a
temporary folder and takes further `-S` like any experiment.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from phonemes.errors import InputError
from phonemes.inventory import nearest
from phonemes.schema import Loader

RECIPES = Path(__file__).parent.parent / "recipes"


def overrides(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every value of nested mappings as "train.lr=0.001"; lists without spaces."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from overrides(value, f"{prefix}{key}.")
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")
            yield f"{prefix}{key}={text}"


def read_recipe(name: str) -> dict[str, Any]:
    """Return the parameters of a named recipe, section by section.

    Raises:
        InputError: there is no such recipe; names those there are.
    """
    names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    if name not in names:
        raise InputError(f"no recipe {name!r}{nearest(name, names)}; there are {', '.join(names)}")
    return yaml.load((RECIPES / f"{name}.yaml").read_text("utf-8"), Loader)


if __name__ == "__main__":
    try:
        print(*(f"-S {item}" for item in overrides(read_recipe("".join(sys.argv[1:])))))
    except InputError as error:
        sys.exit(f"error: {error}")
