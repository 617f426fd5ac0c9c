"""A trained model that labels recordings: from samples to posteriors, as the pipeline does it.

U recordings or blocks of one, S samples, T frames, C mel bands, P phonemes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from phonemes.context import DataParams, window_starts
from phonemes.decoding.phone_model import PhoneModel, SmoothParams, phone_model
from phonemes.decoding.smoothing import Smoothing
from phonemes.english import PATH as ENGLISH_PATH
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams, band_corners, label_times, samples_of
from phonemes.inference.device import Compute, choose_compute
from phonemes.inference.stacked import log_posteriors
from phonemes.inference.windows import to_device
from phonemes.model.purpose import Purpose
from phonemes.model.store import Model, load_model
from phonemes.normalize import Normalization, Statistics, normalized, split_statistics
from phonemes.schema import build
from phonemes.storage.layout import MODEL, Frames, HostSplit

ENGLISH = "english"  # the model that comes with the package
MOST_WORKERS = 4  # each of them needs memory for its own batch
# chosen on dev of real speech, for networks that are not stacked and for phone trigrams
SMOOTH = SmoothParams(lm_scale=1, duration_scale=0.5, acoustic_scale=0.5, prior_scale=0.2)


@dataclass(frozen=True)
class Recognizer:
    """A model that is ready to label recordings."""

    name: str  # for people: "english" or the path of the model file
    model: Model
    purpose: Purpose
    features: FeatureParams  # of the frames that it takes
    normalize: Normalization  # how it takes them
    data: DataParams  # in which windows
    phones: PhoneModel  # of its training set
    compute: Compute

    @property
    def phonemes(self) -> tuple[str, ...]:
        """Return the P phonemes in label order."""
        return self.purpose.phonemes

    @property
    def rate(self) -> int:
        """Return the sample rate that it takes, in Hz."""
        return self.features.sample_rate

    @property
    def stride(self) -> float:
        """Return the s from one frame to the next."""
        return samples_of(self.features.stride, self.features) / self.rate

    @property
    def start(self) -> float:
        """Return where the time that the first frame stands for begins, in s."""
        return float(label_times(1, self.features)[0]) - self.stride / 2

    @property
    def bands(self) -> tuple[float, ...]:
        """Return the centres of the bands, (C,), in Hz."""
        return tuple(band_corners(self.features)[1:-1].tolist())

    @property
    def workers(self) -> int:
        """Return how many batches of blocks are best labelled side by side on the device."""
        on_cpu = self.compute.device.type == "cpu"
        return min(MOST_WORKERS, torch.get_num_threads()) if on_cpu else 1

    def log_posteriors(self, frames: Sequence[Frames]) -> list[NDArray[np.float32]]:
        """Return the log posteriors of each frame, (T, P) a recording, not smoothed.

        Args:
            frames: log-mel frames of each recording, (T, C), not normalized.
        """
        lengths = np.array([len(each) for each in frames])
        together = np.concatenate([*frames])
        how, data = self.normalize, self.data
        one = how.over in ("corpus", "none")  # else each recording is a group of its own
        groups = np.zeros(len(lengths), int) if one else np.arange(len(lengths))
        training_set = Statistics(*self.purpose.statistics.numpy()[:, None])
        given, _ = split_statistics(together, lengths, groups, how, training_set)
        parts = normalized(together, lengths, groups, given, variance=how.variance)
        starts = window_starts(lengths, data.k, data.padding)
        split = to_device(HostSplit(np.concatenate([*parts]), starts, None), data, *self.compute)
        found = log_posteriors(self.model, split, lengths, self.compute.dtype)
        return np.split(found.cpu().numpy(), np.cumsum(lengths)[:-1])

    def smoothed(
        self, posteriors: Sequence[NDArray[np.float32]], smooth: SmoothParams = SMOOTH
    ) -> list[NDArray[np.float32]]:
        """Return log posteriors smoothed over time by the training set's phones, (T, P) each."""
        lengths = np.array([len(each) for each in posteriors])
        together = torch.from_numpy(np.concatenate([*posteriors])).to(self.compute.device)
        with torch.inference_mode():
            found = Smoothing(self.phones, smooth).applied(together, lengths)
        return np.split(found.cpu().numpy(), np.cumsum(lengths)[:-1])


class Choice(NamedTuple):
    """Which model labels recordings, and why."""

    name: str  # ENGLISH, or the path of a model file
    why: str


def choose_model(asked_for: str | None) -> Choice:
    """Return the model that is asked for, else that of the project here, else `english`.

    The project's model is taken where it was trained on recordings: with generated speech it
    knows synthetic voices only, and from arrays nobody knows how to compute its frames.

    Raises:
        InputError: the project's model is damaged.
    """
    if asked_for:
        return Choice(asked_for, "as asked for")
    if not MODEL.exists():
        return Choice(ENGLISH, "comes with the package; no network was trained here")
    try:
        source = load_model(MODEL, torch.device("cpu")).purpose.source
    except InputError as error:
        raise InputError(f"{error}, or take --model {ENGLISH}") from None
    if source == "audio":
        return Choice(str(MODEL), "trained here on recordings")
    what = {"synthetic": "generated speech", "arrays": "frames that were given"}.get(source, source)
    return Choice(ENGLISH, f"{MODEL} was trained on {what}")


def open_recognizer(model: str = ENGLISH, device: str = "auto") -> Recognizer:
    """Load a model to label recordings with.

    Args:
        model: "english", or the path of a model file.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: there is no such model, it is damaged, it takes frames that nobody knows how
            to compute, or the device is not there.
    """
    path = ENGLISH_PATH if model == ENGLISH else Path(model)
    if not path.is_file():
        raise InputError(
            f"there is no model {path}; give the path of a model.safetensors, or `{ENGLISH}`, "
            "which comes with the package"
        )
    compute = choose_compute(device, "auto")
    bundle = load_model(path, compute.device)
    purpose = bundle.purpose
    if purpose.features is None:
        raise InputError(
            f"{path} was trained on frames that were given as arrays: how to compute them from "
            f"sound is not known; train with corpus.source audio, or take --model {ENGLISH}"
        )
    sections: dict[type, tuple[str, object]] = {
        FeatureParams: ("features", purpose.features),
        Normalization: ("normalize", purpose.normalization),
        DataParams: ("data", {"k": purpose.k, "padding": purpose.padding}),
    }
    built: list[Any] = []
    for section, (name, values) in sections.items():
        found, problems = build(section, values, name)
        if found is None:
            raise InputError(f"{path} cannot label recordings: {problems[0]}")
        built.append(found)
    features, normalize, data = built
    phones = phone_model(bundle.phones)
    return Recognizer(model, bundle.model, purpose, features, normalize, data, phones, compute)
