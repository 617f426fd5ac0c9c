"""A second run is better where paired differences are more than noise."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages.report.made import Made, here, write_run
from scipy import stats

from phonemes.pages.report.comparison import (
    common_utterances,
    improvement,
    paired,
    parameter_changes,
    phoneme_changes,
    score_changes,
    table_changes,
)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Return two runs of the same dev; the second has more frames right."""
    found = []
    for seed, skill in ((0, 0.7), (1, 0.8)):
        (tmp_path / str(seed)).mkdir()
        monkeypatch.chdir(tmp_path / str(seed))
        write_run(Made(seed=seed, skill=skill))
        found.append(here())
    return found


def table(speakers, frames, before, after):
    """Return utterances of both runs by their frames that are right."""
    return pd.DataFrame(
        {
            "utterance": [f"u{n}" for n in range(len(frames))],
            "speaker": speakers,
            "frames": frames,
            "phones": frames,
            "right_before": before,
            "right_after": after,
            "phone_errors_before": np.subtract(frames, before),
            "phone_errors_after": np.subtract(frames, after),
        }
    )


# Paired differences


def test_of_equally_long_speakers_the_interval_is_that_of_the_paired_t_test():
    before, after = np.array([500, 600, 550, 700, 620]), np.array([530, 640, 560, 735, 610])
    found = paired(table([*"abcde"], [1000] * 5, before, after), "accuracy")
    change = (after - before) / 1000
    low, high = stats.ttest_rel(after / 1000, before / 1000).confidence_interval()
    assert found.value == pytest.approx(change.mean())
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.better, found.units, found.kind) == (4, 5, "speakers")


def test_utterances_of_a_speaker_are_one_unit_and_unknown_ones_each_one():
    data = ([100] * 4, [50] * 4, [60, 60, 55, 45])
    assert paired(table(["a", "a", "b", "b"], *data), "accuracy").units == 2
    assert paired(table(["", "", "", ""], *data), "accuracy")[-2:] == (4, "utterances")
    found = paired(table(["a", "a", "b", "b"], *data), "accuracy")
    assert (found.value, found.better) == (pytest.approx(0.05), 1)


def test_fewer_phone_errors_are_better():
    found = paired(table([*"abc"], [100] * 3, [50, 60, 70], [60, 71, 79]), "phone_error_rate")
    assert found.value == pytest.approx(-0.1)
    assert found.improvement == 1 and found.better == 3
    assert found.high < 0 and found.beyond_noise


def test_one_speaker_has_a_difference_without_interval():
    found = paired(table(["a"] * 2, [100] * 2, [50, 50], [60, 60]), "accuracy")
    assert found.value == pytest.approx(0.1)
    assert np.isnan(found.low) and not found.beyond_noise


def test_differences_of_either_sign_are_noise():
    found = paired(table([*"abcd"], [100] * 4, [50] * 4, [60, 40, 58, 43]), "accuracy")
    assert found.low < 0 < found.high and not found.beyond_noise


def test_runs_that_are_alike_have_even_chances():
    found = paired(table([*"abc"], [100] * 3, [50] * 3, [50] * 3), "accuracy")
    assert (found.value, found.low, found.high, found.improvement) == (0, 0, 0, 0.5)


def test_the_probability_of_improvement_is_that_of_all_samples():
    gains = np.array([5.0, -3.0, 1.0])
    every = [
        sum(sample) for sample in np.stack(np.meshgrid(gains, gains, gains), -1).reshape(-1, 3)
    ]
    exact = np.mean([(total > 0) + (total == 0) / 2 for total in every])
    assert improvement(gains, np.random.default_rng(0)) == pytest.approx(exact, abs=0.015)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8), st.integers(0, 99))
def test_exchanging_the_runs_turns_the_probability_round(gains, seed):
    one, two = (
        improvement(sign * np.array(gains, float), np.random.default_rng(seed)) for sign in (1, -1)
    )
    assert one + two == pytest.approx(1)


@pytest.mark.heavy
@pytest.mark.parametrize("speakers", [4, 10, 25])
def test_intervals_hold_the_difference_for_other_speakers_as_often_as_meant(speakers):
    random, held, runs = np.random.default_rng(speakers), 0, 1500
    for _ in range(runs):
        frames = random.integers(2000, 8000, speakers)
        change = 0.01 + 0.015 * random.standard_normal(speakers)
        before = np.full(speakers, 1000)
        after = before + (change * frames).round().astype(int)
        names = [f"s{n}" for n in range(speakers)]
        data = table(names, frames, before, after)
        low, high = interval(data)
        held += low <= 0.01 <= high
    assert 0.92 <= held / runs <= 0.97


def interval(data):
    """Return the interval of `paired` without its bootstrap, which takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phonemes.pages.report.comparison.improvement", lambda *_: 0.5)
        found = paired(data, "accuracy")
    return found.low, found.high


# Which utterances


def test_the_utterances_of_both_runs_are_paired_by_name(runs):
    before, after = runs
    shuffled = after.dev["utterances"].sample(frac=1, random_state=0)
    after = replace(after, tables={"dev": after.dev | {"utterances": shuffled}})
    both = common_utterances(before, after)
    assert both["right_before"].tolist() == before.dev["utterances"]["right"].tolist()
    assert both["right_after"].tolist() == runs[1].dev["utterances"]["right"].tolist()


def test_runs_of_different_utterances_or_labels_are_not_paired(runs):
    before, after = runs
    for column, value in (("utterance", "other"), ("frames", 1), ("phones", 1)):
        table = after.dev["utterances"].copy()
        table.loc[0, column] = value
        other = replace(after, tables={"dev": after.dev | {"utterances": table}})
        assert "scored on different utterances" in common_utterances(before, other)


def test_a_run_without_table_of_utterances_is_named(runs):
    before, after = runs
    old = {name: values for name, values in before.dev.items() if name != "utterances"}
    found = common_utterances(replace(before, tables={"dev": old}), after)
    assert found == "workspace has no table of utterances: run `dvc repro`"


# What changed


def test_a_lower_error_is_better_and_a_lower_accuracy_worse(runs):
    sides = {(each.split, each.score): each.better for each in score_changes(*runs)}
    assert sides["dev", "accuracy"] is True
    assert sides["dev", "cross_entropy"] is True
    assert sides["dev", "phone_error_rate"] is True
    sides = {(each.split, each.score): each.better for each in score_changes(*runs[::-1])}
    assert sides["test", "accuracy"] is sides["test", "cross_entropy"] is False
    assert {each.better for each in score_changes(runs[0], runs[0])} == {None}


def test_phonemes_are_in_the_order_of_the_frames_that_they_gain(runs):
    found = phoneme_changes(*runs)
    assert (found["gained"].diff().dropna() <= 0).all()
    rights = [run.dev["utterances"]["right"].sum() for run in runs]
    assert found["gained"].sum() == rights[1] - rights[0]
    row = found.iloc[0]
    for run, column in zip(runs, ("before", "after"), strict=True):
        table = run.dev["phonemes"].set_index("phoneme")
        assert row[column] == table.loc[row["phoneme"], "f1"]


def test_tables_of_both_runs_are_compared_row_by_row(runs):
    found = table_changes(*runs, "boundaries", "distance", "accuracy")
    assert found["key"].tolist() == ["0", "1", "2", "3", "4", "5+"]
    accuracies = [run.dev["boundaries"]["accuracy"] for run in runs]
    assert found["change"].tolist() == pytest.approx((accuracies[1] - accuracies[0]).tolist())


def test_a_table_that_a_run_lacks_is_compared_in_no_row(runs):
    before, after = runs
    old = {name: values for name, values in before.dev.items() if name != "stress"}
    before = replace(before, tables={"dev": old})
    assert table_changes(before, after, "stress", "stress", "accuracy").empty


def test_parameters_that_differ_are_listed_but_for_the_runtime(runs):
    before, after = runs
    changed = {"lr": 0.001, "class_weights": "none", "new": True}
    after = replace(after, params=after.params | {"train": changed, "runtime": {"jobs": 8}})
    assert parameter_changes(before, after) == [
        ("train.lr", 0.002, 0.001),
        ("train.label_smoothing", 0.1, None),
        ("train.new", None, True),
    ]
