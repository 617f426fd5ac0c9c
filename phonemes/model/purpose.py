"""What a model was made for: the data whose frames it can label.

Frames of other phonemes, windows, features or normalization may have the sizes that the
networks take, and their labels would be wrong without a sign of it. So a model carries what
it was made for, and is refused where the data in front of it are others. The same is what
somebody needs to label recordings with the model alone.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from phonemes.context import DataParams
from phonemes.errors import MADE_ANEW, InputError
from phonemes.storage.layout import CORPUS, DESCRIPTION, MODEL, NORMALIZATION, STATISTICS, Spelling
from phonemes.storage.read import (
    read_array,
    read_description,
    read_phonemes,
    read_spelling,
)


class Purpose(NamedTuple):
    """The data that a model can label."""

    phonemes: tuple[str, ...]  # (P,) in label order
    spelling: Spelling  # how the user's data write them
    bands: int  # C
    k: int  # frames on each side in a window
    padding: str  # of windows, beyond an utterance
    normalization: dict[str, Any]  # the section `normalize`
    statistics: Tensor  # (2, C) float64 mean and deviation of the training set
    source: str  # of the utterances: synthetic, arrays or audio
    features: dict[str, Any] | None  # the section `features`; None where frames were given


def read_purpose(data: DataParams, bands: int) -> Purpose:
    """Return what the data of the pipeline are, as the stages before training describe them.

    Args:
        data: how windows are made.
        bands: C of the normalized frames.

    Raises:
        InputError: a file is missing, damaged or of another corpus.
    """
    phonemes = read_phonemes(CORPUS)
    source, features = _origin()
    statistics = read_array(STATISTICS)
    if statistics.ndim != 2 or statistics.shape[1] != bands or statistics.dtype.kind != "f":
        raise InputError(
            f"{STATISTICS} holds {statistics.dtype} of shape {statistics.shape}; expected floats "
            f"of shape (2, {bands}), as the frames have; delete data/normalized and run `dvc repro`"
        )
    normalization = read_description(NORMALIZATION)
    return Purpose(
        phonemes,
        read_spelling(CORPUS, len(phonemes)),
        bands,
        data.k,
        data.padding,
        normalization,
        torch.tensor(statistics, dtype=torch.float64),
        source,
        features,
    )


def _origin() -> tuple[str, dict[str, Any] | None]:
    """Return the source of the utterances, and the section `features` of computed frames."""
    values = read_description(DESCRIPTION)
    source, features = values.get("source"), values.get("features")
    if not isinstance(source, str) or not isinstance(features, dict | None):
        raise InputError(f"{DESCRIPTION} is damaged (no source or features); {MADE_ANEW}")
    return source, features


def require_purpose(made: Purpose, here: Purpose) -> None:
    """Refuse a model in front of data that it was not made for.

    How the data spell phonemes is no matter, since labels are numbers.

    Args:
        made: what the model was made for.
        here: what the data are, from `read_purpose`.

    Raises:
        InputError: says the first thing that differs, as it is in the model and in the data.
    """
    for what, of_model, of_data in _facts(made, here):
        if of_model != of_data:
            raise InputError(
                f"{MODEL} was made for other data: {what} {of_model} there and {of_data} here; "
                "run `dvc repro` to train a model for these data"
            )
    if _statistics_count(here) and not torch.equal(made.statistics, here.statistics):
        raise InputError(
            f"{MODEL} was made for other data: its training set had other means and deviations "
            "than those by which the frames here are normalized; run `dvc repro` to train a model "
            "for these data"
        )


def _facts(made: Purpose, here: Purpose) -> list[tuple[str, object, object]]:
    """Return what is compared: its name, and its value in the model and in the data."""
    facts: list[tuple[str, object, object]] = [
        ("the number of phonemes is", len(made.phonemes), len(here.phonemes)),
        *(
            (f"the phoneme of label {label} is", *pair)
            for label, pair in enumerate(zip(made.phonemes, here.phonemes, strict=False))
        ),
        ("data.k is", made.k, here.k),
        ("the number of bands is", made.bands, here.bands),
        ("data.padding is", made.padding, here.padding),
        ("corpus.source is", made.source, here.source),
    ]
    for section, ours, theirs in (
        ("normalize", made.normalization, here.normalization),
        ("features", made.features or {}, here.features or {}),
    ):
        facts += [
            (f"{section}.{key} is", ours.get(key, "not given"), theirs.get(key, "not given"))
            for key in sorted({*ours, *theirs})
        ]
    return facts


def _statistics_count(purpose: Purpose) -> bool:
    """Return whether the training set's statistics enter the normalized frames."""
    over, relevance = (purpose.normalization.get(key) for key in ("over", "relevance"))
    return over == "corpus" or (over != "none" and relevance != 0)
