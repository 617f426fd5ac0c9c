"""Log-mel frames of a waveform.

Frame t covers samples [t * stride, t * stride + width): not centred, no padding, no
pre-emphasis. Bands are triangles with corners on the mel scale of HTK (Young et al., The
HTK Book, section 5.4), linear in Hz and not normalized. They weigh the power spectrum of a
frame under a periodic Hann window. S samples, T frames, C bands.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.schema import Choice, Number
from phonemes.storage.layout import Frames


@dataclass(frozen=True)
class FeatureParams:
    """How log-mel frames are computed from samples."""

    sample_rate: Annotated[int, Number(1000, 192_000, usual=(8000, 48_000))]  # Hz
    frame_width: Annotated[float, Number(1, 1000, usual=(10, 100))]  # ms
    stride: Annotated[float, Number(1, 1000, usual=(5, 50))]  # ms
    bands: Annotated[int, Number(1, 512, usual=(8, 128))]  # C
    low: Annotated[float, Number(0, 96_000)]  # Hz
    high: Annotated[float, Number(0, 96_000, above=True)]  # Hz
    fft: Annotated[int, Number(16, 65_536)]  # points
    floor: Annotated[float, Number(0, 1, above=True)]  # added to the power of a band
    label_at: Annotated[str, Choice(("stride", "window"))]  # see `label_times`


_BLOCK = 4096  # frames transformed at once: an hour in one file needs little memory


def samples_of(milliseconds: float, features: FeatureParams) -> int:
    """Return a duration as a number of samples, rounded to the nearest integer."""
    return round(milliseconds * features.sample_rate / 1000)


def label_times(count: int, features: FeatureParams) -> NDArray[np.float64]:
    """Return the time at which the label of each frame is read, (count,) in seconds.

    With `features.label_at: stride` it is the middle between the starts of a frame and of the
    next one: aligners that work frame by frame write there the phone of the window. With
    `window` it is the middle of all samples that the frame covers, 7.5 ms later by default:
    right for labels placed by hand.
    """
    stride = samples_of(features.stride, features)
    own = {"stride": stride, "window": samples_of(features.frame_width, features)}
    return (np.arange(count) * stride + own[features.label_at] / 2) / features.sample_rate


def band_corners(features: FeatureParams) -> NDArray[np.float64]:
    """Return the corners of the bands, (C + 2,) in Hz: those of band c are c, c + 1 and c + 2."""
    low, high = 2595 * np.log10(1 + np.array([features.low, features.high]) / 700)
    mels = np.linspace(low, high, features.bands + 2)
    return 700 * (10 ** (mels / 2595) - 1)


@lru_cache(maxsize=8)
def mel_filters(features: FeatureParams) -> NDArray[np.float32]:
    """Return the weight of each frequency in each band, (fft / 2 + 1, C).

    Raises:
        InputError: a band is too narrow to hold a frequency of the spectrum.
    """
    corners = band_corners(features)
    frequencies = np.fft.rfftfreq(features.fft, 1 / features.sample_rate)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    empty = np.flatnonzero(weights.max(axis=0) == 0)
    if len(empty):
        band = empty[0]
        raise InputError(
            f"features.bands is {features.bands}: band {band}, {left[band]:.1f} to "
            f"{right[band]:.1f} Hz, lies between two frequencies of the spectrum and would be "
            f"constant; lower features.bands or raise features.fft from {features.fft}"
        )
    return weights


def log_mel(samples: NDArray[np.floating], features: FeatureParams) -> Frames:
    """Return the natural log of band power plus floor, (T, C), of samples in [-1, 1], (S,).

    Raises:
        InputError: the samples are shorter than one frame.
    """
    width = samples_of(features.frame_width, features)
    stride = samples_of(features.stride, features)
    if len(samples) < width:
        raise InputError(f"{len(samples)} samples are shorter than one frame of {width}")
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)).astype(np.float32)
    filters = mel_filters(features)
    windows = sliding_window_view(samples.astype(np.float32, copy=False), width)[
        ::stride
    ]  # (T, width)
    bands = np.empty((len(windows), features.bands), np.float32)
    for start in range(0, len(windows), _BLOCK):
        block = slice(start, start + _BLOCK)
        spectrum = np.fft.rfft(windows[block] * hann, features.fft)
        power = spectrum.real**2 + spectrum.imag**2  # (block, fft / 2 + 1)
        # einsum, as matrix products round by the number of threads and compete for cores
        np.einsum("tf,fc->tc", power, filters, out=bands[block])
    return np.log(bands + np.float32(features.floor))
