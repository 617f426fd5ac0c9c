"""Lock a folder: one process at a time writes or reads the pipeline's files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from phonemes.errors import InputError
from phonemes.storage.atomic import make_folder
from phonemes.storage.layout import LOCK


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of the current folder while the block runs.

    Raises:
        InputError: another process holds it, or the folder of the lock is a link to nowhere.
    """
    make_folder(LOCK.parent)
    try:
        with FileLock(LOCK, timeout=0):
            yield
    except Timeout:
        raise InputError(
            f"a stage is running in {Path.cwd()}; wait for it, or work in a clone"
        ) from None
