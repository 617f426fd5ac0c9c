"""Classify every frame of a split on the device.

Matrix products round by their shape, so every forward pass has the same number of frames: the
last one is filled up. What a network makes of a frame thus depends on the network, its split
and the kind of device alone, whoever asks: training on dev, stacking, evaluation, prediction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from phonemes.inference.device import runs_triton
from phonemes.inference.folding import folded
from phonemes.inference.outcomes import FrameScores, score_frames
from phonemes.inference.overlap import average_overlapping
from phonemes.inference.windows import DeviceSplit, gather
from phonemes.model.architecture import Architecture, Classifier

ROWS = {"cuda": 2**15}  # frames of a forward pass, by the kind of device
OTHER_ROWS = 2**11
ROOM = {"cuda": 2**30}  # bytes of the widest layer, for which there are fewer frames
OTHER_ROOM = 2**28


def forward_rows(kind: str, architecture: Architecture) -> int:
    """Return the frames of each forward pass, B, a power of 2.

    Args:
        kind: of device: cuda, mps or cpu.
        architecture: of the network, whose widest layer is to have room.
    """
    outputs = architecture.targets * architecture.classes
    widest = max(architecture.inputs, outputs, *architecture.hidden)
    fitting = max(1, ROOM.get(kind, OTHER_ROOM) // (4 * widest))
    return min(ROWS.get(kind, OTHER_ROWS), 2 ** (fitting.bit_length() - 1))


@torch.inference_mode()
def classify(classifier: Classifier, split: DeviceSplit, dtype: torch.dtype) -> FrameScores:
    """Run the network over every frame of a split, in order.

    Without labels the scores are those of the predictions: a loss that is not finite shows
    that the network's output is not.

    Args:
        classifier: on the device of the split.
        split: of N frames, with labels (N,) or none.
        dtype: of the products.
    """
    count, device = len(split.starts), split.windows.device
    score = scorer_for(device)
    predicted = torch.empty(count, dtype=torch.int64, device=device)
    loss = torch.zeros(count, device=device)
    top3 = torch.zeros(count, dtype=torch.bool, device=device)
    confidence = torch.zeros(count, device=device)
    for rows, logits in batched_logits(classifier, split, dtype):
        labels = logits.argmax(1) if split.labels is None else split.labels[rows]
        predicted[rows], loss[rows], top3[rows], confidence[rows] = score(logits, labels)
    return FrameScores(predicted, loss, top3, confidence)


@torch.inference_mode()
def posteriors(classifier: Classifier, split: DeviceSplit, dtype: torch.dtype) -> Tensor:
    """Return the log posteriors of every frame of a split, (N, P) float32."""
    parts = batched_logits(classifier, split, dtype)
    return torch.cat([torch.log_softmax(logits.float(), 1) for _, logits in parts])


def mean_posteriors(
    classifiers: Sequence[Classifier], split: DeviceSplit, dtype: torch.dtype
) -> Tensor:
    """Return the mean of the networks' log posteriors, as log posteriors (N, P) float32."""
    every = [posteriors(classifier, split, dtype) for classifier in classifiers]
    return torch.stack(every).mean(0).log_softmax(1)


def batched_logits(
    classifier: Classifier, split: DeviceSplit, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """Yield runs of a split's frames, all in the end, and their logits, (M, P).

    Where a window has several targets, they are log posteriors, averaged over all windows
    that predict a frame's label.
    """
    parts = _window_outputs(classifier, split, dtype)
    n = classifier.architecture.target_context
    return _averaged(parts, split.starts, n) if n else parts


def _window_outputs(
    classifier: Classifier, split: DeviceSplit, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """Yield runs of a split's frames and what the network gives for their windows, (M, ...)."""
    network, kind = folded(classifier.network, dtype), split.windows.device.type
    count, batch = len(split.starts), forward_rows(kind, classifier.architecture)
    for first in range(0, count, batch):
        frames = torch.arange(first, first + batch, device=split.starts.device)
        with torch.autocast(kind, dtype, enabled=dtype != torch.float32):
            outputs = network(gather(split, frames.clamp(max=count - 1)))
        yield slice(first, min(first + batch, count)), outputs[: count - first]


def _averaged(
    parts: Iterator[tuple[slice, Tensor]], starts: Tensor, n: int
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the mean log posteriors of frames as soon as all windows that predict them are there.

    Args:
        parts: runs of frames and outputs of their windows, (M, 2n + 1, P).
        starts: (N,) rows where the windows start.
        n: frames on each side that a window predicts.
    """
    held, done = None, 0  # outputs of windows that predict frames from number `done` on
    for rows, outputs in parts:
        log_posteriors = torch.log_softmax(outputs.float(), 2)
        held = log_posteriors if held is None else torch.cat([held, log_posteriors])
        first = rows.stop - len(held)
        averages = average_overlapping(held, starts[first : rows.stop])
        ready = rows.stop if rows.stop == len(starts) else max(rows.stop - n, done)
        if ready > done:
            yield slice(done, ready), averages[done - first : ready - first]
        held, done = held[max(ready - n - first, 0) :], ready


def scorer_for(device: torch.device) -> Callable[[Tensor, Tensor], FrameScores]:
    """Return `score_frames`, or where Triton runs one that does it in a single pass."""
    if runs_triton(device):
        with suppress(ImportError):  # of Triton, which comes with torch for CUDA
            from phonemes.inference import outcomes_triton

            return outcomes_triton.score_frames
    return score_frames
