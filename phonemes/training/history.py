"""The history of a training as a table, which grows while training."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phonemes.storage.atomic import replacing
from phonemes.training.run import Epoch

COLUMNS = Epoch._fields[: Epoch._fields.index("frames_per_second")]  # no times: see below


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write a CSV with a row for every epoch, numbers with six significant digits.

    Times are printed while training and are not written: two runs of the same training leave
    the same bytes, and dvc.lock as it was.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([f"{value:.6g}" for value in row[: len(COLUMNS)]] for row in history)


@contextmanager
def shown_live(path: Path) -> Iterator[Callable[[Sequence[Epoch]], str]]:
    """Yield a function that writes the history so far to `path`; remove the file in the end.

    Where plots are read from, they show a training while it runs. A file that is there before
    is left alone, and none is written: DVC removes it before a stage begins.

    The function returns a warning, or "" where there is none: a full disk costs the view, not
    the training.
    """
    free = not path.exists()

    def show(history: Sequence[Epoch]) -> str:
        try:
            if free and history:
                with replacing(path) as partial:
                    write_history(partial, history)
        except OSError as error:
            return f"warning: {path} does not show the last epoch: {error}"
        return ""

    try:
        yield show
    finally:
        if free:
            path.unlink(missing_ok=True)
