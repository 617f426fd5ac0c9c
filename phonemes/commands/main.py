"""The command `phonemes`: its subcommands, each imported when it is called."""

import os
from importlib import import_module

import click

from phonemes.errors import reported

# each a module here, with a function of that name
COMMANDS = (
    "transcribe",
    "align",
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


@click.command(
    cls=Subcommands,
    epilog="Example: dvc exp run $(phonemes recipe course)",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="phonemes")
def phonemes() -> None:
    """Label recordings, and tools around the pipeline; `dvc repro` runs the pipeline itself.

    transcribe and align work anywhere, the others in the folder of a project, the one with
    params.yaml.
    """


def main() -> None:
    """Run the command; an error that the user can correct is one line."""
    # a notebook's, which matplotlib refuses to be imported with where the notebook's package is
    # not installed; pictures need none
    os.environ.pop("MPLBACKEND", None)
    with reported():
        phonemes()
