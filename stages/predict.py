"""Label every test frame: model, data/normalized and data/context -> predictions.csv."""

import numpy as np
import pandas as pd

from phonemes.decoding.devices import decode_on_all, load_on_all
from phonemes.decoding.smoothing import smoothing_of
from phonemes.inference.device import choose_devices, choose_precision
from phonemes.model.purpose import read_purpose, require_purpose
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.layout import CORPUS, MODEL, PREDICTIONS
from phonemes.storage.read import read_header, read_phonemes, read_split_with_lengths
from phonemes.wording import counted
from stages import run


def main(params: Params, outputs: Outputs) -> None:
    """Write one row a test frame, in the order of the input: its running number and label.

    Labels are written as those of the training set were given, unless predict.label says how;
    the columns have the names that the edition asks for.
    """
    path = outputs.file(PREDICTIONS)
    devices = choose_devices(params.runtime.device, params.runtime.gpus)
    dtype = choose_precision(params.model.precision, devices[0])
    (_, purpose, phones, _), replicas = load_on_all(MODEL, devices)
    phonemes = read_phonemes(CORPUS)
    split, lengths = read_split_with_lengths("test", None)
    here, header = read_purpose(params.data, split.frames.shape[1]), read_header()
    require_purpose(purpose, here)
    smoothing = smoothing_of(phones, params.smooth)
    scores = decode_on_all(replicas, split, params.data, lengths, len(phonemes), dtype, smoothing)
    labels = scores.predicted.cpu().numpy()
    as_text = here.spelling.predicted_as_text(params.predict.label)
    if as_text:
        labels = np.array(here.spelling.phonemes)[labels]
    table = pd.DataFrame(dict(zip(header, (np.arange(len(labels)), labels), strict=True)))
    table.to_csv(path, index=False, lineterminator="\n")
    kind = "phonemes" if as_text else "integers"
    print(f"{PREDICTIONS}: {counted(len(table), 'row')}, labels are {kind}; next: phonemes check")


if __name__ == "__main__":
    run(main, "data", "smooth", "predict", "model")
