"""One module a stage: read parameters and files, call the library, write files.

`python -m stages.NAME` runs a stage without DVC, `python -m stages.NAME --help` explains it.
"""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from phonemes.errors import LOWER, reported
from phonemes.params import Params, load, warnings
from phonemes.storage.atomic import Outputs
from phonemes.storage.inputs import read_inputs, refuse_changes
from phonemes.storage.lock import locked

MORE_MEMORY = "end other programs, or use a machine with more memory"

Main = Callable[[Params, Outputs], None]
Launched = Callable[[Params], bool]


def run(
    main: Main, *sections: str, launched: Launched = lambda params: False, rank: int | None = None
) -> None:
    """Run a stage with the checked parameters; an error that the user can correct is one line.

    One stage at a time works in a folder: a second one is refused. What a stage writes is put
    in its place, all of it together, after the last thing that can fail: everything is
    printed, and what the stage read is still what it was.

    Args:
        main: does the work, and writes where its second argument says.
        sections: of params.yaml that the stage depends on.
        launched: has other processes run the stage where several share it, and returns whether
            it did.
        rank: of this process among those; None where it is alone. The first one, 0, writes for
            all.
    """
    name = Path(inspect.getfile(main)).stem
    _explain(main, name, sections)
    memory = LOWER if "model" in sections or not sections else MORE_MEMORY
    with reported("interrupted; the same command goes on", memory):
        if rank is None and launched(load()):
            return
        if rank:
            main(load(), Outputs())  # in which it puts nothing
            return
        with locked(), Outputs() as outputs:
            inputs = read_inputs(name)
            params = load()
            for line in warnings(params, *sections):
                print(f"warning: {line}", file=sys.stderr)
            main(params, outputs)
            sys.stdout.flush()
            refuse_changes(inputs, name)


def _explain(main: Main, name: str, sections: tuple[str, ...]) -> None:
    """Print what a stage does and end, where the command line asks for help."""
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
