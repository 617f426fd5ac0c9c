"""Train the classifier: data/normalized, data/context and labels -> model and history."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from phonemes.context import utterance_lengths
from phonemes.distributed.launch import launch, process_count
from phonemes.distributed.world import SINGLE, Group, World, in_a_world, joined
from phonemes.inference.device import Compute, choose_compute, choose_device
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
from phonemes.training.planned import require_size
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile, record
from phonemes.training.sharing import shared_out
from phonemes.training.stacking import FittedModel, Spread, fit_model, one_by_one
from stages import run

# where another process shows its bar: the line is written over it, and the bar below
OVER_THE_BAR = "\r\033[K" if sys.stdout is not None and sys.stdout.isatty() else ""


def announce(training: Run) -> None:
    """Print what is about to be trained and what it will cost."""
    cost = profile(training)
    print(describe(training.classifier.architecture))
    print(
        f"{cost.parameters:,} parameters; {training.steps:,} steps of {training.frames:,} frames "
        f"an epoch on {training.device}, {str(training.dtype).removeprefix('torch.')}\n"
        f"memory of a step {cost.step_bytes / 2**20:,.0f} MiB, "
        f"of all frames {cost.resident_bytes / 2**20:,.0f} MiB; "
        f"an epoch takes about {cost.epoch_seconds:,.1f} s",
        flush=True,
    )
    if (processes := training.group.world.size) > 1:
        print(f"one of {processes} processes, each with {training.batch:,} frames of a step")
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
    training: Run,
    checkpoints: Checkpoints,
    progress: bool,
    show: Callable[[list[Epoch]], str],
    lines: bool = True,
) -> None:
    """Train, or go on training from a checkpoint; save, then show, every epoch."""
    if (why := checkpoints.resume(training)) and lines:
        print(why, flush=True)
    show(training.history)
    for epoch in epochs(training, progress, lines):
        last = epoch.epoch == training.train.epochs
        for warning in (checkpoints.save(training, last=last), show(training.history)):
            if warning:
                print(warning, file=sys.stderr)


def train_with_others(training: Run, checkpoints: Checkpoints) -> None:
    """Train a network together with the process that prints."""
    profile(training)
    train_to_the_end(training, checkpoints, False, lambda history: "", lines=False)


def train_beside_others(training: Run, checkpoints: Checkpoints, name: str) -> None:
    """Train while another process prints; say in a line what came of it."""
    record(training)
    try:
        train_to_the_end(training, checkpoints, False, lambda history: "", lines=False)
    except DivergedError as error:
        raise DivergedError(f"{name}: {error}") from None
    best = training.best
    assert best is not None
    print(
        f"{OVER_THE_BAR}{name}: kept epoch {best.epoch} of {len(training.history)}, dev accuracy "
        f"{best.dev_accuracy:.4f}; {sum(epoch.seconds for epoch in training.history):,.1f} s "
        f"on {training.device}",
        flush=True,
    )


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


class Fitting(NamedTuple):
    """How this process trains the networks of a model, and what came of those so far."""

    compute: Compute
    phonemes: Sequence[str]
    kept: int  # checkpoints of other runs
    progress: bool
    show: Callable[[list[Epoch]], str]  # the history of the first network
    world: World
    together: Group  # that trains each network
    trained: list[Trained]  # grows

    def fit(self, train: HostSplit, dev: HostSplit, how: FitParams, name: str) -> TrainedNetwork:
        """Train a network, or go on training it; see `Fit`."""
        if name and self.world.first:
            print(f"\n{name}", flush=True)
        training = prepare(train, dev, len(self.phonemes), self.compute, how, self.together)
        device, dtype = self.compute
        facts = [device.type, dtype, self.phonemes, training.step.kernels]
        arrays = [array for split in (train, dev) for array in split if array is not None]
        key = run_key(how, arrays, code("train"), facts)
        checkpoints = Checkpoints(checkpoint_folder(), key, self.kept)
        show = (lambda history: "") if self.trained else self.show
        try:
            if self.world.first:
                announce(training)
                train_to_the_end(training, checkpoints, self.progress, show)
            elif self.together.world.size > 1:
                train_with_others(training, checkpoints)
            else:
                train_beside_others(training, checkpoints, name)
        finally:
            network = training.trained
            self.trained.append(Trained(training.history, training.best, network, dtype))
        return network


def main(params: Params, outputs: Outputs) -> None:
    """Train, or go on training, and keep the best epoch; of a diverged run too.

    The networks of a model are kept together: where one of several, with stacking, is not
    trained, what was there before stays. The others go on from their checkpoints. Several
    processes share the networks out, or train a single one together; the first one prints and
    writes.
    """
    world = World.of_environment()
    with in_a_world(world):
        places = [outputs.file(path) for path in (MODEL, HISTORY)] if world.first else []
        compute = choose_compute(params.runtime.device, params.model.precision, world.gpu)
        with joined(world, compute.device) as group:
            train_model(params, outputs, places, compute, group)


def train_model(
    params: Params, outputs: Outputs, places: list[Path], compute: Compute, group: Group
) -> None:
    """Train together with the other processes; write model and history to `places`, if any."""
    phonemes = read_phonemes(CORPUS)
    train, dev = (read_split(split, len(phonemes)) for split in ("train", "dev"))
    purpose = read_purpose(params.data, train.frames.shape[1])
    require_size(params.fit, params.stacking, purpose.bands, len(phonemes))
    assert train.labels is not None
    phones = count_phones(train.labels, utterance_lengths(train.starts), len(phonemes))
    stackings = [params.stacking] if params.stacking.folds else []
    kept = max(KEPT, sum(each.folds + each.networks for each in stackings))
    speakers = read_speakers(train) if stackings else []
    trained: list[Trained] = []
    spread: Spread = partial(shared_out, group=group, classes=len(phonemes))
    spread, together = (spread, SINGLE) if stackings else (one_by_one, group)
    if stackings and places and group.world.size > 1:
        print(f"{networks(params)} networks are shared out to {group.world.size} processes")
    try:
        with shown_live(HISTORY) if places else nullcontext(lambda history: "") as show:
            progress = params.runtime.progress
            fitting = Fitting(
                compute, phonemes, kept, progress, show, group.world, together, trained
            )
            *_, model = fit_model(
                train, dev, compute, params.fit, stackings, speakers, fitting.fit, spread
            )
    except DivergedError:
        if places and trained[0].best and not stackings:
            model = FittedModel([trained[0].network], [])
            keep(trained[0], model, purpose, phones, *places)
            outputs.replace()  # though the stage fails
        if not stackings:
            group.wait()  # all diverged; the first that ends, ends all
        raise
    if places:
        keep(trained[0], model, purpose, phones, *places)


def networks(params: Params) -> int:
    """Return how many networks of a model can be trained at a time."""
    return params.stacking.folds + 1


def launched(params: Params) -> bool:
    """Have several processes run this stage where runtime.gpus asks for it; return whether."""
    device = choose_device(params.runtime.device)
    count = process_count(params.runtime.gpus, device, networks(params))
    if count > 1:
        launch(count, device, "stages.train")
    return count > 1


if __name__ == "__main__":
    run(
        main,
        *("data", "model", "augment", "train", "stacking"),
        launched=launched,
        rank=World.of_environment().number,
    )
