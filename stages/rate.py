"""Find a learning rate: the inputs of train -> loss over rising rates. No stage of dvc.yaml."""

import pandas as pd
from tqdm import tqdm

from phonemes.files import replacing
from phonemes.fitting import prepare
from phonemes.params import Params
from phonemes.range_test import FALLEN, Point, rising, suggest, sweep
from phonemes.training import BAR_SECONDS
from stages import RATES, run
from stages.train import read

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 300


def main(params: Params) -> None:
    """Take steps of the training that params.yaml describes, and say which rate to try."""
    training, _ = prepare(*read(params), params.data, params.train)
    print(
        f"{STEPS} steps of {training.batch:,} frames, learning rate {LOWEST:g} to {HIGHEST:g}, "
        f"on {training.device}, {str(training.dtype).removeprefix('torch.')}",
        flush=True,
    )
    rates = rising(LOWEST, HIGHEST, STEPS)
    with tqdm(
        training.losses(rates),
        total=STEPS,
        unit=" steps",
        mininterval=BAR_SECONDS,
        disable=not params.runtime.progress,
    ) as losses:
        points = sweep(rates, losses)
    with replacing(RATES) as path:
        table = pd.DataFrame(points, columns=Point._fields)
        table.to_csv(path, index=False, lineterminator="\n", float_format="%.6g")
    suggested = suggest(points)
    if len(points) < STEPS:
        print(f"stopped at {points[-1].lr:.2g}, where the training diverges")
    print(
        f"the smoothed loss falls fastest at {suggested.fastest:.2g} and has done "
        f"{FALLEN:.0%} of its fall at {suggested.fallen:.2g}\n"
        f"suggested train.lr: {suggested.lr:.2g}, the geometric mean of both; "
        f"params.yaml has {params.train.lr:g}\n"
        f"to try it:  dvc exp run -S train.lr={suggested.lr:.2g}"
    )


if __name__ == "__main__":
    run(main)
