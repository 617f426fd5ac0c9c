"""`phonemes repair`: remove what DVC was killed while writing for itself.

DVC empties dvc.lock and .dvc/tmp/rwlock and then writes them, and makes the folder of a run
in its run cache before its content. Killed between the two, it refuses to run from then on.
Nothing is lost with what is removed: results are in DVC's cache, and locks of a dead process
mean nothing. What DVC refuses for another reason, as a merge that waits for its user or the
file of a newer DVC, is kept, with a line that says what to do. `make reproduce` begins with it.

DVC takes what is in its cache for whole. A copy there that was damaged, by a disk or a download,
comes back with every `dvc repro` until it is removed; `--cache` finds it by its digest.
"""

import codecs
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from phonemes.errors import InputError
from phonemes.wording import counted

WAIT = 1.0  # s, far longer than DVC needs to write either
LOCK, RWLOCK = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
LOCK_BEGINS = "schema: '2.0'\nstages:\n"  # whatever the stages are
MERGE = re.compile(r"^(<{7}|\|{7}|={7}|>{7})(\s|$)", re.MULTILINE)
CUT = "cut"  # DVC was killed while writing it


def read_lock(text: str) -> None:
    """Check dvc.lock as DVC does.

    Raises:
        ValueError, YAMLError, Invalid: DVC does not take it.
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA

    COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(text))


def read_rwlock(text: str) -> None:
    """Check .dvc/tmp/rwlock as DVC does; raises as `read_lock`."""
    from dvc.rwlock import SCHEMA

    SCHEMA(json.loads(text))


def readable(reader: Callable[[str], None], text: str) -> bool:
    """Return whether DVC takes a text."""
    from voluptuous import Invalid

    try:
        reader(text)
    except (ValueError, YAMLError, Invalid):
        return False
    return True


def lock_problem(text: str) -> str:
    """Return what is wrong with a text of dvc.lock that DVC does not take: CUT, or what to do."""
    schema = re.match(r"schema: (.+)\n", text)
    if schema and schema[1] != "'2.0'":
        return f"it has schema {schema[1]}, of another DVC: install that one"
    if lock_is_cut(text):
        return CUT
    return "`git restore dvc.lock`, or delete it: results are in DVC's cache"


def lock_is_cut(text: str) -> bool:
    """Return whether a text is what DVC writes, up to some place.

    That is a beginning of `LOCK_BEGINS`, or all of it, stages that DVC can read, each below a
    line that is indented by two spaces, and the beginning of one more.
    """
    if LOCK_BEGINS.startswith(text):
        return True
    if not text.startswith(LOCK_BEGINS) or _repeats_a_key(text):
        return False
    if any(line[:1] not in ("", " ") for line in text.removeprefix(LOCK_BEGINS).split("\n")):
        return False
    stages = [found.start() for found in re.finditer(r"^  \S.*\n", text, re.MULTILINE)]
    whole = text[: stages[-1]] if stages else LOCK_BEGINS
    return whole == LOCK_BEGINS or readable(read_lock, whole)


def _repeats_a_key(text: str) -> bool:
    """Return whether a mapping has a key twice, as after a merge whose markers were deleted."""
    try:
        YAML(typ="safe").load(text)
    except DuplicateKeyError:
        return True
    except YAMLError:
        return False
    return False


def rwlock_problem(text: str) -> str:
    """Return what is wrong with a text of .dvc/tmp/rwlock: CUT, or what to do."""
    try:
        json.loads(text)
    except ValueError:
        return CUT
    return "another DVC wrote it: install that one, or delete it while no DVC runs"


def problem(path: Path) -> str | None:
    """Return what keeps DVC from reading one of its files: CUT, or what to do; None if nothing."""
    reader, why = (read_lock, lock_problem) if path == LOCK else (read_rwlock, rwlock_problem)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(path.read_bytes())  # without half a character at its end
    except FileNotFoundError:  # which DVC does without
        return None
    except UnicodeDecodeError:
        return f"it is not UTF-8: `git restore {path}`, or delete it"
    if not decoder.getstate()[0] and readable(reader, text):
        return None
    if MERGE.search(text):
        return f"a merge waits in it: `git checkout --ours {path}` or --theirs, then `dvc repro`"
    return why(text)


def cache_folder() -> Path:
    """Return the folder of DVC's cache, relative to the current one.

    Raises:
        InputError: DVC cannot work here.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        return Path(os.path.relpath(Repo().cache.local_cache_dir))
    except NotDvcRepoError:
        return Path(".dvc/cache")
    except DvcException as error:  # as of a damaged .dvc/config
        raise InputError(f"DVC cannot work here: {error}") from None


def unfinished() -> list[Path]:
    """Return DVC's files that are half written, and folders of runs with nothing in them."""
    runs = cache_folder() / "runs"
    empty = [path for path in runs.glob("*/*") if path.is_dir() and not any(path.iterdir())]
    return [*(path for path in (LOCK, RWLOCK) if problem(path) == CUT), *empty]


def cached(cache: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield each file of the outputs in dvc.lock that is in the cache: path, digest, file there.

    Of an output that is a folder these are the list of its files and the files in it.
    """
    if not LOCK.exists():
        return
    stages = YAML(typ="safe").load(LOCK.read_text("utf-8")).get("stages") or {}
    for out in (out for stage in stages.values() for out in stage.get("outs", [])):
        name, folder = out.get("md5", "").partition(".dir")[:2]
        path = cache / "files/md5" / name[:2] / (name[2:] + folder)
        if not name or not path.is_file():
            continue
        yield out["path"], name, path
        if folder and digest(path) == name:
            for entry in json.loads(path.read_text("utf-8")):
                file = cache / "files/md5" / entry["md5"][:2] / entry["md5"][2:]
                if file.is_file():
                    yield f"{out['path']}/{entry['relpath']}", entry["md5"], file


def digest(path: Path) -> str:
    """Return the digest by which DVC names a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def remove_damaged() -> None:
    """Remove damaged copies of outputs from DVC's cache, and print which."""
    compared, removed = 0, 0
    for name, expected, path in [*cached(cache_folder())]:
        compared += 1
        if digest(path) != expected:
            path.unlink()
            removed += 1
            click.echo(f"removed {path}, a damaged copy of {name}")
    click.echo(f"DVC's cache: {counted(compared, 'file')} compared, {removed:,} damaged")


@click.command(epilog="Example: phonemes repair && dvc repro")
@click.option("--cache", is_flag=True, help="Remove damaged outputs from DVC's cache too.")
def repair(cache: bool) -> None:
    """Remove what DVC was killed while writing.

    After that `dvc repro` goes on. Leaves alone what somebody is writing just now, and keeps what
    DVC refuses for another reason, such as an unfinished merge. Nothing that was computed is lost.
    """
    if found := unfinished():
        time.sleep(WAIT)
        for path in [path for path in unfinished() if path in found]:
            path.rmdir() if path.is_dir() else path.unlink()
            click.echo(f"removed {path}, which DVC was killed while writing")
    kept = [
        f"{path}: {why}" for path in (LOCK, RWLOCK) if (why := problem(path)) not in (None, CUT)
    ]
    if kept:
        raise InputError("DVC cannot read " + "; ".join(kept))
    if cache:
        remove_damaged()
