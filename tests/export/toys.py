"""Small models of random weights, and utterances for them."""

from dataclasses import asdict

import numpy as np
import torch
from inference.toys import random_classifier

from phonemes.export.check import open_session, run
from phonemes.export.model import onnx_model
from phonemes.features.log_mel import FeatureParams
from phonemes.model.phone_counts import count_phones
from phonemes.model.purpose import Purpose
from phonemes.model.store import Bundle, Model, TrainedNetwork, TrainingFacts, save_model
from phonemes.storage.layout import Spelling

BANDS, CLASSES, K = 6, 5, 3
NAMES = ("SIL", "AA", "B", "D", "ə")
FEATURES = FeatureParams(
    sample_rate=8000,
    frame_width=8,  # 64 samples
    stride=4,  # 32
    bands=BANDS,
    low=50,
    high=4000,
    fft=128,
    floor=1e-6,
    label_at="stride",
)
WIDTH, STRIDE = 64, 32
UTTERANCE = {"over": "utterance", "variance": True, "relevance": 10.0}
FACTS = TrainingFacts(3, 0.75, "bfloat16", "0.1.0")


def base(seed=0, **choices):
    """Return a network over windows of frames."""
    return random_classifier(2 * K + 1, BANDS, CLASSES, seed=seed, **choices)


def stacked(seed=0, **choices):
    """Return a network over windows of 5 frames of posteriors."""
    return random_classifier(5, 8, CLASSES, seed=seed, **choices)


def bundle(*networks, stacked=(), features=FEATURES, padding="zero", **normalization) -> Bundle:
    """Return a model of networks over frames, or of others stacked on them."""
    statistics = [np.linspace(-12, -2, BANDS), np.linspace(1, 4, BANDS)]
    purpose = Purpose(
        phonemes=NAMES,
        spelling=Spelling(True, ("[SIL]", *NAMES[1:])),
        bands=BANDS,
        k=K,
        padding=padding,
        normalization=UTTERANCE | normalization,
        statistics=torch.tensor(np.array(statistics)),
        source="audio" if features else "arrays",
        features=asdict(features) if features else None,
    )
    labels = np.array([0, 1, 1, 2, 4])
    phones = count_phones(labels, np.array([5]), CLASSES)
    return Bundle(Model([*(networks or [base()])], [*stacked]), purpose, phones, FACTS)


def save(path, given: Bundle, *, half=False) -> None:
    """Write a model file."""
    networks = (
        [TrainedNetwork(each.architecture, each.network.state_dict()) for each in kind]
        for kind in given.model
    )
    save_model(path, *networks, given.purpose, given.phones, given.facts, half=half)


def sounds(*counts, seed=1, remainder=STRIDE - 1):
    """Return noise of rising level that makes so many frames, and as much of one more."""
    random = np.random.default_rng(seed)
    sizes = [WIDTH + (count - 1) * STRIDE + remainder for count in counts]
    return [
        (random.normal(size=size) * np.linspace(0.001, 0.2, size)).astype(np.float32)
        for size in sizes
    ]


def frames(*counts, seed=1):
    """Return random frames of so many each."""
    random = np.random.default_rng(seed)
    return [random.normal(-6, 3, (count, BANDS)).astype(np.float32) for count in counts]


def session(given: Bundle):
    """Return a session of an exported model."""
    return open_session(onnx_model(given).SerializeToString())


def both_ways(given: Bundle, utterances):
    """Return the log posteriors of an exported model: of utterances alone, then side by side."""
    opened = session(given)
    return [*(run(opened, [each])[0] for each in utterances), *run(opened, utterances)]
