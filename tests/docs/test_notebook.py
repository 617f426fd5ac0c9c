"""The notebook runs, and finds what its outputs in git say."""

import re
from difflib import SequenceMatcher

import pytest

for name in ("nbclient", "ipykernel", "soundfile", "soxr", "espeakng_loader"):
    pytest.importorskip(name)

import nbformat  # noqa: E402

from docs.generate.notebook import NOTEBOOK, executed, printed  # noqa: E402


def found(texts):
    """Return the words of outputs without times and confidences."""
    return re.findall(r"[A-Z][A-Z0-9]*|[a-z]+", " ".join(texts))


@pytest.mark.heavy
def test_the_notebook_runs_and_finds_the_phonemes_that_it_shows():
    kept, now = nbformat.read(NOTEBOOK, as_version=4), executed()
    before, after = printed(kept), printed(now)
    assert before[0] == after[0]  # what was spoken
    # a network that rounds differently changes a few frames
    assert SequenceMatcher(None, found(before), found(after)).ratio() > 0.9
    pictures = [
        "image/png" in each.data
        for cell in now.cells
        for each in cell.get("outputs", [])
        if "data" in each
    ]
    assert pictures.count(True) == 2


def test_the_notebook_is_valid_and_shows_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert printed(notebook)
    assert NOTEBOOK.stat().st_size < 300_000
