"""Small classifiers and splits, for tests of inference and decoding."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import phonemes.inference.classify
from phonemes.context import DataParams, window_starts
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.model.architecture import Architecture, Classifier, build, initialize
from phonemes.storage.layout import HostSplit

CPU = torch.device("cpu")
FRAME_ALONE = DataParams(k=0, padding="zero")  # a window is its frame


def on_cpu(frames, lengths, labels, data, dtype=torch.float32) -> DeviceSplit:
    """Return frames, (N, C), as a split on the CPU."""
    starts = window_starts(lengths, data.k, data.padding)
    return to_device(HostSplit(frames, starts, labels), data, CPU, dtype)


def random_split(lengths, data, bands=2, classes=4) -> tuple[NDArray, NDArray, DeviceSplit]:
    """Return random frames and labels, and the split of them."""
    random = np.random.default_rng(0)
    frames = random.normal(size=(lengths.sum(), bands)).astype(np.float32)
    labels = random.integers(0, classes, lengths.sum())
    return frames, labels, on_cpu(frames, lengths, labels, data)


def random_classifier(frames, bands=2, classes=4, dropout=0.5, seed=0, **choices) -> Classifier:
    """Return a classifier of random weights and statistics, for windows of W = `frames`."""
    values = {
        "hidden": (8, 6), "activation": "relu", "norm": "batch", "norm_position": "before"
    } | choices  # fmt: skip
    torch.manual_seed(seed)
    classifier = build(Architecture(frames, bands, classes, dropout=dropout, **values))
    initialize(classifier.network, "default", torch.default_generator)
    for name, value in classifier.network.state_dict().items():
        if "running_mean" in name:
            value.uniform_(-0.5, 0.5)  # so that ReLU passes some values on
        if "running_var" in name:
            value.uniform_(0.5, 2)
    return classifier


def identity(classes) -> Classifier:
    """Return a classifier whose logits are the one frame of a window."""
    return Classifier(nn.Sequential(nn.Identity()), bare(1, classes, classes))


def bare(frames, bands, classes) -> Architecture:
    """Return an architecture of sizes alone."""
    return Architecture(frames, bands, classes, (), "relu", "none", "before", 0.0)


@contextmanager
def rows_in_a_pass(rows: int) -> Iterator[None]:
    """Have forward passes of so many frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phonemes.inference.classify, "forward_rows", lambda *_: rows)
        yield
