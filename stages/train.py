"""Train the classifier: data/normalized, data/context and labels -> model and history."""

import csv
import sys
from pathlib import Path

import yaml

from phonemes.errors import InputError
from phonemes.inference.device import Compute, choose_device, choose_precision
from phonemes.model.architecture import describe
from phonemes.model.store import TrainedNetwork, save_model
from phonemes.params import Params
from phonemes.storage.atomic import replacing
from phonemes.storage.layout import CORPUS, HISTORY, MODEL, HostSplit, checkpoint_folder
from phonemes.storage.read import read_phonemes, read_split
from phonemes.training.checkpoint import KEPT, Checkpoints, run_key
from phonemes.training.loop import DivergedError, Epoch, Run, epochs, restore, state
from phonemes.training.params import FitParams
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile
from phonemes.training.stacking import FittedModel, fit_model
from stages import run


def announce(training: Run) -> None:
    """Print what is about to be trained and what it will cost."""
    cost = profile(training)
    print(describe(training.classifier.architecture))
    print(
        f"{cost.parameters:,} parameters; {training.steps:,} steps of {training.batch:,} frames "
        f"an epoch on {training.device}, {str(training.dtype).removeprefix('torch.')}\n"
        f"memory of a step {cost.step_bytes / 2**20:,.0f} MiB, "
        f"of all frames {cost.resident_bytes / 2**20:,.0f} MiB; "
        f"an epoch takes about {cost.epoch_seconds:,.1f} s",
        flush=True,
    )
    if training.batches.blocks > 1:
        blocks = training.batches.blocks
        print(f"frames pass through the device in {blocks} blocks an epoch", flush=True)


def code() -> list[Path]:
    """Return the files of code that this stage depends on, as dvc.yaml has them."""
    try:
        stage = yaml.safe_load(Path("dvc.yaml").read_text("utf-8"))["stages"]["train"]
    except OSError as error:
        raise InputError(f"cannot read dvc.yaml ({error}); work in the project's folder") from None
    paths = [Path(dep) for dep in stage["deps"] if dep.startswith(("phonemes/", "stages/"))]
    return sorted(
        file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])
    )


def train_to_the_end(training: Run, checkpoints: Checkpoints, progress: bool) -> None:
    """Train, or go on training from a checkpoint."""
    planned = training.train.epochs
    stored, why = checkpoints.load(planned, training.train.schedule)
    if why:
        print(why, flush=True)
    if stored:
        restore(training, stored)
    for epoch in epochs(training, progress):
        warning = checkpoints.save(state(training), planned, last=epoch.epoch == planned)
        if warning:
            print(warning, file=sys.stderr)


def keep(first: Run, model: FittedModel) -> None:
    """Write all networks, and the history of the one trained on the whole training set."""
    best = first.best
    if best is None:
        return
    with replacing(MODEL) as path:
        facts = {"epoch": best.epoch, "dev_accuracy": best.dev_accuracy}
        save_model(path, model.base, model.stacked, facts)
    with replacing(HISTORY) as path, path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([Epoch._fields, *first.history])
    print(
        f"kept epoch {best.epoch} of {len(first.history)}, the best on dev accuracy: "
        f"{best.dev_accuracy:.4f}"
    )


def main(params: Params) -> None:
    """Train, or go on training, and keep the best epoch; of a diverged run too."""
    device = choose_device(params.runtime.device)
    compute = Compute(device, choose_precision(params.model.precision, device))
    phonemes = read_phonemes(CORPUS)
    train, dev = (read_split(split, len(phonemes)) for split in ("train", "dev"))
    stackings = [params.stacking] if params.stacking.folds else []
    kept = max(KEPT, sum(each.folds + each.networks for each in stackings))
    runs: list[Run] = []

    def fit(train: HostSplit, dev: HostSplit, how: FitParams, name: str) -> TrainedNetwork:
        if name:
            print(f"\n{name}", flush=True)
        training = prepare(train, dev, len(phonemes), compute, how)
        runs.append(training)
        facts = [*compute, phonemes, training.step.kernels, training.batches.blocks]
        arrays = [array for split in (train, dev) for array in split if array is not None]
        key = run_key(how, arrays, code(), facts)
        announce(training)
        checkpoints = Checkpoints(checkpoint_folder(), key, kept)
        train_to_the_end(training, checkpoints, params.runtime.progress)
        return training.trained

    batch = params.runtime.batch_size
    try:
        for model in fit_model(train, dev, compute, params.fit, stackings, batch, fit):
            keep(runs[0], model)
    except DivergedError:
        if len(runs) == 1:
            keep(runs[0], FittedModel([runs[0].trained], []))
        raise


if __name__ == "__main__":
    run(main, "data", "model", "augment", "train", "stacking")
