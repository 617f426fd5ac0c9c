"""What an ONNX model gives, against what this project computes with torch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from phonemes.context import window_starts
from phonemes.errors import InputError
from phonemes.export.interface import COUNTS, LENGTHS, POSTERIORS, made_for
from phonemes.features.log_mel import log_mel, samples_of
from phonemes.inference.stacked import log_posteriors
from phonemes.inference.windows import to_device
from phonemes.model.store import Bundle
from phonemes.normalize import Statistics, normalized, split_statistics
from phonemes.storage.layout import HostSplit

CPU = torch.device("cpu")
TOLERANCE = 1e-4  # of log posteriors
_QUIET = 4  # of onnxruntime's levels, the one for what ends the process


class Agreement(NamedTuple):
    """How near an ONNX model comes to torch."""

    difference: float  # of log posteriors, the largest
    lengths: tuple[int, ...]  # frames of the utterances that were tried


def open_session(model: bytes | str, threads: int = 0) -> onnxruntime.InferenceSession:
    """Return a session on the CPU that prints nothing.

    Args:
        model: its bytes, or its path.
        threads: 0 for as many as onnxruntime chooses.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(
    session: onnxruntime.InferenceSession, given: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """Return the log posteriors of utterances, (T, P) each, run side by side.

    Args:
        session: of a model of this package.
        given: samples (S,), or frames (F, C), of each utterance.
    """
    lengths = np.array([len(each) for each in given])
    batch = np.zeros((len(given), lengths.max(), *given[0].shape[1:]), np.float32)
    for row, each in zip(batch, given, strict=True):
        row[: len(each)] = each
    entry = session.get_inputs()[0].name
    found, counts = session.run([POSTERIORS, COUNTS], {entry: batch, LENGTHS: lengths})
    return [row[:count] for row, count in zip(found, counts, strict=True)]


def expected(bundle: Bundle, given: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Return what this project makes of utterances in float32, as `run` does.

    Args:
        bundle: on the CPU.
        given: samples (S,), or frames (F, C), of each utterance.
    """
    made = made_for(bundle.purpose)
    frames = [log_mel(each, made.features) if made.features else each for each in given]
    lengths = np.array([len(each) for each in frames])
    rows = np.concatenate(frames)
    groups = np.arange(len(lengths))  # an utterance is all that is known of its speaker
    train = Statistics(*bundle.purpose.statistics.numpy()[:, None])
    own, _ = split_statistics(rows, lengths, groups, made.normalize, train)
    groups = np.minimum(groups, len(own.mean) - 1)  # one for all, over the corpus
    variance = made.normalize.variance
    ready = np.concatenate([*normalized(rows, lengths, groups, own, variance=variance)])
    starts = window_starts(lengths, made.data.k, made.data.padding)
    split = to_device(HostSplit(ready, starts, None), made.data, CPU, torch.float32)
    with torch.inference_mode():
        found = log_posteriors(bundle.model, split, lengths, torch.float32).numpy()
    return np.split(found, lengths.cumsum()[:-1])


def generated(bundle: Bundle) -> list[NDArray[np.float32]]:
    """Return utterances of random sound or frames, of 1 frame, a few, and more than a window."""
    made, random = made_for(bundle.purpose), np.random.default_rng(0)
    counts = np.array([1, 2, made.data.k + 1, 2 * made.data.k + 40])
    if made.features is None:
        mean, deviation = bundle.purpose.statistics.numpy()
        return [
            random.normal(mean, deviation, (count, len(mean))).astype(np.float32)
            for count in counts
        ]
    width, stride = (
        samples_of(each, made.features)
        for each in (made.features.frame_width, made.features.stride)
    )
    return [_sound(width + count * stride - 1, random) for count in counts]


def _sound(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return noise with some colour whose level rises and falls, (S,) of 16 bits in [-1, 1]."""
    noise = np.convolve(random.normal(size=count + 3), random.normal(size=4), "valid")
    levels = np.exp2(random.uniform(-12, 0, 8))  # down to 72 dB below the highest
    sound = noise * np.interp(np.linspace(0, 7, count), np.arange(8), levels)
    return (np.round(sound / np.abs(sound).max() * 32767) / 32768).astype(np.float32)


def difference(
    found: Sequence[NDArray[np.float32]], wanted: Sequence[NDArray[np.float32]]
) -> float:
    """Return the largest difference of log posteriors, (T, P) each.

    It is NaN where any is NaN, or both are infinite.
    """
    pairs = zip(found, wanted, strict=True)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN
        return float(np.max([np.abs(ours - theirs).max() for ours, theirs in pairs]))


def check(model: bytes, bundle: Bundle) -> Agreement:
    """Return how near a model comes to torch on generated utterances, alone and side by side.

    Raises:
        InputError: not near enough.
    """
    session, given = open_session(model), generated(bundle)
    wanted = expected(bundle, given)
    alone = [run(session, [each])[0] for each in given]
    found = difference([*alone, *run(session, given)], [*wanted, *wanted])
    if not found <= TOLERANCE:
        raise InputError(
            f"the model cannot be exported: its log posteriors would differ by {found:.1e} from "
            f"those of torch, more than {TOLERANCE:g}: its weights are so large that float32 "
            "rounds too coarsely; train with model.norm: batch or a lower train.lr"
        )
    return Agreement(found, tuple(len(each) for each in wanted))
