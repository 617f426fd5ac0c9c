"""Label every test frame: model, data/normalized and data/context -> predictions.csv."""

import numpy as np
import pandas as pd

from phonemes.context import utterance_lengths
from phonemes.decoding.decode import decode, read_smoothing
from phonemes.inference.device import choose_device, choose_precision
from phonemes.inference.windows import require_fit, to_device
from phonemes.model.store import load_model
from phonemes.params import Params
from phonemes.storage.atomic import replacing
from phonemes.storage.layout import CORPUS, MODEL, PREDICTIONS
from phonemes.storage.read import read_phonemes, read_split
from stages import run


def main(params: Params) -> None:
    """Write one row a test frame, in the order of the input: its running number and label."""
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.model.precision, device)
    model = load_model(MODEL, device)
    phonemes = read_phonemes(CORPUS)
    split = read_split("test", None)
    test = to_device(split, params.data, device, dtype)
    require_fit(model.base[0].architecture, test, len(phonemes))
    lengths, batch = utterance_lengths(split.starts), params.runtime.batch_size
    smoothing = read_smoothing(params.smooth, len(phonemes))
    scores = decode(model, test, lengths, batch, dtype, smoothing)
    labels = scores.predicted.cpu().numpy()
    if params.predict.label == "phoneme":
        labels = np.array(phonemes)[labels]
    table = pd.DataFrame({"id": np.arange(len(labels)), "label": labels})
    with replacing(PREDICTIONS) as path:
        table.to_csv(path, index=False, lineterminator="\n")
    print(f"{PREDICTIONS}: {len(table):,} rows")


if __name__ == "__main__":
    run(main, "data", "smooth", "predict", "model")
