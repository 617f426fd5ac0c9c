"""The parameters that benchmarks start from: those of the checkout, recipes, and changes."""

import json
import re
from pathlib import Path
from typing import Any

from phonemes.params import Params, parse
from phonemes.recipes import merged, read_recipe
from phonemes.schema import read_yaml, read_yaml_file

ROOT = Path(__file__).parent.parent
PARAMS = ROOT / "params.yaml"
RECIPES = ROOT / "recipes"


def overrides(changes: str) -> dict[str, Any]:
    """Return values by section, as `dvc exp run -S` takes them: "train.lr=1e-3 data.k=32"."""
    values: dict[str, Any] = {}
    for name, value in re.findall(r"(\S+?)=(\[.*?\]|\S+)", changes):
        *sections, last = name.split(".")
        holder = values
        for section in sections:
            holder = holder.setdefault(section, {})
        holder[last] = read_yaml(value, name)
    return values


def values_of_the_checkout() -> dict[str, Any]:
    """Return all values of the checkout's params.yaml, section by section."""
    values: dict[str, Any] = read_yaml_file(PARAMS)
    return values


def with_recipe(*names: str, changes: str = "") -> Params:
    """Return the parameters of the checkout with recipes, if any, and changes."""
    recipe = read_recipe(*names, folder=RECIPES) if names else {}
    values = merged(merged(values_of_the_checkout(), recipe), overrides(changes))
    return parse(json.dumps(values, ensure_ascii=False), str(PARAMS))
