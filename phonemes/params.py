"""All parameters: params.yaml as frozen dataclasses, checked before any work.

Every stage loads all of params.yaml, so that a value that cannot run is refused by
the first stage and not by the last. Each section stands in the module that it
configures, with the limits of its values; here they are put together and compared.
No result depends on this module: it only refuses.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from phonemes.context import DataParams
from phonemes.corpus.params import CorpusParams
from phonemes.decoding.phone_model import SmoothParams
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams
from phonemes.model.params import ModelParams
from phonemes.normalize import NormalizeParams
from phonemes.schema import (
    AutoOr,
    Choice,
    Number,
    Problems,
    build,
    listed,
    read_yaml,
    read_yaml_file,
    unusual,
)
from phonemes.scoring.params import EvaluateParams
from phonemes.training.params import AugmentParams, FitParams, StackingParams, TrainParams


@dataclass(frozen=True)
class PredictParams:
    """How predictions are written."""

    label: Annotated[str, Choice(("auto", "int", "phoneme"))]


@dataclass(frozen=True)
class RuntimeParams:
    """What changes the speed and not the results; no stage depends on it."""

    device: Annotated[str, Choice(("auto", "cpu", "cuda", "mps"))]
    gpus: Annotated[int | Literal["auto"], AutoOr(Number(1, 1024))]
    jobs: Annotated[int, Number(0, 1024)]
    progress: bool


@dataclass(frozen=True)
class Params:
    """All of params.yaml, section by section."""

    corpus: CorpusParams
    features: FeatureParams
    normalize: NormalizeParams
    data: DataParams
    model: ModelParams
    augment: AugmentParams
    train: TrainParams
    stacking: StackingParams
    smooth: SmoothParams
    evaluate: EvaluateParams
    predict: PredictParams
    runtime: RuntimeParams

    @property
    def fit(self) -> FitParams:
        """Return all that decides how a base network is built and trained."""
        return FitParams(self.data, self.model, self.augment, self.train)


def _contradictions(params: Params) -> Problems:
    """Return what no single value shows."""
    return [
        *_features(params.features),
        *_network(params.model, params.train),
        *_stacking(params.stacking, params.train),
        *_corpus(params.corpus),
    ]


def _features(features: FeatureParams) -> Problems:
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
    return problems


def _network(model: ModelParams, train: TrainParams) -> Problems:
    problems = []
    if train.warmup_epochs >= train.epochs:
        problems.append(
            f"train.warmup_epochs is {train.warmup_epochs:g}; expected less than train.epochs, "
            f"{train.epochs}"
        )
    if model.norm == "batch" and train.batch_size < 2:
        problems.append(
            "train.batch_size is 1; batch normalization needs at least 2 frames: raise it or set "
            "model.norm to layer or none"
        )
    if model.residual and (len({*model.hidden}) > 1 or len(model.hidden) % 2 == 0):
        problems.append(
            f"model.hidden is {[*model.hidden]}; with model.residual expected an odd number of "
            "equal widths, a first block and pairs"
        )
    if model.residual and model.norm_position == "after":
        problems.append("model.norm_position is after; with model.residual expected before")
    return problems


def _stacking(stacking: StackingParams, train: TrainParams) -> Problems:
    problems = []
    if stacking.folds == 1:
        problems.append("stacking.folds is 1; expected 0, which is off, or at least 2")
    if stacking.folds and train.warmup_epochs >= stacking.epochs:
        problems.append(
            f"train.warmup_epochs is {train.warmup_epochs:g}; expected less than stacking.epochs, "
            f"{stacking.epochs}"
        )
    return problems


def _corpus(corpus: CorpusParams) -> Problems:
    problems, audio = [], corpus.audio
    if audio.dev_share + audio.test_share >= 1:
        problems.append(
            f"corpus.audio.dev_share + test_share is {audio.dev_share + audio.test_share:g}; "
            "expected less than 1, which leaves speakers for the training set"
        )
    if audio.split == "list" and not audio.speakers and corpus.source == "audio":
        problems.append(
            "corpus.audio.speakers is empty; corpus.audio.split: list needs a CSV with the "
            "columns speaker,split"
        )
    if audio.transcripts == "align" and audio.phonemes == "timit" and corpus.source == "audio":
        problems.append(
            "corpus.audio.phonemes is timit; with corpus.audio.transcripts: align expected "
            "arpabet-stress or arpabet-plain, as the words are looked up in ARPAbet"
        )
    return problems


def parse(text: str, name: str = "params.yaml") -> Params:
    """Return the parameters of a YAML text.

    Raises:
        InputError: one message that lists every problem with key, value and what is allowed.
    """
    return checked(read_yaml(text, name), name)


def load(path: Path = Path("params.yaml")) -> Params:
    """Return the checked parameters of a file; see `parse`."""
    return checked(read_yaml_file(path), str(path))


def checked(values: object, name: str) -> Params:
    """Return the parameters of nested mappings, as YAML has them; see `parse`."""
    params, problems = build(Params, values)
    if params is not None:
        problems = _contradictions(params)
    if params is None or problems:
        raise InputError(listed(problems, name))
    return params


def warnings(params: Params, *sections: str) -> list[str]:
    """Return a line for what is allowed in some sections and hardly meant."""
    lines = [line for name in sections for line in unusual(getattr(params, name), name)]
    return lines + (_unlearnable(params.train) if "train" in sections else [])


def _unlearnable(train: TrainParams) -> list[str]:
    """Return a warning of values that together keep a network from learning the labels."""
    if train.class_weights != "balanced" or not train.label_smoothing:
        return []
    return [
        f"train.class_weights is balanced and train.label_smoothing {train.label_smoothing:g}: "
        "rare phonemes weigh so much in the smoothed share that labels hardly count; set "
        "train.label_smoothing to 0, or train.class_weights to sqrt"
    ]
