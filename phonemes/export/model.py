"""The ONNX model of a trained model, with what its user must know as metadata.

Inputs are samples, or frames where the model was trained on frames that were given; all else
is inside. Every value of the metadata is JSON:

phonemes          the P phonemes in label order
spelling          whether the training data's labels were text, and how they spelled each phoneme
training_frames   how many frames of the training set each phoneme had, (P,), for a prior
input             "samples" or "frames"
sample_rate       Hz; null for frames, as the next three
stride            s from one frame to the next
frame_width       s of a frame
start             s where the time of frame 0 begins; that of frame t ends at start + (t + 1) stride
bands             C
k, padding        of windows
normalization     the section `normalize` of params.yaml
source            of the training set: synthetic, arrays or audio
features          the section `features`; null for frames
facts             how the model was trained
version           of the project that exported it
"""

import json
from dataclasses import asdict

import numpy as np
import onnx
from onnx import helper

from phonemes.export.features import log_mel, normalized
from phonemes.export.graph import Graph, Value
from phonemes.export.interface import (
    COUNTS,
    FRAMES,
    LENGTHS,
    POSTERIORS,
    SAMPLES,
    Made,
    made_for,
)
from phonemes.export.network import log_posteriors
from phonemes.export.utterances import clipped, extended, size, utterances
from phonemes.features.log_mel import FeatureParams, label_times, samples_of
from phonemes.model.purpose import Purpose
from phonemes.model.store import Bundle, project_version


def onnx_model(bundle: Bundle) -> onnx.ModelProto:
    """Return the graph from samples, or frames, to log posteriors, with its metadata.

    Raises:
        InputError: the model cannot be exported; says why.
    """
    purpose, made, graph = bundle.purpose, made_for(bundle.purpose), Graph()
    if made.features:
        entry = Value(SAMPLES, np.float32, ("B", "S"))
        given = log_mel(graph, SAMPLES, LENGTHS, made.features)
    else:
        entry = Value(FRAMES, np.float32, ("B", "F", purpose.bands))
        counts = clipped(graph, LENGTHS, size(graph, FRAMES))
        given = utterances(graph, extended(graph, FRAMES, 1, rank=3), counts)
    given = normalized(graph, given, made.normalize, purpose.statistics.numpy())
    found = log_posteriors(graph, given, made.data.padding, bundle.model)
    counts = graph("Identity", found.counts, name=COUNTS)
    most = graph("ReduceMax", counts, keepdims=1)
    graph("Slice", found.frames, np.array([0]), most, np.array([1]), name=POSTERIORS)
    model = graph.model(
        [entry, Value(LENGTHS, np.int64, ("B",))],
        [
            Value(POSTERIORS, np.float32, ("B", "T", len(purpose.phonemes))),
            Value(COUNTS, np.int64, ("B",)),
        ],
    )
    model.producer_name, model.producer_version = "phonemes", project_version()
    model.doc_string = (
        f"Log posteriors of {len(purpose.phonemes)} phonemes for every frame of {entry.name}; "
        "not smoothed over time."
    )
    helper.set_model_props(model, metadata(bundle, made))
    return model


def metadata(bundle: Bundle, made: Made) -> dict[str, str]:
    """Return what the module's text lists, each value as JSON."""
    values = bundle.purpose._asdict() | {
        "spelling": bundle.purpose.spelling._asdict(),
        "training_frames": bundle.phones.frames.tolist(),
        "input": SAMPLES if made.features else FRAMES,
        **times(made.features),
        "facts": asdict(bundle.facts),
        "version": project_version(),
    }
    del values["statistics"]  # which are in the graph
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def times(features: FeatureParams | None) -> dict[str, float | None]:
    """Return the sample rate in Hz, and in seconds what tells when a frame is."""
    if features is None:
        return dict.fromkeys(("sample_rate", "stride", "frame_width", "start"))
    stride, width = (
        samples_of(each, features) / features.sample_rate
        for each in (features.stride, features.frame_width)
    )
    return {
        "sample_rate": features.sample_rate,
        "stride": stride,
        "frame_width": width,
        "start": float(label_times(1, features)[0]) - stride / 2,
    }


def outline(purpose: Purpose) -> str:
    """Return what an exported model does, for a person."""
    made, phonemes = made_for(purpose), len(purpose.phonemes)
    entry, every = f"frames of {purpose.bands} bands, not normalized,", "for each"
    if made.features:
        entry, every = (
            f"samples at {made.features.sample_rate:,} Hz",
            f"every {made.features.stride:g} ms",
        )
    lines = [
        f"from {entry} to log posteriors of {phonemes} phonemes {every}, not smoothed over time"
    ]
    if made.normalize.over == "speaker":
        lines.append("an utterance is normalized as if it were all that its speaker said")
    return "\n".join(lines)
