"""Train the classifier: data/normalized, data/context and labels -> model and history."""

import pandas as pd
import torch

from phonemes.corpus import read_array, read_phonemes
from phonemes.device import choose_device, choose_precision
from phonemes.files import replacing
from phonemes.inference import Split, place
from phonemes.model import Architecture, build, initialize, save_model
from phonemes.params import Params
from phonemes.training import Epoch, Training, class_weights
from stages import CONTEXT, CORPUS, HISTORY, MODEL, NORMALIZED, run


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


def main(params: Params) -> None:
    """Train, and keep the network of the epoch with the best dev accuracy."""
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    phonemes = read_phonemes(CORPUS)

    def load(split: str) -> Split:
        return place(
            read_array(NORMALIZED / f"{split}.npy"),
            read_array(CONTEXT / f"{split}.npy"),
            read_array(CORPUS / f"labels/{split}.npy"),
            params.data,
            device,
            dtype,
        )

    train, dev = load("train"), load("dev")
    assert train.labels is not None
    torch.manual_seed(params.train.seed)  # initialization and dropout
    architecture = Architecture.of(params.train, train.windows.shape[1], len(phonemes))
    network = build(architecture)
    initialize(network, params.train.initialization)
    weights = class_weights(train.labels, len(phonemes), params.train.class_weights)
    training = Training(network.to(device), train, dev, params.train, weights, dtype)
    announce(training)
    history: list[Epoch] = []
    best = None
    for epoch in training.epochs(params.runtime.progress):
        history.append(epoch)
        if best is None or epoch.dev_accuracy > best.dev_accuracy:
            best = epoch
            state = {name: value.cpu().clone() for name, value in network.state_dict().items()}
    assert best is not None
    facts = {"epoch": best.epoch, "dev_accuracy": best.dev_accuracy}
    with replacing(MODEL) as path:
        save_model(path, architecture, state, facts)
    with replacing(HISTORY) as path:
        pd.DataFrame(history).to_csv(path, index=False, lineterminator="\n")
    print(
        f"kept epoch {best.epoch} of {len(history)}, the best on dev accuracy: "
        f"{best.dev_accuracy:.4f}"
    )


if __name__ == "__main__":
    run(main)
