"""Label every test frame: model, data/normalized and data/context -> predictions.csv."""

import numpy as np
import pandas as pd

from phonemes.decoding.decode import decode
from phonemes.decoding.smoothing import smoothing_of
from phonemes.errors import InputError
from phonemes.inference.device import choose_compute
from phonemes.inference.windows import require_fit, to_device
from phonemes.model.purpose import read_purpose, require_purpose
from phonemes.model.store import load_model
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.layout import CORPUS, DESCRIPTION, MODEL, PREDICTIONS
from phonemes.storage.read import read_description, read_phonemes, read_split_with_lengths
from stages import run


def read_header() -> tuple[str, str]:
    """Return the names of the columns, as the edition asks for them.

    Raises:
        InputError: the file that has them is missing or damaged.
    """
    match read_description(DESCRIPTION).get("header"):
        case [str(number), str(label)] if number != label:
            return number, label
    raise InputError(f"{DESCRIPTION} is damaged (no header); delete it and run `dvc repro`")


def main(params: Params, outputs: Outputs) -> None:
    """Write one row a test frame, in the order of the input: its running number and label.

    Labels are written as those of the training set were given, unless predict.label says how;
    the columns have the names that the edition asks for.
    """
    path = outputs.file(PREDICTIONS)
    compute = choose_compute(params.runtime.device, params.model.precision)
    model, purpose, phones, _ = load_model(MODEL, compute.device)
    phonemes = read_phonemes(CORPUS)
    split, lengths = read_split_with_lengths("test", None)
    here, header = read_purpose(params.data, split.frames.shape[1]), read_header()
    require_purpose(purpose, here)
    test = to_device(split, params.data, *compute)
    require_fit(model.base[0].architecture, test, len(phonemes))
    smoothing = smoothing_of(phones, params.smooth)
    scores = decode(model, test, lengths, compute.dtype, smoothing)
    labels = scores.predicted.cpu().numpy()
    kind = params.predict.label
    as_text = here.spelling.text if kind == "auto" else kind == "phoneme"
    if as_text:
        labels = np.array(here.spelling.phonemes)[labels]
    table = pd.DataFrame(dict(zip(header, (np.arange(len(labels)), labels), strict=True)))
    table.to_csv(path, index=False, lineterminator="\n")
    print(f"{PREDICTIONS}: {len(table):,} rows, labels are {'phonemes' if as_text else 'integers'}")


if __name__ == "__main__":
    run(main, "data", "smooth", "predict", "model")
