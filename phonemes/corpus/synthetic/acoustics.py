"""Make clean speech sound recorded: room, microphone, noise and level.

Samples are (S,) float; a function that takes samples returns as many. Random numbers come
from the generator that is passed in.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]


def coloured_noise(count: int, tilt: float, rng: np.random.Generator) -> Samples:
    """Return `count` samples of noise with RMS 1 and an amplitude that falls as frequency ** -tilt.

    A tilt of 0 is white noise, 0.5 is pink noise.
    """
    points = _power_of_two(count)
    spectrum = np.fft.rfft(rng.standard_normal(points))
    bins = np.arange(len(spectrum))
    spectrum /= np.maximum(bins, points / 800) ** tilt  # flat below 1/800 of the rate, 20 Hz
    noise = np.fft.irfft(spectrum, points)[:count]
    return noise / rms(noise)


def rms(samples: Samples) -> float:
    """Return the root mean square, at least 1e-9 so that one can divide by it."""
    return max(1e-9, float(np.sqrt(np.mean(samples**2))))


def record(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Return clean speech as if recorded in a noisy room.

    It reverberates in 6 of 10 cases. The signal-to-noise ratio is 8 to 30 dB, the level
    (RMS) -30 to -18 dB re full scale.
    """
    speech = rms(samples)
    if rng.random() < 0.6:
        samples = reverberate(samples, rate, rng)
    samples = equalize(samples, rng)
    noise = coloured_noise(len(samples), rng.uniform(0, 1), rng)
    samples = samples + noise * speech * decibels(-rng.uniform(8, 30))
    return samples / rms(samples) * decibels(rng.uniform(-30, -18))


def decibels(value: float) -> float:
    """Return the amplitude factor of a level difference in dB."""
    return 10 ** (value / 20)


def reverberate(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Return the direct sound followed by the reverberation of a small room: decaying noise.

    The noise falls by 60 dB in 80 to 350 ms; the direct sound has 3 to 14 dB more energy.
    """
    length = int(rng.uniform(0.08, 0.35) * rate)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: int(0.003 * rate)] = 0  # before the first reflection
    tail *= decibels(-rng.uniform(3, 14)) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return _convolve(samples, tail)


def _convolve(samples: Samples, response: Samples) -> Samples:
    points = _power_of_two(len(samples) + len(response))
    spectrum = np.fft.rfft(samples, points) * np.fft.rfft(response, points)
    return np.fft.irfft(spectrum, points)[: len(samples)]


def equalize(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return the samples filtered by a smooth random microphone response within +-7.5 dB."""
    points = _power_of_two(len(samples))
    angles = np.linspace(0, np.pi, points // 2 + 1)
    gains = sum(rng.uniform(-2.5, 2.5) * np.cos(order * angles) for order in (1, 2, 3))
    return np.fft.irfft(np.fft.rfft(samples, points) * 10 ** (gains / 20), points)[: len(samples)]


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is at least `count`: its FFT is fast."""
    return 1 << (count - 1).bit_length()
