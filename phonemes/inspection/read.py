"""Read what is inspected: the packed corpus, and normalized frames where there are any."""

from collections.abc import Mapping
from typing import NamedTuple

from phonemes.errors import InputError, did_you_mean
from phonemes.features.log_mel import FeatureParams
from phonemes.inspection.corpus import Bands, Split, band_levels
from phonemes.schema import build
from phonemes.storage.layout import CORPUS, DESCRIPTION, NORMALIZED, SPLITS, Frames, Labels
from phonemes.storage.read import (
    read_description,
    read_frames,
    read_labels,
    read_lengths,
    read_phonemes,
    read_stored,
    read_utterances,
)


class Corpus(NamedTuple):
    """The packed corpus of a project."""

    splits: dict[str, Split]
    phonemes: tuple[str, ...]  # P, in label order
    features: FeatureParams | None  # how its frames were computed; None where they were given


def read_corpus() -> Corpus:
    """Memory-map the packed corpus.

    Raises:
        InputError: a file is missing, damaged or of another corpus.
    """
    phonemes = read_phonemes(CORPUS)
    splits = {}
    for name in SPLITS:
        lengths = read_lengths(CORPUS, name)
        count = int(lengths.sum())
        path = CORPUS / f"labels/{name}.npy"
        labels = (
            read_labels(path, count, len(phonemes)) if path.exists() or name != "test" else None
        )
        utterances = read_utterances(CORPUS, name, len(lengths))
        splits[name] = Split(
            read_frames(CORPUS / f"frames/{name}.npy", count),
            lengths,
            labels,
            [name for name, _ in utterances],
            [speaker for _, speaker in utterances],
        )
    return Corpus(splits, phonemes, _read_features())


def _read_features() -> FeatureParams | None:
    values = read_description(DESCRIPTION).get("features")
    if values is None:
        return None
    features, problems = build(FeatureParams, values, "features")
    if features is None:
        raise InputError(f"{DESCRIPTION}: {problems[0]}; delete it and run `dvc repro corpus`")
    return features


def read_normalized(splits: Mapping[str, Split]) -> tuple[dict[str, Bands], str]:
    """Return the levels of normalized bands by split, or none and why they cannot be read.

    They are of another corpus until `dvc repro` has run on.
    """
    if not NORMALIZED.exists():
        return {}, ""
    try:
        return {
            name: band_levels(*read_stored(NORMALIZED / f"{name}.npy", len(split.frames)))
            for name, split in splits.items()
        }, ""
    except InputError as error:
        return {}, str(error)


def find_utterance(splits: Mapping[str, Split], name: str | None) -> tuple[str, int]:
    """Return the split of an utterance and its number in it.

    Args:
        splits: by their names.
        name: of the utterance; None for one of median length in the first split.

    Raises:
        InputError: there is no utterance of that name.
    """
    if name is None:
        split = next(iter(splits))
        lengths = splits[split].lengths
        return split, int(lengths.argsort(kind="stable")[len(lengths) // 2])
    for split, each in splits.items():
        if name in each.names:
            return split, each.names.index(name)
    known = [known for each in splits.values() for known in each.names]
    raise InputError(f"there is no utterance {name!r}{did_you_mean(name, known)}")


def utterance_of(split: Split, number: int) -> tuple[Frames, Labels | None]:
    """Return frames, (T, C), and labels, (T,), of an utterance of a split."""
    end = int(split.lengths[: number + 1].sum())
    own = slice(end - int(split.lengths[number]), end)
    return split.frames[own], None if split.labels is None else split.labels[own]
