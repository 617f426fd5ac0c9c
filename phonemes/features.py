"""Log-mel frames of a waveform.

Frame t covers samples [t * stride, t * stride + width): not centred, no padding, no
pre-emphasis. Bands are triangles on the mel scale of HTK (Young et al., The HTK Book,
section 5.4), unnormalized, over the power spectrum of a Hann-windowed frame.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from phonemes.corpus import Frames
from phonemes.errors import InputError
from phonemes.params import Features


def samples_of(milliseconds: float, features: Features) -> int:
    """Return a duration in samples, to the nearest whole one."""
    return round(milliseconds * features.sample_rate / 1000)


def frame_count(samples: int, features: Features) -> int:
    """Return how many whole frames lie in `samples` samples; may be 0."""
    width = samples_of(features.frame_width, features)
    return max(0, 1 + (samples - width) // samples_of(features.stride, features))


def frame_centres(count: int, features: Features) -> NDArray[np.float64]:
    """Return the time of the middle of each frame, (count,), in seconds."""
    stride = samples_of(features.stride, features)
    width = samples_of(features.frame_width, features)
    return (np.arange(count) * stride + width / 2) / features.sample_rate


@lru_cache(maxsize=8)
def mel_filters(features: Features) -> NDArray[np.float32]:
    """Return the weight of each frequency in each band, (fft / 2 + 1, C)."""
    edges = np.array([features.low, features.high])
    mels = np.linspace(*(2595 * np.log10(1 + edges / 700)), features.bands + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)  # Hz
    frequencies = np.fft.rfftfreq(features.fft, 1 / features.sample_rate)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(samples: NDArray[np.floating], features: Features) -> Frames:
    """Return the natural log of band power plus floor, (T, C), of samples in [-1, 1], (S,).

    Raises:
        InputError: the samples are shorter than one frame.
    """
    width = samples_of(features.frame_width, features)
    stride = samples_of(features.stride, features)
    if len(samples) < width:
        raise InputError(f"{len(samples)} samples are shorter than one frame of {width}")
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)).astype(np.float32)
    frames = sliding_window_view(samples.astype(np.float32), width)[::stride] * hann  # (T, width)
    power = np.abs(np.fft.rfft(frames, features.fft)) ** 2  # (T, fft / 2 + 1)
    bands = power.astype(np.float32) @ mel_filters(features)
    return np.log(bands + np.float32(features.floor))
