"""`phonemes rate`: suggest a learning rate by a range test."""

import click

from phonemes.wording import percent

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 300


@click.command(epilog="Example: phonemes rate && dvc exp run -S train.lr=2e-3")
def rate() -> None:
    """Suggest a value of train.lr.

    Takes steps of the training that params.yaml describes, each at a higher rate than the one
    before, and looks where the loss falls. Needs what the stages up to `context` wrote; writes
    metrics/rate.csv, which `make rate` shows as a plot.
    """
    # not above: `phonemes --help` needs neither pandas nor torch
    import pandas as pd
    from tqdm import tqdm

    from phonemes.inference.device import choose_compute
    from phonemes.params import load
    from phonemes.storage.atomic import replacing
    from phonemes.storage.layout import CORPUS, RATES
    from phonemes.storage.lock import locked
    from phonemes.storage.read import read_phonemes, read_split
    from phonemes.training.loop import BAR_SECONDS
    from phonemes.training.prepare import prepare
    from phonemes.training.range_test import FALLEN, Point, losses, marks, rising, suggest, sweep

    with locked():
        params = load()
        compute = choose_compute(params.runtime.device, params.model.precision)
        classes = len(read_phonemes(CORPUS))
        train, dev = (read_split(split, classes) for split in ("train", "dev"))
        run = prepare(train, dev, classes, compute, params.fit)
        click.echo(
            f"{STEPS} steps of {run.batch:,} frames, learning rate {LOWEST:g} to {HIGHEST:g}, "
            f"on {run.device}, {str(run.dtype).removeprefix('torch.')}"
        )
        rates = rising(LOWEST, HIGHEST, STEPS)
        with tqdm(
            losses(run, rates),
            total=STEPS,
            unit=" steps",
            mininterval=BAR_SECONDS,
            disable=None if params.runtime.progress else True,
        ) as seen:
            points = sweep(rates, seen)
        with replacing(RATES) as path:
            table = pd.DataFrame(points, columns=Point._fields)
            table.assign(mark=marks(points)).to_csv(
                path, index=False, lineterminator="\n", float_format="%.6g"
            )
    suggested = suggest(points)
    if len(points) < STEPS:
        click.echo(f"stopped at {points[-1].lr:.2g}, where the training diverges")
    click.echo(
        f"the smoothed loss falls fastest at {suggested.fastest:.2g}; {percent(FALLEN)} of its "
        f"fall is over at {suggested.fallen:.2g}\n"
        f"suggested train.lr: {suggested.lr:.2g}, the geometric mean of both; "
        f"params.yaml has {params.train.lr:g}\n"
        f"to try it:  dvc exp run -S train.lr={suggested.lr:.2g}"
    )
