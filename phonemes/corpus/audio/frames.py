"""Frames of a recording; one without a signal is refused, as each of its frames would be alike."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams, log_mel
from phonemes.features.sound import Sound, resample
from phonemes.storage.layout import Frames

_QUIET = 0.01  # of full scale; what stays within this range may be nothing but an offset


def frames_of(sound: Sound, features: FeatureParams, path: Path) -> Frames:
    """Return the log-mel frames of a recording, (T, C).

    Args:
        sound: of the recording.
        features: of the frames.
        path: of the recording, for messages.

    Raises:
        InputError: the recording is shorter than a frame, or has no signal above features.floor.
    """
    try:
        frames = log_mel(resample(sound, features.sample_rate), features)
    except InputError as error:
        raise InputError(f"{path}: {error}; drop the recording") from None
    lowest, highest = sound.samples.min(), sound.samples.max()
    if lowest == highest:
        raise InputError(
            f"{path} has no signal: all its samples are {lowest:g}; check how it was made, or "
            "drop the recording"
        )
    resolved = _resolved(frames, features)
    if resolved and highest - lowest < _QUIET:  # an offset alone is resolved too
        varying = Sound(sound.samples - sound.samples.mean(), sound.rate)
        resolved = _resolved(log_mel(resample(varying, features.sample_rate), features), features)
    if not resolved:
        raise InputError(
            f"{path} has no signal: its samples span {highest - lowest:.1e} of full scale, 2, and "
            f"in no frame does a band reach features.floor, {features.floor:g}; were 16-bit values "
            "written as 32-bit integers? Write it at its full level, lower features.floor, or "
            "drop the recording"
        )
    return frames


def _resolved(frames: NDArray[np.float32], features: FeatureParams) -> bool:
    """Return whether the power of a band is above the floor that was added to it, anywhere."""
    return bool(frames.max() > np.log(2 * features.floor))
