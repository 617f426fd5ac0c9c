"""Classify every frame of a split on the device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from phonemes.inference.folding import folded
from phonemes.inference.outcomes import FrameScores, score_frames
from phonemes.inference.overlap import average_overlapping
from phonemes.inference.windows import DeviceSplit, gather
from phonemes.model.architecture import Classifier


@torch.inference_mode()
def classify(
    classifier: Classifier, split: DeviceSplit, batch: int, dtype: torch.dtype
) -> FrameScores:
    """Run the network over every frame of a split, in order, `batch` frames at a time."""
    count, device = len(split.starts), split.windows.device
    score = scorer_for(device)
    predicted = torch.empty(count, dtype=torch.int64, device=device)
    loss = torch.zeros(count, device=device)
    top3 = torch.zeros(count, dtype=torch.bool, device=device)
    for rows, logits in batched_logits(classifier, split, batch, dtype):
        if split.labels is None:
            predicted[rows] = logits.argmax(1)
        else:
            predicted[rows], loss[rows], top3[rows] = score(logits, split.labels[rows])
    return FrameScores(predicted, loss, top3)


@torch.inference_mode()
def posteriors(
    classifier: Classifier, split: DeviceSplit, batch: int, dtype: torch.dtype
) -> Tensor:
    """Return the log posteriors of every frame of a split, (N, P) float32."""
    parts = batched_logits(classifier, split, batch, dtype)
    return torch.cat([torch.log_softmax(logits.float(), 1) for _, logits in parts])


def mean_posteriors(
    classifiers: Sequence[Classifier], split: DeviceSplit, batch: int, dtype: torch.dtype
) -> Tensor:
    """Return the mean of the networks' log posteriors, as log posteriors (N, P) float32."""
    every = [posteriors(classifier, split, batch, dtype) for classifier in classifiers]
    return torch.stack(every).mean(0).log_softmax(1)


def batched_logits(
    classifier: Classifier, split: DeviceSplit, batch: int, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the frames of a split, `batch` at a time, and their logits, (B, P).

    Where a window has several targets, they are log posteriors, averaged over all windows
    that predict a frame's label.
    """
    network = folded(classifier.network, dtype)
    count, n = len(split.starts), classifier.architecture.target_context
    for first in range(0, count, batch):
        rows = slice(first, min(first + batch, count))
        wider = slice(max(first - n, 0), rows.stop + n)
        with torch.autocast(split.windows.device.type, dtype, enabled=dtype != torch.float32):
            logits = network(gather(split, wider))
        if n:
            log_posteriors = torch.log_softmax(logits.float(), 2)
            averages = average_overlapping(log_posteriors, split.starts[wider])
            begin = first - wider.start
            logits = averages[begin : begin + rows.stop - first]
        yield rows, logits


def scorer_for(device: torch.device) -> Callable[[Tensor, Tensor], FrameScores]:
    """Return `score_frames`, or on an NVIDIA GPU one that does it in a single pass."""
    if device.type == "cuda":
        with suppress(ImportError):  # of Triton, which comes with torch for CUDA
            from phonemes.inference import outcomes_triton

            return outcomes_triton.score_frames
    return score_frames
