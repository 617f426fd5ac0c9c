"""The model that `phonemes transcribe` has for English; MODEL_CARD.md says what it is."""

from importlib.resources import files
from pathlib import Path

PATH = Path(str(files("phonemes.english"))) / "model.safetensors"
