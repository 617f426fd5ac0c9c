"""The rule of every key of params.yaml, for the tests of parameters."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from phonemes.params import Params


def rules(section: type = Params, prefix: str = "") -> Iterator[tuple[str, type, Any]]:
    """Yield every key as ("train.lr", float, Number(...)); a bool has no rule."""
    for name, hint in get_type_hints(section, include_extras=True).items():
        if is_dataclass(hint):
            yield from rules(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, *(get_args(hint) or (hint, None))


RULES = {key: (kind, rule) for key, kind, rule in rules()}
