"""The page of two runs says which is better, where, and whether it is noise."""

from dataclasses import replace

import numpy as np
import pytest
from pages.report.made import Made, here, write_run
from pages.report.test_one import Parsed

from phonemes.pages.report.comparison import Paired
from phonemes.pages.report.two import comparison, matrix, tables, verdict, verdicts


class Named:
    """Files of a revision of another name."""

    def __init__(self, files, name):
        self.open, self.advice, self.name = files.open, files.advice, name


def named(name, made):
    write_run(made)
    run = here()
    return replace(run, files=Named(run.files, name))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return named("old", Made(skill=0.7)), named("new", Made(skill=0.8, seed=1))


PAIRED = Paired(0.02, 0.01, 0.03, 0.998, 4, 5, "speakers")


@pytest.mark.parametrize(
    ("found", "score", "text"),
    [
        (
            PAIRED,
            "accuracy",
            "new is better than old: +0.020, 95 % interval +0.010 to +0.030 over 5 speakers. new "
            "is better for 4 of them; probability of improvement 0.998.",
        ),
        (  # every sample of the bootstrap would be better
            PAIRED._replace(better=5),
            "accuracy",
            "new is better than old: +0.020, 95 % interval +0.010 to +0.030 over 5 speakers. new "
            "is better for 5 of them.",
        ),
        (PAIRED, "phone_error_rate", "new is worse than old: +0.020"),
        (PAIRED._replace(low=-0.01), "accuracy", "old and new do not differ by more than noise: +"),
        (PAIRED._replace(value=0.0), "accuracy", "old and new are equally good."),
        (
            PAIRED._replace(low=np.nan, high=np.nan, units=1),
            "accuracy",
            "old and new do not differ by more than noise, as far as one speaker tells: +0.020.",
        ),
    ],
)
def test_a_sentence_says_which_is_better_and_how_sure_that_is(found, score, text):
    assert verdict(found, score, "old", "new").startswith(text)


def test_runs_that_cannot_be_paired_have_no_verdict_but_a_reason():
    (only,) = verdicts("the runs were scored on different utterances", "old", "new")
    assert only.text == (
        "Nothing tells whether the change is noise: the runs were scored on different utterances."
    )


def test_the_page_has_verdict_scores_and_differences(runs):
    page = comparison(*runs)
    text = Parsed(page).text()
    assert "new compared with old" in text
    assert "Accuracy new is better than old: +0.1" in text
    assert "over 4 speakers. new is better for 4 of them" in text
    assert "compare the two runs speaker by speaker" in text
    assert "Better in new" in text
    for name in ("By phonetic class", "By distance from a boundary", "Vowels by stress"):
        assert name in text
    assert len(page) < 1_000_000


def test_the_page_loads_nothing_and_its_links_lead_to_headings(runs):
    parsed = Parsed(comparison(*runs))
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    assert {attributes["href"][1:] for attributes in parsed.of("a")} <= ids
    for _, attributes in parsed.tags:
        assert attributes.get("src", "#").startswith(("#", "data:"))


def test_parameters_that_differ_are_shown_as_params_yaml_has_them(runs):
    before, after = runs
    train = after.params["train"] | {"lr": 0.0005, "early": True}
    text = Parsed(comparison(before, replace(after, params=after.params | {"train": train}))).text()
    assert "train.lr 0.002 0.0005" in text
    assert "train.early true" in text
    assert "None: code or data differ" in Parsed(comparison(before, before)).text()


def test_a_run_compared_with_itself_is_no_better(runs):
    text = Parsed(comparison(runs[0], runs[0])).text()
    assert "old and old are equally good." in text
    assert "Better in" not in text and "Worse in" not in text


def test_runs_of_different_phonemes_are_compared_as_far_as_they_can_be(runs, tmp_path):
    other = named("other", Made(phonemes=tuple("0123456")))
    assert matrix(runs[0], other) is None
    text = Parsed(comparison(runs[0], other)).text()
    assert "The runs have different phonemes" in text
    assert "Nothing tells whether the change is noise" in text


def test_an_older_run_is_compared_by_what_it_has(runs):
    before, after = runs
    old = {name: before.dev[name] for name in ("scores", "confusion", "phonemes")}
    before = replace(before, tables={"dev": old}, history=None, missing=("stress",))
    text = Parsed(comparison(before, after)).text()
    assert "old has no tables of stress" in text
    assert "old has no table of utterances" in text
    assert tables(before, after) == []
