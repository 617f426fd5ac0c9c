"""Frames and labels that look like speech: loud phonemes, quiet silence at the ends."""

import numpy as np

from phonemes.inspection.corpus import Split, inspect_corpus

PHONEMES = ("SIL", "SPN", "AA1", "T", "S", "N")
SIL, SPN, AA1, T, S, N = range(6)
BANDS, PHONES, STRIDE = 4, 12, 10.0  # ms


def speech(seed, phones=PHONES):
    """Return frames, (T, 4) float32, and labels, (T,) int16, of an utterance of about a second."""
    random = np.random.default_rng(seed)
    spoken = [int(label) for label in 2 + (random.integers(0, 4) + np.arange(phones)) % 4]
    lengths = [20, *random.integers(6, 11, phones).tolist(), 20]
    labels = np.repeat([SIL, *spoken, SIL], lengths).astype(np.int16)
    levels = np.where(labels == SIL, -8.0, 0.0) + 0.5 * random.normal()
    frames = levels[:, None] + random.normal(size=(len(labels), BANDS))
    return frames.astype(np.float32), labels


SIZES = {"train": 12, "dev": 10, "test": 11}


def made(name, spoil=None, labelled=True):
    """Return a split of good utterances; `spoil` may change those of a list in place."""
    seeds = range(100 * len(name), 100 * len(name) + SIZES[name])
    utterances = [speech(seed) for seed in seeds]
    if spoil:
        spoil(utterances)
    return Split(
        np.concatenate([frames for frames, _ in utterances]),
        np.array([len(frames) for frames, _ in utterances]),
        np.concatenate([labels for _, labels in utterances]) if labelled else None,
        [f"{name}-{number}" for number in range(len(utterances))],
        [f"{name}-speaker-{number % 3}" for number in range(len(utterances))],
    )


def splits(**changed):
    good = {"train": made("train"), "dev": made("dev"), "test": made("test", labelled=False)}
    return good | changed


def inspected(**changed):
    return inspect_corpus(splits(**changed), PHONEMES, STRIDE)
