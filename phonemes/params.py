"""The pipeline's parameters: params.yaml as frozen dataclasses, checked whole before any work.

Every stage loads all of params.yaml, so that a value that cannot run is refused by
the first stage and not by the last. What each value means, its unit and sane range
stand beside it in params.yaml; here stand the limits.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml

from phonemes.errors import InputError
from phonemes.schema import Choice, Items, Loader, Number, Problems, Text, build

Seed = Annotated[int, Number(0, 2**31 - 1)]
Share = Annotated[float, Number(0, 1)]


@dataclass(frozen=True)
class Synthetic:
    """Generated speech: the default corpus."""

    minutes: Annotated[float, Number(0, 100_000, above=True)]
    seed: Seed


@dataclass(frozen=True)
class Audio:
    """Recordings with alignments."""

    layout: Annotated[str, Choice(("textgrid", "librispeech", "timit", "arctic"))]
    alignments: Annotated[str, Text(empty="beside the audio")]
    tier: Annotated[str, Text()]
    phonemes: Annotated[str, Choice(("arpabet-stress", "arpabet-plain", "timit"))]
    speaker: Annotated[str, Text()]
    split: Annotated[str, Choice(("folder", "list", "share"))]
    speakers: Annotated[str, Text(empty="no list")]
    dev_share: Share
    test_share: Share
    seed: Seed


@dataclass(frozen=True)
class Corpus:
    """Where the utterances come from."""

    source: Annotated[str, Choice(("synthetic", "arrays", "audio"))]
    path: Annotated[str, Text()]
    allow_shared_speakers: bool
    synthetic: Synthetic
    audio: Audio


@dataclass(frozen=True)
class Features:
    """How log-mel frames are computed from samples."""

    sample_rate: Annotated[int, Number(1000, 192_000)]
    frame_width: Annotated[float, Number(1, 1000)]
    stride: Annotated[float, Number(1, 1000)]
    bands: Annotated[int, Number(1, 512)]
    low: Annotated[float, Number(0, 96_000)]
    high: Annotated[float, Number(0, 96_000, above=True)]
    fft: Annotated[int, Number(16, 65_536)]
    floor: Annotated[float, Number(0, 1, above=True)]
    label_at: Annotated[str, Choice(("stride", "window"))]


@dataclass(frozen=True)
class Normalize:
    """Cepstral mean and variance normalization."""

    over: Annotated[str, Choice(("utterance", "speaker", "corpus", "none"))]
    variance: bool
    prior: Annotated[float, Number(0, 1e9)]


@dataclass(frozen=True)
class Data:
    """The context window."""

    k: Annotated[int, Number(0, 1000)]
    padding: Annotated[str, Choice(("zero", "edge"))]


@dataclass(frozen=True)
class Augment:
    """How each window is distorted while training; 0 is off."""

    mel_scale: Annotated[float, Number(0, 0.9)]
    mel_shift: Annotated[float, Number(0, 100)]
    speed: Annotated[float, Number(0, 0.9)]
    gain: Annotated[float, Number(0, 10)]
    tilt: Annotated[float, Number(0, 10)]
    noise: Annotated[float, Number(0, 10)]
    time_masks: Annotated[int, Number(0, 10)]
    time_mask: Annotated[int, Number(1, 2001)]
    band_masks: Annotated[int, Number(0, 10)]
    band_mask: Annotated[int, Number(1, 1000)]

    def any(self) -> bool:
        """Tell whether anything is on."""
        return any(
            (
                self.speed, self.mel_scale, self.mel_shift, self.gain, self.tilt, self.noise,
                self.time_masks, self.band_masks,
            )
        )  # fmt: skip


UNDISTORTED = Augment(
    mel_scale=0.0, mel_shift=0.0, speed=0.0, gain=0.0, tilt=0.0, noise=0.0,
    time_masks=0, time_mask=1, band_masks=0, band_mask=1,
)  # fmt: skip


@dataclass(frozen=True)
class Train:
    """The network and how it is trained."""

    whole: Annotated[int, Number(0, 1000)]
    neighbours: Annotated[int, Number(0, 1000)]
    hidden: Annotated[tuple[int, ...], Items(2, 12, Number(1, 65_536))]
    activation: Annotated[str, Choice(("relu", "gelu", "silu", "leaky_relu", "elu", "tanh"))]
    normalization: Annotated[str, Choice(("batch", "layer", "none"))]
    normalize: Annotated[str, Choice(("before", "after"))]
    dropout: Annotated[float, Number(0, 0.95)]
    residual: bool
    initialization: Annotated[str, Choice(("default", "kaiming", "xavier", "orthogonal"))]
    optimizer: Annotated[str, Choice(("sgd", "adam", "adamw"))]
    lr: Annotated[float, Number(0, 100, above=True)]
    momentum: Annotated[float, Number(0, 0.999)]
    weight_decay: Annotated[float, Number(0, 10)]
    schedule: Annotated[
        str, Choice(("constant", "step", "exponential", "plateau", "cosine", "onecycle"))
    ]
    gamma: Annotated[float, Number(0, 1, above=True)]
    step_epochs: Annotated[int, Number(1, 10_000)]
    patience: Annotated[int, Number(0, 10_000)]
    warmup_epochs: Annotated[float, Number(0, 10_000)]
    epochs: Annotated[int, Number(1, 10_000)]
    batch_size: Annotated[int, Number(1, 4_194_304)]
    label_smoothing: Annotated[float, Number(0, 0.99)]
    class_weights: Annotated[str, Choice(("none", "balanced", "sqrt"))]
    clip_norm: Annotated[float, Number(0, 1e9)]
    early_stopping: Annotated[int, Number(0, 10_000)]
    precision: Annotated[str, Choice(("auto", "fp32", "bf16"))]
    shuffle: Annotated[str, Choice(("auto", "full", "blocks"))]
    fused: Annotated[str, Choice(("auto", "always", "never"))]
    augment: Augment
    seed: Seed


@dataclass(frozen=True)
class Refine:
    """Second networks, over what first ones make of utterances that they never saw."""

    folds: Annotated[int, Number(0, 100)]
    members: Annotated[int, Number(1, 100)]
    k: Annotated[int, Number(0, 1000)]
    hidden: Annotated[tuple[int, ...], Items(2, 12, Number(1, 65_536))]
    dropout: Annotated[float, Number(0, 0.95)]
    epochs: Annotated[int, Number(1, 10_000)]


@dataclass(frozen=True)
class Smooth:
    """How posteriors are smoothed over time, and divided by phonemes' frequencies before."""

    sequence: Annotated[float, Number(0, 10)]
    length: Annotated[float, Number(0, 10)]
    frame: Annotated[float, Number(0, 10, above=True)]
    prior: Annotated[float, Number(0, 10)]


@dataclass(frozen=True)
class Evaluate:
    """How scores and their intervals are computed."""

    resamples: Annotated[int, Number(100, 100_000)]
    pairs: Annotated[int, Number(1, 1000)]
    seed: Seed


@dataclass(frozen=True)
class Predict:
    """How predictions are written."""

    label: Annotated[str, Choice(("int", "phoneme"))]


@dataclass(frozen=True)
class Runtime:
    """What changes the speed and not the results; no stage depends on it."""

    device: Annotated[str, Choice(("auto", "cpu", "cuda", "mps"))]
    jobs: Annotated[int, Number(0, 1024)]
    batch_size: Annotated[int, Number(1, 4_194_304)]
    progress: bool


@dataclass(frozen=True)
class Params:
    """All of params.yaml, section by section."""

    corpus: Corpus
    features: Features
    normalize: Normalize
    data: Data
    train: Train
    refine: Refine
    smooth: Smooth
    evaluate: Evaluate
    predict: Predict
    runtime: Runtime


def _contradictions(params: Params) -> Problems:
    """Return what no single value shows."""
    features, train, audio = params.features, params.train, params.corpus.audio
    refine = params.refine
    problems = []
    if features.high > features.sample_rate / 2:
        problems.append(
            f"features.high is {features.high:g} Hz; expected at most half of "
            f"features.sample_rate, {features.sample_rate / 2:g}"
        )
    if features.low >= features.high:
        problems.append(
            f"features.low is {features.low:g} Hz; expected less than features.high, "
            f"{features.high:g}"
        )
    samples = round(features.frame_width * features.sample_rate / 1000)
    if features.fft < samples:
        problems.append(
            f"features.fft is {features.fft}; expected at least the {samples} samples of a frame"
        )
    if train.warmup_epochs >= train.epochs:
        problems.append(
            f"train.warmup_epochs is {train.warmup_epochs:g}; expected less than train.epochs, "
            f"{train.epochs}"
        )
    if train.normalization == "batch" and train.batch_size < 2:
        problems.append(
            "train.batch_size is 1; batch normalization needs at least 2 frames: raise it or set "
            "train.normalization to layer or none"
        )
    if train.residual and (len({*train.hidden}) > 1 or len(train.hidden) % 2 == 0):
        problems.append(
            f"train.hidden is {[*train.hidden]}; with train.residual expected an odd number of "
            "equal widths, a first block and pairs"
        )
    if train.residual and train.normalize == "after":
        problems.append("train.normalize is after; with train.residual expected before")
    if refine.folds == 1:
        problems.append("refine.folds is 1; expected 0, which is off, or at least 2")
    if refine.folds and train.warmup_epochs >= refine.epochs:
        problems.append(
            f"train.warmup_epochs is {train.warmup_epochs:g}; expected less than refine.epochs, "
            f"{refine.epochs}"
        )
    if audio.dev_share + audio.test_share >= 1:
        problems.append(
            f"corpus.audio.dev_share + test_share is {audio.dev_share + audio.test_share:g}; "
            "expected less than 1, which leaves speakers for train"
        )
    if audio.split == "list" and not audio.speakers and params.corpus.source == "audio":
        problems.append(
            "corpus.audio.speakers is empty; corpus.audio.split: list needs a CSV with the "
            "columns speaker,split"
        )
    return problems


def parse(text: str, name: str = "params.yaml") -> Params:
    """Return the parameters of a YAML text.

    Raises:
        InputError: one message that lists every problem with key, value and what is allowed.
    """
    try:
        values = yaml.load(text, Loader)
    except Exception as error:  # PyYAML lets KeyError and others through where a tag does not fit
        raise InputError(f"{name} is not YAML: {error}") from None
    params, problems = build(Params, values)
    if params is not None:
        problems = _contradictions(params)
    if params is None or problems:
        heading = f"{name} has {len(problems)} problem" + "s" * (len(problems) > 1)
        raise InputError("\n  ".join([heading + ":", *problems]))
    return params


def load(path: Path = Path("params.yaml")) -> Params:
    """Return the checked parameters of a file; see `parse`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    return parse(text, str(path))
