"""Tables tell where errors lie; what makes no sense for the data is left empty."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring.confusions import random_counts
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score

from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, PHONETIC_GROUPS, TIMIT, fold
from phonemes.scoring.breakdowns import (
    boundary_distances,
    boundary_table,
    breakdowns,
    calibration_table,
    phone_error_table,
    phonetic_class_table,
    speaker_table,
    stress_table,
    utterance_table,
)
from phonemes.scoring.phones import phone_errors
from phonemes.scoring.scores import Predictions, independent_units, scores, unit_sums
from phonemes.scoring.tables import confusion_counts

NUMBERS = tuple("0123456")
SPOKEN = [("a/1", "ann"), ("b/1", "bob"), ("a/2", "ann"), ("x", "")]
LENGTHS = np.array([30, 50, 20, 40])
several_lengths = st.lists(st.integers(1, 30), min_size=1, max_size=6).map(np.array)


def drawn(phonemes, lengths=LENGTHS, seed=0, run=4):
    """Return random predictions, two thirds of them right, of phones some frames long."""
    random, count = np.random.default_rng(seed), lengths.sum()
    labels = np.repeat(random.integers(0, len(phonemes), count), run)[:count]
    right = random.random(count) < 2 / 3
    predicted = np.where(right, labels, random.integers(0, len(phonemes), count))
    return Predictions(labels, predicted, labels * 1.0, right, random.random(count))


def rows(table):
    """Return a table as its file has it."""
    return table.to_csv(index=False, lineterminator="\n").splitlines()


def utterances_of(predictions, spoken=SPOKEN, lengths=LENGTHS):
    errors = phone_errors(predictions.labels, predictions.predicted, lengths)
    return utterance_table(predictions, lengths, spoken, errors)


# Phonetic classes


def test_a_class_counts_what_is_right_and_what_stays_in_the_class():
    names = ("SIL", "P", "T", "S", "IY1")
    counts = np.zeros((5, 5), int)
    counts[0, 0] = 10
    counts[1] = [1, 6, 2, 1, 0]  # P: 6 right, 2 as T, which is a stop too
    counts[2] = [0, 0, 10, 0, 0]
    counts[4] = [0, 0, 0, 1, 4]
    assert rows(phonetic_class_table(counts, names)) == [
        "class,frames,accuracy,class_accuracy,share_of_errors",
        "front vowels,5,0.8,0.8,0.2",
        "stops,20,0.8,0.9,0.8",
        "fricatives,0,,,0.0",
        "silence and noise,10,1.0,1.0,0.0",
    ]


@pytest.mark.parametrize("phonemes", [ARPABET_STRESS, ARPABET_PLAIN, TIMIT])
def test_classes_are_those_of_the_frames_one_by_one(phonemes):
    predictions = drawn(phonemes, np.array([5000]))
    group_of = {
        name.casefold(): group for group, names in PHONETIC_GROUPS.items() for name in names.split()
    }
    kind = np.array([group_of[name.casefold().rstrip("012")] for name in phonemes])
    frames = pd.DataFrame(
        {
            "class": kind[predictions.labels],
            "right": predictions.labels == predictions.predicted,
            "of_class": kind[predictions.labels] == kind[predictions.predicted],
        }
    )
    counts = confusion_counts(predictions.labels, predictions.predicted, len(phonemes))
    table = phonetic_class_table(counts, phonemes).set_index("class")
    assert table["frames"].sum() == 5000
    assert table["share_of_errors"].sum() == pytest.approx(1, abs=1e-5)
    for name, own in frames.groupby("class"):
        expected = [len(own), own["right"].mean(), own["of_class"].mean()]
        expected += [(~own["right"]).sum() / (~frames["right"]).sum()]
        assert table.loc[name].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("names", [NUMBERS, ("T", "S", "@", "{")])
def test_names_of_no_known_inventory_have_no_classes_and_no_stress(names):
    counts = np.ones((len(names), len(names)), int)
    assert phonetic_class_table(counts, names).empty
    assert stress_table(counts, names).empty


# Stress


def test_a_wrong_stress_is_an_error_of_stress_alone_where_the_vowel_is_right():
    names = ("SIL", "AA0", "AA1", "AA2", "IY1")
    counts = np.diag([50, 5, 20, 0, 10])
    counts[1, 2] = 3  # AA0 as AA1: stress alone
    counts[1, 4] = 2  # AA0 as IY1
    counts[2, 1] = 1
    counts[2, 3] = 1
    counts[0, 1] = 3  # silence as a vowel
    assert rows(stress_table(counts, names)) == [
        "stress,frames,accuracy,vowel_accuracy,stress_errors,share_of_errors",
        "0,10,0.5,0.8,3,0.3",
        "1,32,0.9375,1.0,2,0.2",
        "2,0,,,0,0.0",
    ]


def test_errors_of_stress_alone_are_what_folding_forgives():
    counts = random_counts(71, 10**5)
    table = stress_table(counts, ARPABET_STRESS)
    folded = np.array(fold(ARPABET_STRESS))
    same = folded[:, None] == folded
    assert table["stress_errors"].sum() == counts[same].sum() - np.trace(counts)


@pytest.mark.parametrize("phonemes", [ARPABET_PLAIN, TIMIT])
def test_labels_without_stress_have_no_table_of_it(phonemes):
    counts = random_counts(len(phonemes), 10**4)
    assert rows(stress_table(counts, phonemes)) == [
        "stress,frames,accuracy,vowel_accuracy,stress_errors,share_of_errors"
    ]


# Boundaries


def plain_distances(labels, lengths):
    """Return each frame's distance from the nearest boundary by looking at all of them."""
    found, start = [], 0
    for length in lengths:
        own = labels[start : start + length]
        bounds = [place for place in range(1, length) if own[place] != own[place - 1]]
        for frame in range(length):
            nearest = [frame - b if frame >= b else b - 1 - frame for b in bounds]
            found.append(min([*nearest, 5]))
        start += length
    return found


def test_frames_on_both_sides_of_a_boundary_have_distance_0():
    labels = np.array([1] * 8 + [2] * 3)
    assert boundary_distances(labels, np.array([11])).tolist() == [5, 5, 5, 4, 3, 2, 1, 0, 0, 1, 2]


def test_where_an_utterance_begins_is_no_boundary():
    labels = np.array([1, 1, 2, 2, 2, 3])
    assert boundary_distances(labels, np.array([2, 3, 1])).tolist() == [5] * 6


@given(several_lengths, st.integers(0, 10**6), st.integers(1, 9))
def test_distances_are_those_of_a_plain_loop(lengths, seed, run):
    labels = drawn(NUMBERS, lengths, seed, run).labels
    assert boundary_distances(labels, lengths).tolist() == plain_distances(labels, lengths)


def test_the_table_of_boundaries_shares_out_all_frames_and_errors():
    predictions = drawn(NUMBERS)
    table = boundary_table(predictions, LENGTHS)
    assert table["distance"].tolist() == ["0", "1", "2", "3", "4", "5+"]
    distances = np.array(plain_distances(predictions.labels, LENGTHS))
    wrong = predictions.labels != predictions.predicted
    for distance, row in table.iterrows():
        own = distances == distance
        assert row["frames"] == own.sum()
        assert row["share_of_frames"] == pytest.approx(own.mean(), abs=1e-6)
        assert row["share_of_errors"] == pytest.approx((wrong & own).sum() / wrong.sum(), abs=1e-6)
        if own.any():
            assert row["accuracy"] == pytest.approx(1 - wrong[own].mean(), abs=1e-6)


# Utterances and speakers


def test_utterances_are_scored_one_by_one_in_the_order_of_the_split():
    predictions = drawn(ARPABET_STRESS)
    table = utterances_of(predictions)
    assert [*zip(table["utterance"], table["speaker"], strict=True)] == SPOKEN
    start = 0
    for row in table.itertuples():
        own = slice(start, start + row.frames)
        labels, predicted = predictions.labels[own], predictions.predicted[own]
        assert row.right == accuracy_score(labels, predicted, normalize=False)
        assert row.accuracy == pytest.approx(accuracy_score(labels, predicted), abs=1e-6)
        alone = phone_errors(labels, predicted, np.array([row.frames]))
        assert (row.phones, row.phone_errors) == (alone.phones[0], alone.total[0])
        start += row.frames
    assert start == LENGTHS.sum()


def test_speakers_are_in_the_order_in_which_they_speak_and_unknown_ones_left_out():
    predictions = drawn(NUMBERS)
    right = predictions.labels == predictions.predicted
    ann, bob = [*range(30), *range(80, 100)], [*range(30, 80)]
    table = speaker_table(utterances_of(predictions))
    assert table.to_dict("list") == {
        "speaker": ["ann", "bob"],
        "utterances": [2, 1],
        "frames": [50, 50],
        "right": [right[ann].sum(), right[bob].sum()],
        "accuracy": pytest.approx([right[ann].mean(), right[bob].mean()]),
    }


def test_where_no_speaker_is_known_there_is_no_row():
    table = speaker_table(utterances_of(drawn(NUMBERS), [(name, "") for name, _ in SPOKEN]))
    assert rows(table) == ["speaker,utterances,frames,right,accuracy"]


# Calibration


def test_bins_of_confidence_are_those_of_scikit_learn():
    predictions = drawn(NUMBERS, np.array([5000]))
    right = predictions.labels == predictions.predicted
    accuracy, confidence = calibration_curve(right, predictions.confidence, n_bins=10)
    table = calibration_table(predictions)
    assert table["accuracy"].tolist() == pytest.approx(accuracy, abs=1e-6)
    assert table["confidence"].tolist() == pytest.approx(confidence, abs=1e-6)
    assert table["frames"].sum() == 5000


def test_a_confidence_of_1_is_in_the_last_bin_and_an_empty_bin_has_no_accuracy():
    confidence = np.array([1.0, 0.95, 0.05])
    labels = np.zeros(3, int)
    table = calibration_table(Predictions(labels, labels, confidence, labels > 0, confidence))
    assert table["frames"].tolist() == [1, *[0] * 8, 2]
    assert table["accuracy"].isna().tolist() == [False, *[True] * 8, False]
    assert rows(table)[2] == "0.1,0.2,0,,"


def test_the_calibration_error_of_the_scores_is_that_of_the_table():
    predictions = drawn(NUMBERS)
    sums = unit_sums(predictions, LENGTHS, independent_units(["a"] * 4), NUMBERS)
    table = calibration_table(predictions).dropna()
    gaps = (table["confidence"] - table["accuracy"]).abs()
    expected = (gaps * table["frames"]).sum() / LENGTHS.sum()
    assert scores(sums)["calibration_error"] == pytest.approx([expected], abs=1e-5)


# Phones


def test_phones_are_counted_with_and_without_stress_and_silence():
    names = ("SIL", "AA0", "AA1", "B")
    labels = np.array([0, 0, 1, 1, 0, 1, 3, 3])  # SIL AA0 SIL AA0 B
    predicted = np.array([0, 1, 2, 2, 2, 2, 3, 3])  # SIL AA0 AA1 B
    zeros = np.zeros(8)
    predictions = Predictions(labels, predicted, zeros, zeros > 0, zeros)
    assert rows(phone_error_table(predictions, np.array([8]), names)) == [
        "labels,silence,phones,predicted_phones,insertions,deletions,substitutions,error_rate",
        "all,kept,5,4,0,1,1,0.4",
        "all,dropped,3,3,0,0,1,0.333333",
        "folded,kept,5,3,0,2,0,0.4",
        "folded,dropped,3,2,0,1,0,0.333333",
    ]


def ways(phonemes):
    table = phone_error_table(drawn(phonemes), LENGTHS, phonemes)
    return [*zip(table["labels"], table["silence"], strict=True)]


def test_only_ways_of_counting_that_differ_are_listed():
    kept, dropped = ("all", "kept"), ("all", "dropped")
    assert ways(NUMBERS) == [kept]
    assert ways(ARPABET_PLAIN) == [kept, dropped]
    assert ways(TIMIT) == [kept, dropped, ("folded", "kept"), ("folded", "dropped")]


def test_all_of_timits_silences_are_dropped():
    labels = np.array([TIMIT.index(name) for name in ("h#", "bcl", "b", "pau", "q", "aa", "epi")])
    predictions = Predictions(labels, labels, labels * 1.0, labels > 0, labels * 0.0)
    table = phone_error_table(predictions, np.array([7]), TIMIT).set_index(["labels", "silence"])
    assert table["phones"].to_dict() == {
        ("all", "kept"): 7,
        ("all", "dropped"): 2,
        ("folded", "kept"): 5,  # SIL B SIL AA SIL
        ("folded", "dropped"): 2,
    }


# All of them


@pytest.mark.parametrize("phonemes", [ARPABET_STRESS, ARPABET_PLAIN, TIMIT, NUMBERS, ("one",)])
def test_every_inventory_has_every_table_and_shares_are_rounded(phonemes):
    predictions = drawn(phonemes)
    counts = confusion_counts(predictions.labels, predictions.predicted, len(phonemes))
    tables = breakdowns(predictions, LENGTHS, SPOKEN, counts, phonemes)
    assert [*tables] == [
        "phonetic_classes", "boundaries", "stress", "speakers", "utterances", "calibration",
        "phone_errors",
    ]  # fmt: skip
    for table in tables.values():
        for column in table.select_dtypes("float"):
            known = table[column].dropna()
            assert (known == known.round(6)).all()


def test_without_errors_there_is_no_share_of_errors():
    labels = np.repeat([0, 3, 5], 10)
    predictions = Predictions(labels, labels, labels * 1.0, labels >= 0, labels * 0.0 + 1)
    counts = confusion_counts(labels, labels, 71)
    tables = breakdowns(predictions, np.array([30]), [("a", "b")], counts, ARPABET_STRESS)
    for name in ("phonetic_classes", "boundaries", "stress"):
        assert tables[name]["share_of_errors"].isna().all()
