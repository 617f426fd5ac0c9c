"""Recordings with known phonemes, for pages."""

import numpy as np

from phonemes.inventory import ARPABET_STRESS
from phonemes.transcription.segments import Segment, Track, runs
from phonemes.transcription.transcript import Transcript

RATE, STRIDE = 16_000, 0.01  # Hz, s
SIL, AH0, S, N, T, IY1 = (
    ARPABET_STRESS.index(name) for name in ("SIL", "AH0", "S", "N", "T", "IY1")
)
# 2 s: label and frames; 0.20 s of each phoneme, but 0.40 s of IY1
SPOKEN = [(SIL, 40), (AH0, 20), (S, 20), (N, 20), (IY1, 40), (S, 20), (SIL, 40)]
TONES = {SIL: 0.0, AH0: 500.0, S: 6000.0, N: 250.0, IY1: 1000.0}  # Hz, in place of phonemes


def transcript_of(labels: np.ndarray, posteriors: np.ndarray, words=()) -> Transcript:
    """Return a transcript of labels, (T,), and posteriors, (T, P)."""
    bounds = runs(labels)
    phones = tuple(
        Segment(
            round(start * STRIDE, 4),
            round(end * STRIDE, 4),
            ARPABET_STRESS[labels[start]],
            float(posteriors[start:end, labels[start]].mean()),
        )
        for start, end in bounds
    )
    logarithms = np.log(posteriors).astype(np.float32)
    track = Track(0.0, STRIDE, np.zeros((len(labels), 40), np.float32), logarithms, ARPABET_STRESS)
    return Transcript(phones, len(labels) * STRIDE, "english", tuple(words), track)


def tones(words=()) -> tuple[Transcript, np.ndarray]:
    """Return a transcript of SPOKEN and its sound.

    The posterior of what is spoken is 0.8, that of IY1, or of N in IY1, 0.15, that of T 0.02.
    """
    labels = np.repeat(*zip(*SPOKEN, strict=True))
    posteriors = np.full((len(labels), len(ARPABET_STRESS)), 0.03 / 68)
    posteriors[:, [IY1, T]] = 0.15, 0.02
    posteriors[np.arange(len(labels)), labels] = 0.8
    posteriors[labels == IY1, N] = 0.15
    times = np.arange(round(len(labels) * STRIDE * RATE)) / RATE
    frequencies = np.array([TONES[label] for label in labels])[(times / STRIDE + 1e-6).astype(int)]
    sound = 0.5 * np.sin(2 * np.pi * frequencies * times) * (frequencies > 0)
    return transcript_of(labels, posteriors, words), sound.astype(np.float32)


def speech(seconds: float, random: np.random.Generator) -> tuple[Transcript, np.ndarray]:
    """Return a transcript of random phonemes of 40 to 160 ms, with noisy posteriors, and noise."""
    frames, classes = round(seconds / STRIDE), len(ARPABET_STRESS)
    lengths = random.integers(4, 16, frames // 4)
    labels = np.repeat(random.integers(0, classes, len(lengths)), lengths)[:frames]
    evidence = random.normal(size=(frames, classes)).astype(np.float32)
    evidence[np.arange(frames), labels] += random.uniform(2, 7, frames)
    posteriors = np.exp(1.3 * evidence)
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    sound = random.normal(size=round(seconds * RATE)) * np.repeat(labels % 7, 160) / 40
    return transcript_of(labels, posteriors), np.clip(sound, -1, 1).astype(np.float32)
