"""The section `corpus` of params.yaml: where the utterances come from."""

from dataclasses import dataclass
from typing import Annotated

from phonemes.schema import Choice, Number, Seed, Text

Share = Annotated[float, Number(0, 1)]


@dataclass(frozen=True)
class SyntheticParams:
    """Generated speech: the default corpus."""

    minutes: Annotated[float, Number(0, 100_000, above=True)]  # of all splits together
    seed: Seed


@dataclass(frozen=True)
class ArraysParams:
    """The course's files, where an edition has no dev: the speakers of the training set."""

    dev_share: Share  # of the speakers
    seed: Seed


@dataclass(frozen=True)
class AudioParams:
    """Recordings with alignments, or with transcripts."""

    layout: Annotated[str, Choice(("textgrid", "librispeech", "timit", "arctic"))]
    alignments: Annotated[str, Text(empty="next to the audio")]
    unaligned: Annotated[str, Choice(("refuse", "skip"))]
    transcripts: Annotated[str, Choice(("refuse", "align"))]
    model: Annotated[str, Text(empty="english, the network that comes with the project")]
    tier: Annotated[str, Text()]  # of a TextGrid, a name or a pattern
    phonemes: Annotated[str, Choice(("arpabet-stress", "arpabet-plain", "timit"))]
    map: Annotated[str, Text(empty="the names of corpus.audio.phonemes")]
    speaker: Annotated[str, Text()]  # folder, or a regular expression with group 1
    split: Annotated[str, Choice(("folder", "list", "share"))]
    speakers: Annotated[str, Text(empty="no list")]
    dev_share: Share  # of the speakers
    test_share: Share  # of the speakers
    seed: Seed


@dataclass(frozen=True)
class CorpusParams:
    """Where the utterances come from."""

    source: Annotated[str, Choice(("synthetic", "arrays", "audio"))]
    path: Annotated[str, Text()]
    allow_shared_speakers: bool
    synthetic: SyntheticParams
    arrays: ArraysParams
    audio: AudioParams
