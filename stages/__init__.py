"""One module a stage: read parameters and files, call the library, write files.

The paths that stages share stand here once; dvc.yaml declares the same ones.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from phonemes.errors import InputError
from phonemes.params import Params, load

CORPUS = Path("data/corpus")
NORMALIZED = Path("data/normalized")
CONTEXT = Path("data/context")
WINDOW = Path("metrics/context.json")
MODEL = Path("models/model.pt")
HISTORY = Path("metrics/history.csv")
SCORES = Path("metrics/evaluate.json")
TABLES = Path("metrics/tables")
CONFUSION = Path("metrics/confusion.png")
PREDICTIONS = Path("predictions.csv")


def run(main: Callable[[Params], None]) -> None:
    """Run a stage with the checked parameters; what the user can mend ends in one clear line."""
    try:
        main(load())
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing half-written is left, run `dvc repro` to go on")
