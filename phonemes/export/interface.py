"""What goes into an exported model and comes out, and what it was made for."""

from typing import NamedTuple, TypeVar

from phonemes.context import DataParams
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams
from phonemes.model.purpose import Purpose
from phonemes.normalize import Normalization
from phonemes.schema import build

Section = TypeVar("Section")

# inputs: one of the first two, and lengths (B,) int64, of each utterance's samples or frames
SAMPLES = "samples"  # (B, S) float32
FRAMES = "frames"  # (B, F, C) float32
LENGTHS = "lengths"
# outputs
POSTERIORS = "log_posteriors"  # (B, T, P) float32, T of the longest; 0 beyond an utterance
COUNTS = "frame_counts"  # (B,) int64


class Made(NamedTuple):
    """What a model was made for, in the types of the code that it configures."""

    normalize: Normalization
    data: DataParams
    features: FeatureParams | None  # None where frames were given


def made_for(purpose: Purpose) -> Made:
    """Return the sections of a purpose.

    Raises:
        InputError: a section lacks a value, or has one that nothing could be done with.
    """
    data = {"k": purpose.k, "padding": purpose.padding}
    given = purpose.features
    return Made(
        _section(Normalization, purpose.normalization, "normalize"),
        _section(DataParams, data, "data"),
        None if given is None else _section(FeatureParams, given, "features"),
    )


def _section(kind: type[Section], values: object, name: str) -> Section:
    section, problems = build(kind, values, name)
    if section is None:
        raise InputError(f"the model cannot be exported: its {problems[0]}")
    return section
