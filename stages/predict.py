"""Label every test frame: model, data/normalized and data/context -> predictions.csv."""

import numpy as np
import pandas as pd

from phonemes.device import choose_device, choose_precision
from phonemes.files import replacing
from phonemes.inference import place, require_fit
from phonemes.model import load_model
from phonemes.params import Params
from phonemes.recognition import recognize
from phonemes.smoothing import read_smoothing
from phonemes.stored import read_frames, read_lengths, read_phonemes, read_starts
from stages import CONTEXT, CORPUS, MODEL, NORMALIZED, PREDICTIONS, run


def main(params: Params) -> None:
    """Write one row a test frame, in the order of the input: its running number and label."""
    device = choose_device(params.runtime.device)
    dtype = choose_precision(params.train.precision, device)
    model = load_model(MODEL, device)
    phonemes = read_phonemes(CORPUS)
    starts = read_starts(CONTEXT / "test.npy")
    frames = read_frames(NORMALIZED / "test.npy", len(starts))
    test = place(frames, starts, None, params.data, device, dtype)
    require_fit(model.first[0], test, len(phonemes))
    lengths, batch = read_lengths(CORPUS, "test"), params.runtime.batch_size
    smoothing = read_smoothing(CORPUS, params.smooth, len(phonemes))
    outcomes = recognize(model, test, lengths, batch, dtype, smoothing)
    labels = outcomes.predicted.cpu().numpy()
    if params.predict.label == "phoneme":
        labels = np.array(phonemes)[labels]
    table = pd.DataFrame({"id": np.arange(len(labels)), "label": labels})
    with replacing(PREDICTIONS) as path:
        table.to_csv(path, index=False, lineterminator="\n")
    print(f"{PREDICTIONS}: {len(table):,} rows")


if __name__ == "__main__":
    run(main)
