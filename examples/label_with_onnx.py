"""Print start, end (s) and phoneme of what is said in a recording; needs onnxruntime and numpy.

python examples/label_with_onnx.py model.onnx speech.wav    (after: phonemes export)
"""

import json
import sys
import wave
from itertools import pairwise

import numpy as np
import onnxruntime


def read_wav(path: str, rate: int) -> np.ndarray:
    """Return the samples of a 16-bit wav file in [-1, 1], averaged over channels, (S,)."""
    with wave.open(path) as file:
        if (file.getframerate(), file.getsampwidth()) != (rate, 2):
            sys.exit(f"error: {path} is not 16-bit sound at {rate} Hz; convert it, as with sox")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return (values.reshape(-1, file.getnchannels()) / np.float32(32768)).mean(axis=1)


def main(model: str, recording: str) -> None:
    """Label a recording frame by frame, and print each run of equal labels."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    facts = {key: json.loads(value) for key, value in properties.items()}
    if facts["input"] != "samples":
        sys.exit(f"error: {model} takes frames, not recordings")
    samples = read_wav(recording, facts["sample_rate"])
    inputs = {"samples": samples[None], "lengths": np.array([len(samples)])}
    (log_posteriors,) = session.run(["log_posteriors"], inputs)  # (1, T, P)
    labels = log_posteriors[0].argmax(axis=1)
    bounds = np.flatnonzero(np.diff(labels, prepend=-1, append=-1))
    for first, end in pairwise(bounds):
        start, stop = (facts["start"] + frame * facts["stride"] for frame in (first, end))
        print(f"{start:.3f} {stop:.3f} {facts['phonemes'][labels[first]]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
