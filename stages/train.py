"""Train the classifier: data/normalized, data/context and labels -> model and history."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from phonemes.context import utterance_lengths
from phonemes.inference.device import choose_compute
from phonemes.model.architecture import describe
from phonemes.model.phone_counts import PhoneCounts, count_phones
from phonemes.model.purpose import Purpose, read_purpose
from phonemes.model.store import TrainedNetwork, TrainingFacts, project_version, save_model
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.inputs import code
from phonemes.storage.layout import CORPUS, HISTORY, MODEL, HostSplit, checkpoint_folder
from phonemes.storage.read import read_phonemes, read_split, read_utterances
from phonemes.training.checkpoint import KEPT, Checkpoints, run_key
from phonemes.training.history import shown_live, write_history
from phonemes.training.loop import DivergedError, Epoch, Run, epochs
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


class Trained(NamedTuple):
    """What is left of the training of a network; what lies on the device is free again."""

    history: list[Epoch]
    best: Epoch | None
    network: TrainedNetwork
    dtype: torch.dtype


def train_to_the_end(
    training: Run, checkpoints: Checkpoints, progress: bool, show: Callable[[list[Epoch]], str]
) -> None:
    """Train, or go on training from a checkpoint; show the history after every epoch."""
    if why := checkpoints.resume(training):
        print(why, flush=True)
    show(training.history)
    for epoch in epochs(training, progress):
        last = epoch.epoch == training.train.epochs
        for warning in (show(training.history), checkpoints.save(training, last=last)):
            if warning:
                print(warning, file=sys.stderr)


def keep(
    first: Trained,
    model: FittedModel,
    purpose: Purpose,
    phones: PhoneCounts,
    weights: Path,
    history: Path,
) -> None:
    """Write all networks, and the history of the one trained on the whole training set."""
    best = first.best
    assert best is not None
    precision = str(first.dtype).removeprefix("torch.")
    facts = TrainingFacts(best.epoch, best.dev_accuracy, precision, project_version())
    save_model(weights, model.base, model.stacked, purpose, phones, facts)
    write_history(history, first.history)
    print(
        f"kept epoch {best.epoch} of {len(first.history)}, the best on dev accuracy: "
        f"{best.dev_accuracy:.4f}"
    )


def read_speakers(train: HostSplit) -> list[str]:
    """Return the speaker of each utterance of the training set, "" where unknown."""
    count = len(utterance_lengths(train.starts))
    return [speaker for _, speaker in read_utterances(CORPUS, "train", count)]


def main(params: Params, outputs: Outputs) -> None:
    """Train, or go on training, and keep the best epoch; of a diverged run too.

    The networks of a model are kept together: where one of several, with stacking, is not
    trained, what was there before stays. The others go on from their checkpoints.
    """
    weights, history = outputs.file(MODEL), outputs.file(HISTORY)
    compute = choose_compute(params.runtime.device, params.model.precision)
    phonemes = read_phonemes(CORPUS)
    train, dev = (read_split(split, len(phonemes)) for split in ("train", "dev"))
    purpose = read_purpose(params.data, train.frames.shape[1])
    assert train.labels is not None
    phones = count_phones(train.labels, utterance_lengths(train.starts), len(phonemes))
    stackings = [params.stacking] if params.stacking.folds else []
    kept = max(KEPT, sum(each.folds + each.networks for each in stackings))
    trained: list[Trained] = []

    def fit(train: HostSplit, dev: HostSplit, how: FitParams, name: str) -> TrainedNetwork:
        if name:
            print(f"\n{name}", flush=True)
        training = prepare(train, dev, len(phonemes), compute, how)
        facts = [*compute, phonemes, training.step.kernels, training.batches.blocks]
        arrays = [array for split in (train, dev) for array in split if array is not None]
        key = run_key(how, arrays, code("train"), facts)
        announce(training)
        checkpoints = Checkpoints(checkpoint_folder(), key, kept)
        show = (lambda history: "") if trained else show_first
        try:
            train_to_the_end(training, checkpoints, params.runtime.progress, show)
        finally:
            network = training.trained
            trained.append(Trained(training.history, training.best, network, compute.dtype))
        return network

    speakers = read_speakers(train) if stackings else []
    try:
        with shown_live(HISTORY) as show_first:
            *_, model = fit_model(train, dev, compute, params.fit, stackings, speakers, fit)
    except DivergedError:
        first = trained[0]
        if first.best and not stackings:
            keep(first, FittedModel([first.network], []), purpose, phones, weights, history)
            outputs.replace()  # though the stage fails
        raise
    keep(trained[0], model, purpose, phones, weights, history)


if __name__ == "__main__":
    run(main, "data", "model", "augment", "train", "stacking")
