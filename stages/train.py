"""Train the classifier: data/normalized, data/context and labels -> model and history."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from phonemes.context import utterance_lengths
from phonemes.distributed.launch import launch, process_count
from phonemes.distributed.process import in_a_world
from phonemes.distributed.world import SINGLE, Group, World, joined
from phonemes.inference.device import Compute, choose_compute, choose_device
from phonemes.model.phone_counts import PhoneCounts, count_phones
from phonemes.model.purpose import Purpose, read_purpose
from phonemes.model.store import TrainedNetwork, TrainingFacts, project_version, save_model
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.inputs import code
from phonemes.storage.layout import CORPUS, HISTORY, MODEL, HostSplit, checkpoint_folder
from phonemes.storage.read import read_phonemes, read_split, read_utterances
from phonemes.training.checkpoint import KEPT, Checkpoints, run_key
from phonemes.training.fitting import Show, train_alongside, train_and_print, train_silently, unseen
from phonemes.training.history import shown_live, write_history
from phonemes.training.loop import DivergedError
from phonemes.training.params import FitParams
from phonemes.training.planned import require_size
from phonemes.training.prepare import prepare
from phonemes.training.run import Epoch
from phonemes.training.sharing import shared_out
from phonemes.training.stacking import FittedModel, Spread, fit_model, one_by_one
from stages import run


class Trained(NamedTuple):
    """What is left of the training of a network; what lies on the device is free again."""

    history: list[Epoch]
    best: Epoch | None
    network: TrainedNetwork


def keep(
    first: Trained,
    model: FittedModel,
    dtype: torch.dtype,
    purpose: Purpose,
    phones: PhoneCounts,
    weights: Path,
    history: Path,
) -> None:
    """Write all networks, and the history of the one trained on the whole training set."""
    best = first.best
    assert best is not None
    precision = str(dtype).removeprefix("torch.")
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
    show: Show  # the history of the first network
    world: World
    together: Group  # that trains each network
    trained: list[Trained]  # grows

    def fit(self, train: HostSplit, dev: HostSplit, how: FitParams, name: str) -> TrainedNetwork:
        """Train a network, or go on training it; see `Fit`."""
        self.begin(train, dev, how, name, how.train.epochs)
        return self.trained[-1].network

    def begin(
        self, train: HostSplit, dev: HostSplit, how: FitParams, name: str, until: int
    ) -> None:
        """Train a network to an epoch, where this process prints to its last one; see `Begin`."""
        if name and self.world.first:
            print(f"\n{name}", flush=True)
        training = prepare(train, dev, len(self.phonemes), self.compute, how, self.together)
        device, dtype = self.compute
        facts = [device.type, dtype, self.phonemes, training.step.kernels]
        arrays = [array for split in (train, dev) for array in split if array is not None]
        key = run_key(how, arrays, code("train"), facts)
        checkpoints = Checkpoints(checkpoint_folder(), key, self.kept)
        show = unseen if self.trained else self.show
        try:
            if self.world.first:
                train_and_print(training, checkpoints, self.progress, show)
            elif self.together.world.size > 1:
                train_silently(training, checkpoints)
            else:
                train_alongside(training, checkpoints, name, until)
        finally:
            self.trained.append(Trained(training.history, training.best, training.trained))


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
    together = SINGLE if stackings else group
    if stackings and places and group.world.size > 1:
        print(f"{networks(params)} networks are shared out to {group.world.size} processes")
    try:
        with shown_live(HISTORY) if places else nullcontext(unseen) as show:
            progress = params.runtime.progress
            fitting = Fitting(
                compute, phonemes, kept, progress, show, group.world, together, trained
            )
            spread: Spread = one_by_one
            if stackings:
                spread = partial(shared_out, fitting.begin, group, len(phonemes))
            *_, model = fit_model(
                train, dev, compute, params.fit, stackings, speakers, fitting.fit, spread
            )
    except DivergedError:
        if places and trained[0].best and not stackings:
            model = FittedModel([trained[0].network], [])
            keep(trained[0], model, compute.dtype, purpose, phones, *places)
            outputs.replace()  # though the stage fails
        if not stackings:
            group.wait()  # all diverged; the first that ends, ends all
        raise
    if places:
        keep(trained[0], model, compute.dtype, purpose, phones, *places)


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
