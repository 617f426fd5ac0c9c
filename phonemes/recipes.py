"""Recipes: named sets of parameters, and how they are written for DVC.

A recipe is a file of recipes/ with the parameters it sets, as in params.yaml. It may build
on another one, `extends: NAME`, and then states only what differs. Of several recipes, each
adds to those before it. What a search found best is a recipe too, search/NAME/best.yaml.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phonemes.errors import InputError, did_you_mean
from phonemes.params import Params
from phonemes.schema import build, listed, read_yaml_file

RECIPES = Path("recipes")
SEARCHES = Path("search")
BEST = "best.yaml"  # in the folder of a search
# words that are texts in Hydra's grammar without quotes
PLAIN = re.compile(r"(?!(?:true|false|null|inf|nan)\Z)[a-z][\w/-]*", re.ASCII | re.IGNORECASE)


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested mappings with some values changed or added."""
    return values | {
        key: merged(values.get(key, {}), change) if isinstance(change, dict) else change
        for key, change in changes.items()
    }


def overrides(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every value of nested mappings as "train.lr=0.001", a word that DVC reads as it is.

    Raises:
        InputError: a text holds white space, at which a shell divides what a command printed.
    """
    for key, value in values.items():
        if isinstance(value, dict):
            yield from overrides(value, f"{prefix}{key}.")
            continue
        word = _word(value)
        if re.search(r"\s", word):
            raise InputError(
                f"{prefix}{key} is {value!r}; expected no white space in a recipe, which is given "
                "to DVC word by word: set it in params.yaml"
            )
        yield f"{prefix}{key}={word}"


def _word(value: object) -> str:
    """Return a value as Hydra's grammar, that of -S, has it; lists without spaces."""
    if isinstance(value, list):
        return f"[{','.join(map(_word, value))}]"
    if isinstance(value, str) and not PLAIN.fullmatch(value):
        from hydra.core.override_parser.types import Quote, QuotedString  # slow to import

        return QuotedString(value.replace("${", "\\${"), Quote.single).with_quotes()
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_recipe(*names: str, folder: Path = RECIPES) -> dict[str, Any]:
    """Return the parameters of named recipes, section by section, the later ones' on top.

    Raises:
        InputError: none is named, or there is no such recipe, and names those there are; a
            recipe holds what is no parameter, or a value that no stage would take.
    """
    values: dict[str, Any] = {}
    for name in names or ("",):
        values = merged(values, _read(name, folder, ()))
    return values


def _read(name: str, folder: Path, extending: tuple[str, ...]) -> dict[str, Any]:
    path = _find(name, folder)
    if name in extending:
        raise InputError(f"recipes extend each other: {' -> '.join([*extending, name])}")
    values = read_yaml_file(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no sections; write what it sets as params.yaml has it")
    base = values.pop("extends", None)
    _, problems = build(Params, values, partly=True)
    if base is not None and not isinstance(base, str):
        problems.append(f"extends is {base!r}; expected the name of a recipe")
    if problems:
        raise InputError(listed(problems, str(path)))
    return values if base is None else merged(_read(base, folder, (*extending, name)), values)


def _find(name: str, folder: Path) -> Path:
    """Return the file of a recipe: of `folder`, of a search, or one given by its path."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    found = Path(name) if name.endswith(".yaml") else folder / f"{name}.yaml"
    if name in known or (name.endswith(".yaml") and found.is_file()):
        return found
    searches = sorted(path.parent.as_posix() for path in SEARCHES.glob(f"*/{BEST}"))
    for search in (name, f"{SEARCHES}/{name}"):
        if search in searches:
            return Path(search, BEST)
    if not known:
        raise InputError(f"{folder} holds no recipes; run this in the project's folder")
    close = did_you_mean(name, [*known, *searches])
    raise InputError(f"no recipe {name!r}{close}; there are {', '.join([*known, *searches])}")
