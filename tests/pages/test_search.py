"""The page of a search: both halves and their gap, what was found, and how it came about."""

import re

import pytest
from helpers import PARAMS

from phonemes.pages.parallel import axis_of, shown
from phonemes.pages.search import (
    Found,
    Half,
    best_so_far,
    endings,
    findings,
    learning_curves,
    parallel_axes,
    search_page,
    winner_rows,
)
from phonemes.schema import read_yaml_file
from phonemes.search.journal import Record, Trial
from phonemes.search.space import read_space
from phonemes.search.winners import Final, winner

SPACE = (
    "train: {lr: {low: 1e-3, high: 1}, optimizer: [sgd, adam]}\nmodel: {hidden: [[8, 8], [9, 9]]}"
)


def trial(number, choosing, reporting, ending="complete", **values):
    record = Record(ending, {"train.lr": 0.1} | values, "", choosing, reporting, 2, 1234, 2.5, 0.05)
    curve = [choosing / 2, choosing] if choosing else []
    return Trial(number, record, curve, 60.0 * number, 60.0 * number + 30)


@pytest.fixture
def found(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    space = read_space(path, read_yaml_file(PARAMS))
    trials = [
        trial(0, 0.5, 0.45, **{"train.lr": 0.001, "train.optimizer": "sgd"}),
        trial(1, 0.7, 0.62, **{"train.lr": 0.5, "model.hidden": [9, 9]}),
        trial(2, 0.4, None, "pruned"),
        trial(3, 0.6, 0.61, **{"train.optimizer": "adam"}),
        trial(4, None, None, "refused"),
    ]
    finals = [
        Final("trial 3", [0.61, 0.63], [0.59, 0.61], 2.0),
        Final("trial 1", [0.6, 0.62], [0.6, 0.6], 2.0),
        Final("start", [0.5, 0.5], [0.5, 0.52], 9.0),
    ]
    how = "3 parameters varied by tpe"
    importances = {"train.lr": 0.75, "train.optimizer": 0.25}
    return Found("mine", space, trials, finals, importances, Half(2, 900), Half(3, 800), how)


def texts(page):
    """Return what a page shows, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]))


def test_the_page_shows_both_halves_the_gap_and_the_means_over_seeds(found):
    text = texts(search_page(found))
    assert "accuracy 0.600 on the half of dev that it was chosen on, 0.610 on the other" in text
    assert "trial 3 0.600 0.610 \u22120.010 2 0.620 0.600 +0.020 1,234 2.0" in text
    assert "start of the search \u2013 \u2013 \u2013 2 0.500 0.510 \u22120.010 \u2013 9.0" in text
    assert "2 speakers, 900 frames" in text and "3 speakers, 800 frames" in text
    assert "a difference of +0.090" in text


def test_the_page_works_offline_and_has_every_part(found):
    page = search_page(found)
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page)
    for heading in (
        "What it found", "Winners", "What the best has that the start has not", "Over time",
        "Importance of parameters", "Parallel coordinates", "What it took",
    ):  # fmt: skip
        assert f">{heading}</h2>" in page
    assert page.count("<svg") == 3
    assert 'train.lr</th><td class="number">75\u00a0%' in page


def test_the_best_is_that_of_the_further_seeds_and_without_them_that_of_the_trials(found):
    assert winner(found.trials, found.finals).number == 3
    rows = winner_rows(found._replace(finals=[]))
    assert [row["name"] for row in rows] == ["trial 1", "trial 3", "trial 0"]
    best = winner(found.trials, [])
    first, *_ = findings(found._replace(finals=[]), best)
    assert first["text"].endswith("0.620 on the other.")
    assert first["advice"] == "`dvc exp run $(phonemes recipe search/mine)` trains it"


def test_a_search_that_did_not_beat_its_start_says_so(found):
    assert "has not beaten" not in search_page(found)
    better = found.finals[2]._replace(reporting=[0.7, 0.7])
    page = search_page(found._replace(finals=[*found.finals[:2], better]))
    assert "The search has not beaten what it started from: search longer" in page


def test_a_search_without_a_complete_trial_has_a_page_too(found):
    text = texts(search_page(found._replace(trials=found.trials[2:3], finals=[])))
    assert "No trial was trained to its end" in text


def test_best_so_far_rises_with_better_trials_alone(found):
    chart = best_so_far(found.trials)
    assert "from 0.5000 to 0.7000 on the half that was chosen on, 0.6200 on the other" in chart.svg


def test_curves_are_of_all_trained_trials(found):
    chart = learning_curves(found.trials)
    assert chart.note.startswith("4 of 4 trials.")
    assert "epoch 2: 0.7000" in chart.svg
    assert learning_curves(found.trials[4:]) is None


def test_parallel_coordinates_have_an_axis_for_each_parameter_that_differs(found):
    svg = parallel_axes(found)
    assert "3 complete trials over 2 parameters" in svg
    assert "the best 1 in colour" in svg
    assert parallel_axes(found._replace(trials=[found.trials[3]])) is None


def test_an_axis_has_numbers_by_size_words_in_turn_and_gaps():
    assert axis_of("k", [1, 3, None, 2]).places[:2] == [0, 1]
    assert axis_of("k", [1, 3, None, 2]).places[3] == 0.5
    assert axis_of("k", [1, 2]).ticks == [(0.0, "1"), (1.0, "2")]
    logarithmic = axis_of("lr", [1e-4, 1e-2, 1.0], logarithmic=True)
    assert logarithmic.places == pytest.approx([0, 0.5, 1])
    assert [label for _, label in logarithmic.ticks] == ["0.0001", "0.01", "1"]
    words = axis_of("kind", ["sgd", "adam", None])
    assert words.ticks == [(0.25, "sgd"), (0.75, "adam")]
    assert words.places[2] != words.places[2]


def test_the_page_says_how_trials_ended_and_what_they_took(found):
    rows = dict(endings(found.trials))
    assert rows["trials complete"] == "3"
    assert rows["trials refused"] == "1"
    assert rows["from the first to the last"] == "4.5 min"
    assert rows["networks an hour"] == "53"  # 4 in 4.5 minutes
    assert rows["training of a network, mean"] == "2.5 s"


def test_values_are_shown_as_params_has_them_and_equal_widths_in_short():
    assert [shown(value) for value in (True, 0.00123456, [8, 8, 8], [8, 4], "adam")] == [
        "true", "0.001235", "3 x 8", "8-4", "adam",
    ]  # fmt: skip
