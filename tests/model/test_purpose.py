"""A model is refused in front of data that it was not made for."""

import json

import numpy as np
import pytest
import torch

from phonemes.context import DataParams
from phonemes.errors import InputError
from phonemes.model.purpose import Purpose, read_purpose, require_purpose
from phonemes.storage.layout import DESCRIPTION, MODEL, NORMALIZATION, STATISTICS, Spelling

NAMES = ("SIL", "AA", "B")
DATA = DataParams(2, "zero")


def normalized(over="utterance", relevance=0.0):
    return {"over": over, "variance": True, "relevance": relevance}


HERE = Purpose(
    phonemes=NAMES,
    spelling=Spelling(True, ("[SIL]", "AA", "B")),
    bands=4,
    k=2,
    padding="zero",
    normalization=normalized(),
    statistics=torch.arange(8, dtype=torch.float64).reshape(2, 4),
    source="audio",
    features={"stride": 10, "bands": 4},
)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Enter a folder with what the stages before training write about their data."""
    monkeypatch.chdir(tmp_path)
    for path in (DESCRIPTION, NORMALIZATION):
        path.parent.mkdir(parents=True)
    DESCRIPTION.with_name("phonemes.txt").write_text("\n".join(NAMES))
    DESCRIPTION.with_name("spelling.txt").write_text("text\n[SIL]\nAA\nB\n")
    DESCRIPTION.write_text(json.dumps({"source": HERE.source, "features": HERE.features}))
    NORMALIZATION.write_text(json.dumps(HERE.normalization))
    np.save(STATISTICS, HERE.statistics.numpy())


def refusal(made, here=HERE):
    with pytest.raises(InputError) as refused:
        require_purpose(made, here)
    message = str(refused.value)
    assert "\n" not in message
    start, end = f"{MODEL} was made for other data: ", "; run `dvc repro` to train a model for"
    assert message.startswith(start)
    return message.removeprefix(start).partition(end)[0]


def test_the_data_are_what_their_files_say(files):
    found = read_purpose(DATA, 4)
    assert torch.equal(found.statistics, HERE.statistics)
    assert found._replace(statistics=HERE.statistics) == HERE


def test_frames_that_were_given_have_no_features(files):
    DESCRIPTION.write_text(json.dumps({"source": "arrays", "features": None}))
    assert read_purpose(DATA, 4).features is None


def test_a_model_is_taken_for_data_like_its_own():
    require_purpose(HERE, HERE)


def test_how_the_data_spell_phonemes_is_no_matter():
    require_purpose(HERE._replace(spelling=Spelling(False, ("0", "1", "2"))), HERE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phonemes": ("SIL", "B", "AA")}, "the phoneme of label 1 is B there and AA here"),
        ({"phonemes": NAMES[:2]}, "the number of phonemes is 2 there and 3 here"),
        ({"phonemes": (*NAMES, "D")}, "the number of phonemes is 4 there and 3 here"),
        ({"k": 0, "bands": 20}, "data.k is 0 there and 2 here"),
        ({"bands": 8}, "the number of bands is 8 there and 4 here"),
        ({"padding": "edge"}, "data.padding is edge there and zero here"),
        ({"source": "synthetic"}, "corpus.source is synthetic there and audio here"),
        ({"normalization": normalized("corpus")}, "normalize.over is corpus there and utterance"),
        ({"normalization": normalized(relevance=9.0)}, "normalize.relevance is 9.0 there and 0.0"),
        ({"features": {"stride": 5, "bands": 4}}, "features.stride is 5 there and 10 here"),
        ({"features": None}, "features.bands is not given there and 4 here"),
    ],
)
def test_the_fact_that_differs_is_named(change, reason):
    assert refusal(HERE._replace(**change)).startswith(reason)


@pytest.mark.parametrize("normalization", [normalized("corpus"), normalized("speaker", 100)])
def test_other_statistics_of_the_training_set_are_refused_where_frames_depend_on_them(
    normalization,
):
    here = HERE._replace(normalization=normalization)
    made = here._replace(statistics=here.statistics + 1)
    assert "its training set had other means and deviations" in refusal(made, here)


@pytest.mark.parametrize("normalization", [normalized(), normalized("none", 100)])
def test_other_statistics_are_no_matter_where_no_frame_depends_on_them(normalization):
    here = HERE._replace(normalization=normalization)
    require_purpose(here._replace(statistics=here.statistics + 1), here)


# Files that are refused


@pytest.mark.parametrize("path", [DESCRIPTION, NORMALIZATION])
@pytest.mark.parametrize("content", ["", "null", "[1]", "{", "[" * 100_000])
def test_a_damaged_description_is_named(files, path, content):
    path.write_text(content)
    with pytest.raises(InputError, match=f"{path} is damaged"):
        read_purpose(DATA, 4)


@pytest.mark.parametrize("path", [DESCRIPTION, NORMALIZATION, STATISTICS])
def test_a_missing_file_says_how_to_make_it(files, path):
    path.unlink()
    with pytest.raises(InputError, match=f"{path}.* run `dvc repro` to make it"):
        read_purpose(DATA, 4)


@pytest.mark.parametrize("values", [{}, {"source": 1}, {"source": "audio", "features": 3}])
def test_a_description_without_its_parts_is_damaged(files, values):
    DESCRIPTION.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"is damaged \(no source or features\)"):
        read_purpose(DATA, 4)


def test_statistics_of_other_bands_than_the_frames_are_refused(files):
    with pytest.raises(InputError, match=r"holds float64 of shape \(2, 4\); expected .* \(2, 5\)"):
        read_purpose(DATA, 5)
