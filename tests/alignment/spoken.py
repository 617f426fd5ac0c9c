"""Sentences that are really spoken, with their words and when these begin."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from benchmarks.alignment import RATE, Recording, generated
from phonemes.corpus.params import SyntheticParams


@cache
def sentences() -> list[Recording]:
    """Return four sentences, made once a process: it takes seconds."""
    pytest.importorskip("espeakng_loader")
    return [*generated(SyntheticParams(0.1, 3))]


def write(*paths: Path) -> Iterator[Recording]:
    """Write a sentence to each path and yield it."""
    import soundfile

    for path, sentence in zip(paths, sentences(), strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sentence.samples, RATE)
        yield sentence
