"""One module a stage: read parameters and files, call the library, write files.

The paths that stages share stand here once; dvc.yaml declares the same ones.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from phonemes.errors import InputError
from phonemes.params import Params, load

CORPUS = Path("data/corpus")
NORMALIZED = Path("data/normalized")
CONTEXT = Path("data/context")
WINDOW = Path("metrics/context.json")
MODEL = Path("models/model.pt")
HISTORY = Path("metrics/history.csv")
RATES = Path("metrics/rate.csv")
SCORES = Path("metrics/evaluate.json")
TABLES = Path("metrics/tables")
CONFUSION = Path("metrics/confusion.png")
PREDICTIONS = Path("predictions.csv")
LOCK = Path("data/.lock")


def run(main: Callable[[Params], None]) -> None:
    """Run a stage with the checked parameters; what the user can mend ends in one clear line.

    One stage at a time works in a folder: a second one is refused.
    """
    LOCK.parent.mkdir(exist_ok=True)
    try:
        with FileLock(LOCK, timeout=0):
            main(load())
    except InputError as error:
        sys.exit(f"error: {error}")
    except Timeout:
        sys.exit(f"error: a stage is running in {Path.cwd()}; wait for it, or work in a clone")
    except OSError as error:
        sys.exit(f"error: {error}; what was there before is untouched")
    except (MemoryError, RuntimeError) as error:  # torch's out of memory is a RuntimeError
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        reason = ". ".join(str(error).partition("\n")[0].split(". ")[:3])  # advice follows
        sys.exit(
            f"error: the memory does not suffice: {reason}; lower train.batch_size, "
            "runtime.batch_size, train.hidden or data.k"
        )
    except KeyboardInterrupt:
        sys.exit("interrupted; run `dvc repro` to go on")


def checkpoint_folder() -> Path:
    """Return where checkpoints lie: out of DVC's reach, and shared with its temporary copies.

    DVC runs queued experiments in .dvc/tmp/exps and removes what they leave there.
    """
    parts = Path.cwd().parts
    root = parts[: parts.index(".dvc")] if ".dvc" in parts else parts
    return Path(*root, ".dvc/tmp/checkpoints")
