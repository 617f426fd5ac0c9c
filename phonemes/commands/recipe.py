"""`phonemes recipe`: print a named recipe as arguments of `dvc exp run`.

Printed as arguments, a recipe queues, runs in a temporary folder and takes further `-S` like
any experiment.
"""

import click

from phonemes.errors import InputError
from phonemes.recipes import overrides, read_recipe

REFUSED = "--no-such-recipe"  # DVC refuses it, and does not run what params.yaml has instead


@click.command(epilog="Example: dvc exp run $(phonemes recipe deep smoothed)")
@click.argument("names", nargs=-1, metavar="NAME...")
def recipe(names: tuple[str, ...]) -> None:
    """Print named recipes as arguments of `dvc exp run`.

    A recipe is a file of recipes/; of several, each adds to those before it.
    """
    try:
        words = [*overrides(read_recipe(*names))]
    except InputError:
        click.echo(REFUSED)
        raise
    click.echo(" ".join(f"-S {word}" for word in words))
