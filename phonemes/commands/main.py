"""The command `phonemes`: its subcommands, each imported when it is called."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from phonemes.errors import InputError, reported
from phonemes.storage.inputs import PARAMS

# each a module here, with a function of that name
COMMANDS = (
    "transcribe",
    "align",
    "agreement",
    "inspect",
    "plan",
    "recipe",
    "summary",
    "compare",
    "seeds",
    "rate",
    "search",
    "report",
    "check",
    "export",
    "repair",
)


ANYWHERE = ("transcribe", "align", "agreement", "export")  # the others work in a project's folder


class Subcommands(click.Group):
    """The subcommands, one a module of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a subcommand, or None where there is none of that name."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"phonemes.commands.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; an error of a folder that is no project's says so.

        Raises:
            InputError: of the subcommand.
        """
        try:
            return super().invoke(ctx)
        except InputError as error:
            place = "the project's folder"
            if ctx.invoked_subcommand in ANYWHERE or PARAMS.exists() or place in str(error):
                raise
            raise InputError(f"{error}; {Path.cwd()} has no {PARAMS}: work in {place}") from None


@click.command(
    cls=Subcommands,
    epilog="Example: dvc exp run $(phonemes recipe course)",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="phonemes")
def phonemes() -> None:
    """Label recordings, and tools around the pipeline; `dvc repro` runs the pipeline itself.

    transcribe, align, agreement and export work anywhere, the others in the folder of a project,
    the one with params.yaml.
    """


def main() -> None:
    """Run the command; an error that the user can correct is one line."""
    # a notebook's, which matplotlib refuses to be imported with where the notebook's package is
    # not installed; pictures need none
    os.environ.pop("MPLBACKEND", None)
    with reported():
        phonemes()
