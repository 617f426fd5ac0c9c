"""The usual loop sees what this project sees: the same windows and labels."""

import numpy as np
import pytest
import torch

from benchmarks.usual_loop import Corpus, PaddedArray, PaddedUtterances
from phonemes.context import DataParams, window_starts
from phonemes.inference.windows import gather, to_device
from phonemes.storage.layout import HostSplit


@pytest.mark.parametrize("usual", [PaddedArray, PaddedUtterances])
@pytest.mark.parametrize("lengths", [(5, 1, 9), (1,)])
@pytest.mark.parametrize("k", [1, 4])
def test_the_windows_and_labels_are_those_of_this_project(usual, lengths, k):
    random = np.random.default_rng(1)
    frames = random.uniform(1, 2, (sum(lengths), 3)).astype(np.float32)  # none of them zero
    corpus = Corpus(frames, np.array(lengths), random.integers(0, 71, sum(lengths)))
    host = HostSplit(frames, window_starts(corpus.lengths, k, "zero"), corpus.labels)
    split = to_device(host, DataParams(k, "zero"), torch.device("cpu"), torch.float32)
    dataset = usual(corpus, k)
    windows, labels = zip(*(dataset[index] for index in range(len(dataset))), strict=True)
    assert torch.equal(torch.stack(windows), gather(split, slice(None)))
    assert torch.equal(torch.stack(labels), split.labels)
