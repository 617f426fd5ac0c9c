"""Train the classifier: data/normalized, data/context and labels -> model and history."""

import csv
import sys
from collections.abc import Sequence
from typing import NamedTuple

import torch

from phonemes.checkpoint import KEPT, Checkpoints, run_key
from phonemes.context import utterance_lengths
from phonemes.device import choose_device, choose_precision
from phonemes.files import replacing
from phonemes.fitting import Arrays, prepare
from phonemes.model import Architecture, Trained, save_model
from phonemes.params import Data, Params, Train
from phonemes.refining import parts, second_networks, without_parts
from phonemes.stored import read_frames, read_labels, read_phonemes, read_starts
from phonemes.training import DivergedError, Epoch, Training
from stages import CONTEXT, CORPUS, HISTORY, MODEL, NORMALIZED, checkpoint_folder, run


class Inputs(NamedTuple):
    """What is trained on, and where."""

    train: Arrays
    dev: Arrays
    phonemes: Sequence[str]
    device: torch.device
    dtype: torch.dtype


def read(params: Params) -> Inputs:
    """Read both splits."""
    device = choose_device(params.runtime.device)
    phonemes = read_phonemes(CORPUS)
    arrays = {}
    for split in ("train", "dev"):
        starts = read_starts(CONTEXT / f"{split}.npy")
        frames = read_frames(NORMALIZED / f"{split}.npy", len(starts))
        labels = read_labels(CORPUS / f"labels/{split}.npy", len(starts), len(phonemes))
        arrays[split] = Arrays(frames, starts, labels)
    dtype = choose_precision(params.train.precision, device)
    return Inputs(arrays["train"], arrays["dev"], phonemes, device, dtype)


def announce(training: Training) -> None:
    """Say what is about to be trained and what it will cost."""
    cost = training.rehearse()
    print(training.network)
    print(
        f"{cost.parameters:,} parameters; {training.steps:,} steps of {training.batch:,} frames "
        f"an epoch on {training.device}, {str(training.dtype).removeprefix('torch.')}\n"
        f"memory of a step {cost.step_bytes / 2**20:,.0f} MiB, "
        f"of all frames {cost.resident_bytes / 2**20:,.0f} MiB; "
        f"an epoch takes about {cost.epoch_seconds:,.1f} s",
        flush=True,
    )
    if training.blocks:
        blocks = training.blocks.blocks
        print(f"frames pass through the device in {blocks} blocks an epoch", flush=True)


def start(
    inputs: Inputs, data: Data, how: Train, kept: int
) -> tuple[Training, Architecture, Checkpoints]:
    """Return a training that can go on from its checkpoints, of which the newest are kept."""
    training, architecture = prepare(*inputs, data, how)
    announce(training)
    blocks = training.blocks.blocks if training.blocks else 0
    ways = [inputs.device, inputs.dtype, inputs.phonemes, training.fused is None, blocks]
    key = run_key(how, data, [*inputs.train, *inputs.dev], ways)
    return training, architecture, Checkpoints(checkpoint_folder(), key, kept)


def fit(training: Training, checkpoints: Checkpoints, progress: bool) -> None:
    """Train, or go on training from a checkpoint."""
    planned = training.params.epochs
    state, why = checkpoints.load(planned, training.params.schedule)
    if why:
        print(why, flush=True)
    if state:
        training.restore(state)
    for epoch in training.epochs(progress):
        warning = checkpoints.save(training.state(), planned, last=epoch.epoch == planned)
        if warning:
            print(warning, file=sys.stderr)


def keep(training: Training, first: Sequence[Trained], second: Sequence[Trained] = ()) -> None:
    """Write all networks, and the history of the one that was trained on all of train."""
    best = training.best
    if best is None:
        return
    with replacing(MODEL) as path:
        facts = {"epoch": best.epoch, "dev_accuracy": best.dev_accuracy}
        save_model(path, first, second, facts)
    with replacing(HISTORY) as path, path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerows([Epoch._fields, *training.history])
    print(
        f"kept epoch {best.epoch} of {len(training.history)}, the best on dev accuracy: "
        f"{best.dev_accuracy:.4f}"
    )


def main(params: Params) -> None:
    """Train, or go on training, and keep the best epoch; of a diverged run too."""
    inputs, refine = read(params), params.refine
    progress, kept = params.runtime.progress, max(KEPT, refine.folds + refine.members)

    def another(train: Arrays, dev: Arrays, data: Data, how: Train, which: str) -> Trained:
        print(f"\n{which}", flush=True)
        given = inputs._replace(train=train, dev=dev)
        training, architecture, checkpoints = start(given, data, how, kept)
        fit(training, checkpoints, progress)
        return Trained(architecture, training.best_state)

    if refine.folds:  # that it can be cut is seen before long work
        parts(len(utterance_lengths(inputs.train.starts)), refine.folds)
    training, architecture, checkpoints = start(inputs, params.data, params.train, kept)
    try:
        fit(training, checkpoints, progress)
    except DivergedError:
        keep(training, [Trained(architecture, training.best_state)])
        raise
    first = Trained(architecture, training.best_state)
    keep(training, [first])
    if not refine.folds:
        return
    train, dev, _, device, dtype = inputs
    others, unheard = without_parts(train, dev, device, dtype, params, another)
    firsts = [first, *others]
    second = second_networks(firsts, unheard, train, dev, device, dtype, params, another)
    keep(training, firsts, second)


if __name__ == "__main__":
    run(main)
