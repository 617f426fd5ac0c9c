"""Read recordings and bring them to one sample rate.

The channels of a recording are averaged; other sample rates are resampled with soxr at
high quality.
"""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError, raise_true_cause
from phonemes.features.containers import missing_bytes

RATES = range(1000, 400_001)  # Hz; any other rate in a header means that it is damaged
# of libsndfile; of others, some lossy, nothing says whether a file is whole
_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST", "FLAC")
_CANCELLED = 0.1  # of the level that independent channels have when averaged
# bytes of samples that a file of any size may hold, and for each of its own: sound becomes
# up to 20 times as large, but silence of FLAC 18,000 times
_SMALL, _EXPANSION = 2**28, 64
_UNDECLARED = 2**60  # samples; libsndfile takes the largest number for an unknown one
_LOUDEST = 8.0  # full scale is 1: floats of a file beyond are no sound, or integers


def require_libraries(what: str) -> None:
    """Refuse to go on where the libraries for recordings are not installed.

    Args:
        what: needs them, for the message.

    Raises:
        InputError: names the one that is missing, and how to install it.
    """
    for library in ("soundfile", "soxr"):
        try:
            import_module(library)
        except (ImportError, OSError) as error:  # OSError: the shared library is missing
            raise InputError(
                f"{what} needs {library} ({error}); run `pip install 'phonemes[audio]'`, in a "
                "checkout `pip install -e '.[audio]'`"
            ) from None


class Sound(NamedTuple):
    """A recording's samples."""

    samples: NDArray[np.float32]  # (S,), in [-1, 1]
    rate: int  # Hz


def read_sound(path: Path) -> Sound:
    """Read a recording, averaged over its channels, at its own sample rate.

    Raises:
        InputError: it cannot be read, its header or samples are damaged, it is cut short, or
            its channels cancel each other; or the machine lacks what reading takes, as memory
            for as many samples as the header claims.
    """
    import soundfile

    if not path.is_file():  # a pipe would never end
        raise InputError(f"cannot read {path}: it is not a file; put the recording in its place")
    try:
        with soundfile.SoundFile(path) as file:
            rate, declared, kind = file.samplerate, file.frames, file.format
            refuse_undeclared(declared, path)
            _refuse_content(path, kind, 4 * declared * file.channels)
            samples = file.read(dtype="float32", always_2d=True)  # (S, channels)
        missing = missing_bytes(path)
    except InputError:
        raise
    except (OSError, ValueError, MemoryError, soundfile.SoundFileError) as error:
        raise_true_cause(_system_error(path) or error, path)
        raise InputError(
            f"cannot read {path}: {error}; expected whole wav, flac or uncompressed NIST sphere"
        ) from None
    if missing or len(samples) < declared:
        raise InputError(
            f"{path} is cut short: its header declares more sound than the {len(samples)} samples "
            "that are there; copy or download it again"
        )
    if rate not in RATES:
        raise InputError(f"{path} claims {rate} samples a second; is it damaged?")
    return Sound(_averaged(samples, path), rate)


def _averaged(samples: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Return the mean over the channels, (S,), of samples, (S, channels), that can be sound."""
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are no finite numbers; write it again")
    refuse_integers(samples, path)
    mean = samples.mean(axis=1)  # (S,)
    if len(mean) and cancel(samples.std(0, dtype=np.float64), mean.std(dtype=np.float64)):
        raise InputError(
            f"{path}: its {samples.shape[1]} channels cancel each other when they are averaged; "
            "one has its polarity reversed: invert it, or keep one channel"
        )
    return mean


def refuse_undeclared(frames: int, path: Path) -> None:
    """Refuse a file that does not declare its length, which libsndfile cannot read to the end.

    Raises:
        InputError: `frames`, as libsndfile says it, is none.
    """
    if frames > _UNDECLARED:
        raise InputError(
            f"{path} does not declare how much sound it holds, as FLAC that was written to a "
            "pipe; write it to a file, as with `ffmpeg -i OLD.flac NEW.flac`, or as wav"
        )


def refuse_integers(samples: NDArray[np.float32], path: Path) -> None:
    """Refuse samples, of any shape, that are integers written as floats.

    Raises:
        InputError: they are far beyond full scale.
    """
    loudest = max(samples.max(initial=0.0), -samples.min(initial=0.0))
    if loudest > _LOUDEST:
        raise InputError(
            f"{path} reaches {loudest:g}, where full scale is 1; were 16-bit values written as "
            "floats? Divide them by 32,768"
        )


def _refuse_content(path: Path, kind: str, size: int) -> None:
    """Refuse a format that does not tell whether a file is whole, and absurd amounts of sound.

    Args:
        path: of the file.
        kind: its format, as libsndfile names it.
        size: bytes of the samples that it declares.
    """
    if kind not in _FORMATS:
        raise InputError(f"{path} is {kind} by its content; convert it to wav or flac")
    if size > max(_SMALL, _EXPANSION * path.stat().st_size):
        raise InputError(
            f"{path}: its header declares {size / 2**30:,.1f} GiB of samples, but it has "
            f"{path.stat().st_size / 2**20:,.1f} MiB; it is damaged, or hardly holds any sound"
        )


def cancel(levels: NDArray[np.float64], of_mean: float) -> bool:
    """Return whether channels cancel each other: they are much louder than their mean can be.

    Args:
        levels: (channels,) standard deviation of each.
        of_mean: standard deviation of their mean.
    """
    independent = np.sqrt(np.square(levels).sum()) / len(levels)  # the mean's, if unrelated
    return len(levels) > 1 and bool(of_mean < _CANCELLED * independent)


def _system_error(path: Path) -> OSError | None:
    """Return why the system does not let a file be read, of which libsndfile does not say."""
    try:
        with path.open("rb") as file:
            while file.read(2**20):
                pass
    except OSError as error:
        return error
    return None


def resample(sound: Sound, rate: int) -> NDArray[np.float32]:
    """Return the samples at `rate` Hz, (S,)."""
    import soxr

    if sound.rate == rate:
        return sound.samples
    return soxr.resample(sound.samples, sound.rate, rate, quality="HQ")
