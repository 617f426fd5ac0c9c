"""Train the classifier: data/normalized, data/context and labels -> model and history."""

import sys

import pandas as pd
import torch
from numpy.typing import NDArray

from phonemes.checkpoint import Checkpoints, run_key
from phonemes.device import choose_device, choose_precision
from phonemes.files import replacing
from phonemes.inference import place, require_fit
from phonemes.model import Architecture, build, initialize, save_model
from phonemes.neighbours import labels_around
from phonemes.params import Params
from phonemes.stored import read_frames, read_labels, read_phonemes, read_starts
from phonemes.streaming import Blocks, place_or_stream
from phonemes.training import DivergedError, Training, class_weights
from stages import CONTEXT, CORPUS, HISTORY, MODEL, NORMALIZED, checkpoint_folder, run


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
        print(f"frames pass through the device in {training.blocks.blocks} blocks", flush=True)


def keep(training: Training, architecture: Architecture) -> None:
    """Write the network of the epoch with the best dev accuracy, and the history."""
    best = training.best
    if best is None:
        return
    with replacing(MODEL) as path:
        facts = {"epoch": best.epoch, "dev_accuracy": best.dev_accuracy}
        save_model(path, architecture, training.best_state, facts)
    with replacing(HISTORY) as path:
        pd.DataFrame(training.history).to_csv(path, index=False, lineterminator="\n")
    print(
        f"kept epoch {best.epoch} of {len(training.history)}, the best on dev accuracy: "
        f"{best.dev_accuracy:.4f}"
    )


def prepare(params: Params) -> tuple[Training, Architecture, list[NDArray]]:
    """Return a training that is ready to start, what its network is and all arrays it reads."""
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    phonemes = read_phonemes(CORPUS)
    arrays = {}
    for split in ("train", "dev"):
        starts = read_starts(CONTEXT / f"{split}.npy")
        frames = read_frames(NORMALIZED / f"{split}.npy", len(starts))
        labels = read_labels(CORPUS / f"labels/{split}.npy", len(starts), len(phonemes))
        arrays[split] = frames, starts, labels
    dev = place(*arrays["dev"], params.data, device, dtype)
    frames, starts, labels = arrays["train"]
    if params.train.neighbours:
        labels = labels_around(labels, starts, params.train.neighbours)
    train = place_or_stream(frames, starts, labels, params.data, params.train, device, dtype)
    torch.manual_seed(params.train.seed)  # initialization and dropout
    placed = train.split if isinstance(train, Blocks) else train
    bands = placed.windows.stride(0)
    width = placed.windows.shape[1] // bands
    architecture = Architecture.of(params.train, width, bands, len(phonemes))
    network = build(architecture)
    require_fit(network, dev, len(phonemes))
    initialize(network, params.train.initialization)
    frame_labels = torch.tensor(arrays["train"][2], dtype=torch.int64)  # without neighbours'
    weights = class_weights(frame_labels, len(phonemes), params.train.class_weights)
    training = Training(network.to(device), train, dev, params.train, weights, dtype)
    return training, architecture, [*arrays["train"], *arrays["dev"]]


def main(params: Params) -> None:
    """Train, or go on training, and keep the best epoch; of a diverged run too."""
    training, architecture, arrays = prepare(params)
    announce(training)
    blocks = training.blocks.blocks if training.blocks else 0
    ways = [training.device, training.dtype, architecture.classes, training.fused is None, blocks]
    key = run_key(params, arrays, ways)
    checkpoints = Checkpoints(checkpoint_folder(), key)
    planned = params.train.epochs
    state, why = checkpoints.load(planned, params.train.schedule)
    if why:
        print(why, flush=True)
    if state:
        training.restore(state)
    try:
        for epoch in training.epochs(params.runtime.progress):
            warning = checkpoints.save(training.state(), planned, last=epoch.epoch == planned)
            if warning:
                print(warning, file=sys.stderr)
    except DivergedError:
        keep(training, architecture)
        raise
    keep(training, architecture)


if __name__ == "__main__":
    run(main)
