"""Named recipes: `dvc exp run $(python -m phonemes.recipes course)` runs one.

A recipe is a file of recipes/ with the parameters it sets, as in params.yaml; of several,
`residual refined`, each adds to those before it. The command prints them as arguments of
`dvc exp run`, so that a recipe queues, runs in a temporary folder and takes further `-S`
like any experiment.
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


def read_recipe(*names: str) -> dict[str, Any]:
    """Return the parameters of named recipes, section by section, the later ones' on top.

    Raises:
        InputError: none is named, or there is no such recipe; names those there are.
    """
    known = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    values: dict[str, Any] = {}
    for name in names or ("",):
        if name not in known:
            close = nearest(name, known)
            raise InputError(f"no recipe {name!r}{close}; there are {', '.join(known)}")
        values = merged(values, yaml.load((RECIPES / f"{name}.yaml").read_text("utf-8"), Loader))
    return values


if __name__ == "__main__":
    try:
        print(*(f"-S {item}" for item in overrides(read_recipe(*sys.argv[1:]))))
    except InputError as error:
        sys.exit(f"error: {error}")
