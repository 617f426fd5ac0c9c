"""Label every test frame: model, data/normalized and data/context -> predictions.csv."""

import numpy as np
import pandas as pd

from phonemes.corpus import read_array, read_phonemes
from phonemes.device import choose_device, choose_precision
from phonemes.files import replacing
from phonemes.inference import classify, place
from phonemes.model import load_model
from phonemes.params import Params
from stages import CONTEXT, CORPUS, MODEL, NORMALIZED, PREDICTIONS, run


def main(params: Params) -> None:
    """Write one row a test frame, in the order of the input: its running number and label."""
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    network, _ = load_model(MODEL, device)
    test = place(
        read_array(NORMALIZED / "test.npy"),
        read_array(CONTEXT / "test.npy"),
        None,
        params.data,
        device,
        dtype,
    )
    labels = classify(network, test, params.runtime.batch_size, dtype).predicted.cpu().numpy()
    if params.predict.label == "phoneme":
        labels = np.array(read_phonemes(CORPUS))[labels]
    table = pd.DataFrame({"id": np.arange(len(labels)), "label": labels})
    with replacing(PREDICTIONS) as path:
        table.to_csv(path, index=False, lineterminator="\n")
    print(f"{PREDICTIONS}: {len(table):,} rows")


if __name__ == "__main__":
    run(main)
