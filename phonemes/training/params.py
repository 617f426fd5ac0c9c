"""The sections `augment`, `train` and `stacking` of params.yaml."""

from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

from phonemes.context import DataParams
from phonemes.model.params import Dropout, ModelParams, Widths
from phonemes.schema import Choice, Number, Seed


@dataclass(frozen=True)
class AugmentParams:
    """How each window is distorted while training; 0 is off."""

    mel_scale: Annotated[float, Number(0, 0.9, usual=(0, 0.3))]
    mel_shift: Annotated[float, Number(0, 100, usual=(0, 5))]
    time_warp: Annotated[float, Number(0, 0.9, usual=(0, 0.5))]
    gain: Annotated[float, Number(0, 10, usual=(0, 1))]
    spectral_tilt: Annotated[float, Number(0, 10, usual=(0, 1))]
    noise: Annotated[float, Number(0, 10, usual=(0, 1))]
    time_masks: Annotated[int, Number(0, 10, usual=(0, 5))]
    time_mask_width: Annotated[int, Number(1, 2001)]
    band_masks: Annotated[int, Number(0, 10, usual=(0, 5))]
    band_mask_width: Annotated[int, Number(1, 1000)]
    equalizer: Annotated[float, Number(0, 10, usual=(0, 1))]
    background: Annotated[float, Number(0, 1)]

    def any(self) -> bool:
        """Return whether anything is on."""
        widths = {"time_mask_width": 1, "band_mask_width": 1}
        return replace(self, **widths) != UNDISTORTED


UNDISTORTED = AugmentParams(
    mel_scale=0.0, mel_shift=0.0, time_warp=0.0, gain=0.0, spectral_tilt=0.0, noise=0.0,
    time_masks=0, time_mask_width=1, band_masks=0, band_mask_width=1, equalizer=0.0,
    background=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class TrainParams:
    """How networks are trained."""

    optimizer: Annotated[str, Choice(("sgd", "adam", "adamw"))]
    lr: Annotated[float, Number(0, 100, above=True, usual=(1e-5, 1e-1))]
    momentum: Annotated[float, Number(0, 0.999)]
    weight_decay: Annotated[float, Number(0, 10, usual=(0, 0.3))]
    schedule: Annotated[
        str, Choice(("constant", "step", "exponential", "plateau", "cosine", "onecycle"))
    ]
    lr_decay: Annotated[float, Number(0, 1, above=True)]
    lr_decay_epochs: Annotated[int, Number(1, 10_000)]
    plateau_patience: Annotated[int, Number(0, 10_000)]
    warmup_epochs: Annotated[float, Number(0, 10_000)]
    epochs: Annotated[int, Number(1, 10_000, usual=(1, 200))]
    batch_size: Annotated[int, Number(1, 4_194_304, usual=(32, 65_536))]
    label_smoothing: Annotated[float, Number(0, 0.99, usual=(0, 0.3))]
    class_weights: Annotated[str, Choice(("none", "balanced", "sqrt"))]
    clip_norm: Annotated[float, Number(0, 1_000_000_000)]
    early_stopping_patience: Annotated[int, Number(0, 10_000)]
    kernels: Annotated[str, Choice(("auto", "triton", "torch"))]
    batches: Annotated[str, Choice(("auto", "resident", "streamed"))]
    seed: Seed


@dataclass(frozen=True)
class StackingParams:
    """Stacked networks, over the posteriors of base networks."""

    folds: Annotated[int, Number(0, 100, usual=(0, 10))]
    networks: Annotated[int, Number(1, 100, usual=(1, 20))]
    context: Annotated[int, Number(0, 1000, usual=(0, 60))]
    hidden: Widths
    dropout: Dropout
    epochs: Annotated[int, Number(1, 10_000, usual=(1, 200))]


class FitParams(NamedTuple):
    """All that decides how one network is built and trained."""

    data: DataParams
    model: ModelParams
    augment: AugmentParams
    train: TrainParams
