"""Read recordings and bring them to one sample rate.

The channels of a recording are averaged; other sample rates are resampled with soxr at
high quality.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError

_RATES = range(1000, 400_001)  # Hz; any other rate in a header means that it is damaged


class Sound(NamedTuple):
    """A recording's samples."""

    samples: NDArray[np.float32]  # (S,), in [-1, 1]
    rate: int  # Hz


def read_sound(path: Path) -> Sound:
    """Read a recording, averaged over its channels, at its own sample rate.

    Raises:
        InputError: it cannot be read, or its header or samples are damaged.
    """
    import soundfile

    if not path.is_file():  # a pipe would never end
        raise InputError(f"cannot read {path}: it is not a file; put the recording in its place")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)  # (S, channels)
    except (OSError, ValueError, MemoryError, soundfile.SoundFileError) as error:
        raise InputError(
            f"cannot read {path}: {error}; expected whole wav, flac or uncompressed NIST sphere"
        ) from None
    if rate not in _RATES:
        raise InputError(f"{path} claims {rate} samples a second; is it damaged?")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are no finite numbers; write it again")
    return Sound(samples.mean(axis=1), rate)


def resample(sound: Sound, rate: int) -> NDArray[np.float32]:
    """Return the samples at `rate` Hz, (S,)."""
    import soxr

    if sound.rate == rate:
        return sound.samples
    return soxr.resample(sound.samples, sound.rate, rate, quality="HQ")
