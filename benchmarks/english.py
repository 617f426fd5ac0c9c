"""Make the model that comes with the package, from one that was trained on real speech.

    dvc exp run $(phonemes recipe english) -S corpus.source=arrays -S corpus.path=data/raw/speech
    python -m benchmarks.english

Stores models/model.safetensors in half precision, with the section `features` of params.yaml,
by which the arrays' frames were computed, as phonemes/english/model.safetensors. Then scores it
on dev, as it is stored, with and without smoothing.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from phonemes.decoding.decode import decode
from phonemes.decoding.phone_model import SmoothParams
from phonemes.decoding.smoothing import smoothing_of
from phonemes.english import PATH
from phonemes.inference.device import choose_compute
from phonemes.inference.windows import to_device
from phonemes.model.architecture import parameter_count
from phonemes.model.store import TrainedNetwork, load_model, save_model
from phonemes.params import Params, load
from phonemes.storage.atomic import replacing
from phonemes.storage.layout import MODEL
from phonemes.storage.read import read_split_with_lengths
from phonemes.transcription.recognizer import SMOOTH

OFF = SmoothParams(lm_scale=0, duration_scale=1, acoustic_scale=1, prior_scale=0)


def pack(source: Path, target: Path, params: Params) -> None:
    """Store a model in half precision, ready for recordings."""
    model, purpose, phones, facts = load_model(source, torch.device("cpu"))
    base, stacked = (
        [TrainedNetwork(each.architecture, each.network.state_dict()) for each in networks]
        for networks in model
    )
    ready = purpose._replace(features=asdict(params.features))
    with replacing(target) as path:
        save_model(path, base, stacked, ready, phones, facts, half=True)


def scores(path: Path, params: Params) -> dict[str, float]:
    """Return the accuracy on dev of a stored model, without and with smoothing."""
    compute = choose_compute(params.runtime.device, params.model.precision)
    model, purpose, phones, _ = load_model(path, compute.device)
    split, lengths = read_split_with_lengths("dev", len(purpose.phonemes))
    on_device = to_device(split, params.data, *compute)
    found = {}
    for name, smooth in {"as it is": OFF, "smoothed": SMOOTH}.items():
        decoded = decode(model, on_device, lengths, compute.dtype, smoothing_of(phones, smooth))
        found[name] = float(np.mean(decoded.predicted.cpu().numpy() == split.labels))
    return found


def main() -> None:
    """Pack and score."""
    params = load()
    pack(MODEL, PATH, params)
    model = load_model(PATH, torch.device("cpu")).model
    count = sum(parameter_count(network) for network, _ in model.base + model.stacked)
    print(f"{PATH}: {PATH.stat().st_size:,} bytes, {count:,} parameters")
    for name, accuracy in scores(PATH, params).items():
        print(f"dev accuracy {name}: {accuracy:.4f}")


if __name__ == "__main__":
    main()
