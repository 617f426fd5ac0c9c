"""One module a stage: read parameters and files, call the library, write files.

`python -m stages.NAME` runs a stage without DVC, `python -m stages.NAME --help` explains it.
"""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from phonemes.errors import reported
from phonemes.params import Params, load, warnings
from phonemes.storage.lock import locked


def run(main: Callable[[Params], None], *sections: str) -> None:
    """Run a stage with the checked parameters; an error that the user can correct is one line.

    One stage at a time works in a folder: a second one is refused.

    Args:
        main: does the work.
        sections: of params.yaml that the stage depends on.
    """
    _explain(main, sections)
    with reported("interrupted; run `dvc repro` to go on"), locked():
        params = load()
        for line in warnings(params, *sections):
            print(f"warning: {line}", file=sys.stderr)
        main(params)


def _explain(main: Callable[[Params], None], sections: tuple[str, ...]) -> None:
    """Print what a stage does and end, where the command line asks for help."""
    name = Path(inspect.getfile(main)).stem
    about = inspect.getdoc(inspect.getmodule(main))
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=f"{about}\n\n{inspect.getdoc(main)}",
        epilog=(
            f"It takes no arguments. Sections of params.yaml: {', '.join(sections)}.\n\n"
            f"example:  dvc repro {name}"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
