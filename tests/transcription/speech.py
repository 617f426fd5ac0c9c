"""Sound for tests of transcription: no speech, but something that changes."""

import numpy as np


def sound(seconds=2.0, rate=16_000, seed=0):
    """Return noise whose level and colour change every 0.1 s, (S,) float32."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(max(1, round(seconds * 10))):
        noise = rng.normal(0, rng.uniform(0.001, 0.2), rate // 10)
        width = int(rng.integers(1, 20))
        parts.append(np.convolve(noise, np.full(width, 1 / width), "same"))
    return np.concatenate(parts).clip(-1, 1).astype(np.float32)
