"""What a stage reads, as dvc.yaml lists it, and what of it changed while the stage ran.

DVC records the values of params.yaml and the digests of files when a stage has ended. What
is edited while it runs would be recorded with results that were made from what was there
before, and count as up to date for ever. So a stage compares, with DVC or without.

A file is taken for unchanged where its size, time of modification and inode are; small ones
also where their content is, as after they were saved once more without a change.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pathspec

from phonemes.errors import InputError
from phonemes.schema import read_yaml_file

DECLARED = Path("dvc.yaml")
PARAMS = Path("params.yaml")
IGNORED = Path(".dvcignore")
SMALL = 2**16  # bytes; of such files the content counts,
MOST_SMALL = 1000  # and of no more, code first: reading 100,000 takes longer than many a stage
PYTHONS_OWN = ("__pycache__/", "*.pyc")  # which it writes while a stage imports its code
MOST_NAMED = 3  # changes in a message

Stat = tuple[int, int, int]  # size in bytes, time of modification in ns, inode


class Inputs(NamedTuple):
    """What a stage reads, as it was at one moment."""

    params: dict[str, str]  # values as JSON, by dotted key
    files: dict[str, Stat]  # by path
    digests: dict[str, bytes]  # of the content of small files


def declared(stage: str) -> dict[str, Any]:
    """Return what dvc.yaml declares of a stage, `deps`, `params` and more.

    Raises:
        InputError: dvc.yaml is missing or has no such stage.
    """
    if not DECLARED.exists():
        raise InputError(f"{DECLARED} is missing; work in the project's folder")
    found: Any = read_yaml_file(DECLARED)
    for key in ("stages", stage):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("deps"), list):
        raise InputError(f"{DECLARED} has no stage {stage} with deps; run `git restore {DECLARED}`")
    return found


def code(stage: str) -> list[Path]:
    """Return the files of code that a stage depends on, sorted.

    Raises:
        InputError: as `declared`.
    """
    folders = ("phonemes/", "stages/")
    paths = [Path(dep) for dep in _texts(declared(stage)["deps"]) if dep.startswith(folders)]
    return sorted(
        file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])
    )


def read_inputs(stage: str) -> Inputs:
    """Return what a stage reads, as it is now; nothing where no dvc.yaml declares it.

    Raises:
        InputError: dvc.yaml or params.yaml cannot be read.
    """
    if not DECLARED.exists():
        return Inputs({}, {}, {})
    wanted, values = declared(stage), read_yaml_file(PARAMS)
    params = {
        name: text
        for key in _texts(wanted.get("params", []))
        for name, text in _leaves(_value(values, key), key)
    }
    files: dict[str, Stat] = {}
    for dep in _texts(wanted["deps"]):
        path = re.sub(r"\$\{([^}]*)\}", lambda found: str(_value(values, found[1].strip())), dep)
        files.update(_files(Path(path)))
    small = [path for path, (size, _, _) in files.items() if size <= SMALL][-MOST_SMALL:]
    return Inputs(params, files, {path: _digest(path) for path in small})


def refuse_changes(before: Inputs, stage: str) -> None:
    """Refuse to go on where what a stage reads is no longer what it was `before`.

    Raises:
        InputError: names what changed; or something cannot be read any more.
    """
    now = read_inputs(stage)
    changed = [
        f"{key} in {PARAMS}"
        for key in sorted(before.params.keys() | now.params.keys())
        if before.params.get(key) != now.params.get(key)
    ]
    for path in sorted(before.files.keys() | now.files.keys()):
        if before.files.get(path) == now.files.get(path):
            continue
        digest = before.digests.get(path)
        if digest is None or path not in now.files or digest != _digest(path):
            changed.append(path)
    if changed:
        more = f" and {len(changed) - MOST_NAMED} more" * (len(changed) > MOST_NAMED)
        raise InputError(
            f"{', '.join(changed[:MOST_NAMED])}{more} changed while stage {stage} ran; "
            "its results, which were made from what was there before, are dropped: restore that, "
            "or leave it as it is, and run `dvc repro`"
        )


def refuse_ignored(paths: Iterable[Path]) -> None:
    """Refuse files that .dvcignore keeps DVC from watching, in the project's folder or below.

    Raises:
        InputError: names the first of them: changes there would go unnoticed.
    """
    specs: dict[Path, pathspec.GitIgnoreSpec] = {}
    for path in paths:
        place = Path(os.path.relpath(path))  # not resolved: DVC goes by names
        if ".." in place.parts:
            continue  # beyond the project, where no .dvcignore reaches
        for folder in place.parents:
            if folder not in specs:
                specs[folder] = pathspec.GitIgnoreSpec.from_lines(_lines(folder / IGNORED))
            if specs[folder].match_file(place.relative_to(folder)):
                raise InputError(
                    f"{path} is ignored by {folder / IGNORED}, so that DVC would not see it "
                    f"change; remove the pattern there, or move {path} out of corpus.path"
                )


def _texts(items: Any) -> list[str]:
    """Return the entries of a list of dvc.yaml that are texts; others have options of DVC's."""
    return [item for item in items if isinstance(item, str)]


def _value(values: Any, key: str) -> Any:
    """Return the value of a dotted key in nested mappings; None where there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield each value below a key, as JSON, by its dotted key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}")
    else:
        yield key, json.dumps(value, default=str)


def _files(path: Path) -> Iterator[tuple[str, Stat]]:
    """Yield the files at a path that DVC sees: links to folders and what it ignores are not."""
    if not path.is_dir():
        yield from _stat(path)
        return
    ignored = pathspec.GitIgnoreSpec.from_lines([*PYTHONS_OWN, *_lines(IGNORED)])
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not ignored.match_file(f"{folder}/{name}/")]
        for name in names:
            if not ignored.match_file(f"{folder}/{name}"):
                yield from _stat(Path(folder, name))


def _stat(path: Path) -> Iterator[tuple[str, Stat]]:
    """Yield a file's path and state, or nothing where it is missing."""
    try:
        found = path.stat()
    except OSError:
        return
    yield str(path), (found.st_size, found.st_mtime_ns, found.st_ino)


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _digest(path: str) -> bytes:
    """Return a digest of a file's content; of nothing where it cannot be read."""
    try:
        content = Path(path).read_bytes() if Path(path).is_file() else b""
    except (FileNotFoundError, PermissionError):
        content = b""
    return hashlib.blake2b(content, digest_size=16).digest()
