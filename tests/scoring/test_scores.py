"""Scores are those of scikit-learn; their intervals hold for other speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from phonemes.inventory import ARPABET_STRESS, TIMIT, fold
from phonemes.scoring.scores import (
    UNBOUNDED,
    Predictions,
    independent_units,
    intervals,
    scores,
    unit_sums,
)

NUMBERS = tuple("012345")
several_lengths = st.lists(st.integers(1, 8), min_size=1, max_size=8).map(np.array)
inventories = st.sampled_from([NUMBERS, ARPABET_STRESS, TIMIT])


def drawn(frames, classes, seed=0, skill=1.0):
    """Return random predictions and the probabilities, (N, P), they were made from."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, frames).astype(np.int16)
    logits = random.normal(size=(frames, classes))
    logits[np.arange(frames), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    own = probabilities[np.arange(frames), labels]
    predictions = Predictions(
        labels,
        probabilities.argmax(1),
        -np.log(own).astype(np.float32),
        (probabilities > own[:, None]).sum(1) < 3,
        probabilities.max(1),
    )
    return predictions, probabilities


def by_utterance(predictions, lengths, phonemes):
    """Return the sums of each utterance."""
    return unit_sums(predictions, lengths, independent_units([""] * len(lengths)), phonemes)


def split_sums(predictions, lengths, phonemes):
    """Return the sums over all utterances of a split."""
    sums = by_utterance(predictions, lengths, phonemes)
    return {name: values.sum(0) for name, values in sums.items()}


def scored(labels, predicted, phonemes):
    """Return the scores of one utterance."""
    labels, predicted = np.array(labels), np.array(predicted)
    zeros = np.zeros(len(labels))
    predictions = Predictions(labels, predicted, zeros, zeros.astype(bool), zeros)
    return scores(split_sums(predictions, np.array([len(labels)]), phonemes))


# The same scores as scikit-learn


@given(several_lengths, inventories, st.integers(0, 99))
def test_scores_are_those_of_scikit_learn(lengths, phonemes, seed):
    count = len(phonemes)
    predictions, probabilities = drawn(lengths.sum(), count, seed)
    labels, predicted = predictions.labels, predictions.predicted
    actual = scores(split_sums(predictions, lengths, phonemes))
    occurring = np.unique(labels)
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(
            labels, predicted, labels=occurring, average="macro", zero_division=0
        ),
        "cross_entropy": metrics.log_loss(labels, probabilities, labels=range(count)),
        "top3_accuracy": metrics.top_k_accuracy_score(
            labels, probabilities, k=3, labels=range(count)
        ),
    }
    for name, value in expected.items():
        assert actual[name] == pytest.approx(value, rel=1e-5), name


def test_no_count_overflows_the_labels_small_type():
    labels = np.full(100_000, 345, np.int16)
    zeros = np.zeros(len(labels))
    lengths = np.full(1000, 100)
    predictions = Predictions(labels, labels, zeros, zeros > 0, zeros)
    sums = by_utterance(predictions, lengths, tuple(map(str, range(346))))
    assert (sums["hits"][:, 345] == 100).all()


@given(several_lengths, inventories)
def test_sums_of_utterances_are_those_of_each_on_its_own(lengths, phonemes):
    predictions, _ = drawn(lengths.sum(), len(phonemes))
    together = by_utterance(predictions, lengths, phonemes)
    ends = np.cumsum(lengths)
    for number, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        single = Predictions(*(values[start:end] for values in predictions))
        sums = by_utterance(single, lengths[number : number + 1], phonemes)
        assert sums.keys() == together.keys()
        for name, values in sums.items():
            np.testing.assert_allclose(together[name][number], values[0])


# What the scores mean


def test_phonemes_that_do_not_occur_do_not_bias_macro_f1():
    labels, predicted = [0, 0, 1, 1], [0, 0, 1, 0]
    few = scored(labels, predicted, NUMBERS[:2])["macro_f1"]
    many = scored(labels, predicted, NUMBERS)["macro_f1"]
    assert many == few == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_a_phoneme_that_is_only_predicted_costs_those_it_was_taken_for():
    assert scored([0, 0], [0, 5], NUMBERS)["macro_f1"] == pytest.approx(2 / 3)


def test_perfect_predictions_score_1():
    perfect = scored(range(71), range(71), ARPABET_STRESS)
    names = ["accuracy", "macro_f1", "folded_accuracy", "accuracy_without_sil"]
    assert [perfect[name] for name in names] == [1, 1, 1, 1]


def test_a_wrong_stress_is_right_once_stress_is_folded():
    one, two, other = (ARPABET_STRESS.index(name) for name in ("AH0", "AH1", "AA1"))
    result = scored([one, one, one], [one, two, other], ARPABET_STRESS)
    assert result["accuracy"] == pytest.approx(1 / 3)
    assert result["folded_accuracy"] == pytest.approx(2 / 3)


@given(several_lengths, st.sampled_from([ARPABET_STRESS, TIMIT]), st.integers(0, 99))
def test_folding_never_lowers_accuracy_and_agrees_with_folded_names(lengths, phonemes, seed):
    predictions, _ = drawn(lengths.sum(), len(phonemes), seed, skill=3)
    result = scores(split_sums(predictions, lengths, phonemes))
    names = np.array(fold(phonemes))
    right = names[predictions.labels] == names[predictions.predicted]
    assert result["folded_accuracy"] == pytest.approx(right.mean())
    assert result["folded_accuracy"] >= result["accuracy"]


def test_accuracy_without_silence_looks_at_labels_that_are_not_silence():
    sil, ah, b = (ARPABET_STRESS.index(name) for name in ("SIL", "AH0", "B"))
    result = scored([sil, sil, sil, ah, b], [sil, ah, ah, ah, sil], ARPABET_STRESS)
    assert result["accuracy_without_sil"] == pytest.approx(1 / 2)
    assert result["accuracy"] == pytest.approx(2 / 5)


def test_every_silence_of_timit_is_silence():
    silences = [TIMIT.index(name) for name in ("h#", "pau", "epi", "bcl", "q")]
    result = scored([*silences, TIMIT.index("aa")], [0] * 5 + [TIMIT.index("aa")], TIMIT)
    assert result["accuracy_without_sil"] == 1


def test_without_speech_there_is_no_accuracy_without_silence():
    result = scored([0, 0], [0, 1], ARPABET_STRESS)
    assert np.isnan(result["accuracy_without_sil"])
    assert result["accuracy"] == 0.5


def test_numbered_classes_have_no_folded_scores():
    assert set(scored([0, 1], [0, 2], NUMBERS)) == {
        "accuracy",
        "macro_f1",
        "cross_entropy",
        "top3_accuracy",
        "phone_error_rate",
        "calibration_error",
    }


def test_the_phone_error_rate_counts_edits_of_all_utterances_over_all_phones():
    #              C A T          D O G, of the truth; one deletion; one substitution and insertion
    labels = np.array([1, 1, 2, 3, 3, 4, 5, 5, 5, 0])
    predicted = np.array([1, 1, 2, 2, 2, 4, 4, 3, 2, 0])
    zeros = np.zeros(10)
    predictions = Predictions(labels, predicted, zeros, zeros > 0, zeros)
    sums = split_sums(predictions, np.array([5, 5]), NUMBERS)
    assert (sums["phone_errors"], sums["phones"]) == (3, 6)
    assert scores(sums)["phone_error_rate"] == 0.5


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy_of_each_bin():
    confidence = np.array([0.81, 0.85, 0.87, 0.87, 0.15, 1.0])
    right = np.array([True, True, False, False, True, True])
    labels = np.zeros(6, int)
    predictions = Predictions(labels, np.where(right, 0, 1), confidence, right, confidence)
    found = scores(split_sums(predictions, np.array([6]), NUMBERS))["calibration_error"]
    assert found == pytest.approx((4 * (0.85 - 0.5) + (1 - 0.15) + 0) / 6)


def test_gaps_of_speakers_in_one_bin_cancel_only_where_they_are_pooled():
    confidence = np.array([0.75, 0.75])
    predictions = Predictions(
        np.array([0, 0]), np.array([0, 1]), confidence, confidence > 0, confidence
    )
    one, two = (
        unit_sums(predictions, np.array([1, 1]), independent_units(speakers), NUMBERS)
        for speakers in (["a", "a"], ["a", "b"])
    )
    for sums in (one, two):
        total = {name: values.sum(0) for name, values in sums.items()}
        assert scores(total)["calibration_error"] == pytest.approx(0.25)
    assert scores(two)["calibration_error"] == pytest.approx([0.25, 0.75])


# What intervals count


def test_speakers_are_the_units_where_they_are_known():
    kind, count, units = independent_units(["b", "a", "b", "c"])
    assert (kind, count, units.tolist()) == ("speakers", 3, [0, 1, 0, 2])


def test_utterances_are_the_units_where_no_speaker_is_known():
    kind, count, units = independent_units(["", "", ""])
    assert (kind, count, units.tolist()) == ("utterances", 3, [0, 1, 2])


def test_an_utterance_of_an_unknown_speaker_is_a_unit_of_its_own():
    kind, count, units = independent_units(["a", "", "a", "", "1"])
    assert (kind, count, units.tolist()) == ("speakers and utterances", 4, [0, 1, 0, 2, 3])


@given(several_lengths, st.sampled_from([NUMBERS, ARPABET_STRESS]), st.integers(0, 99))
def test_sums_of_a_speaker_are_those_of_its_utterances(lengths, phonemes, seed):
    speakers = [f"{number}" for number in np.random.default_rng(seed).integers(0, 3, len(lengths))]
    predictions, _ = drawn(lengths.sum(), len(phonemes), seed)
    units = independent_units(speakers)
    sums, single = (
        unit_sums(predictions, lengths, units, phonemes),
        by_utterance(predictions, lengths, phonemes),
    )
    for name, values in sums.items():
        for unit in range(units.number):
            own = single[name][units.of_utterance == unit]
            np.testing.assert_allclose(values[unit], own.sum(0))


# Intervals


def simulated(units, length=10, seed=0, classes=6):
    """Return predictions of utterances that differ in difficulty, and their lengths."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 2 * length, units)
    predictions, _ = drawn(lengths.sum(), classes, seed, skill=2)
    hard = np.repeat(random.random(units) < 0.3, lengths)
    wrong = np.where(hard, (predictions.labels + 1) % classes, predictions.predicted)
    return predictions._replace(predicted=wrong), lengths


def accuracy_of(right, frames):
    """Return the interval of an accuracy of units by their correct frames and frames."""
    right, frames = np.array(right, float), np.array(frames, float)
    one = frames[..., None]
    sums = {"frames": frames, "right": right, "top3": right, "loss": frames - right}
    sums |= {"phones": frames, "phone_errors": frames - right, "excess": one}
    return intervals(sums | {"support": one, "claimed": one, "hits": right[..., None]})["accuracy"]


def test_the_interval_of_equally_long_speakers_is_students_over_their_accuracies():
    accuracies = np.array([0.8, 0.85, 0.9, 0.7])
    value, low, high = accuracy_of(1000 * accuracies, [1000] * 4)
    expected = stats.t.interval(0.95, 3, accuracies.mean(), stats.sem(accuracies))
    assert value == pytest.approx(accuracies.mean())
    assert (low, high) == pytest.approx(expected)


def test_speakers_that_weigh_unevenly_count_for_fewer():
    accuracies = np.array([0.8, 0.85, 0.9, 0.7])
    value, low, high = accuracy_of(accuracies * [4000, 1000, 1000, 1000], [4000] + [1000] * 3)
    freedom = 7**2 / (4**2 + 3) - 1  # 1.6 instead of 3
    without_one = (4 * 0.8 + 0.85 + 0.9 + 0.7 - accuracies * [4, 1, 1, 1]) / [3, 6, 6, 6]
    error = np.sqrt(3 / 4 * ((without_one - without_one.mean()) ** 2).sum())
    assert (
        high - value
        == pytest.approx(value - low)
        == pytest.approx(min(stats.t.ppf(0.975, freedom) * error, 1 - value))
    )


@pytest.mark.parametrize("phonemes", [NUMBERS, ARPABET_STRESS])
def test_every_interval_agrees_with_a_plain_loop_that_leaves_one_unit_out(phonemes):
    predictions, lengths = simulated(12, classes=len(phonemes))
    unit = np.repeat(np.arange(12), lengths)
    without_one = []
    for left_out in range(12):
        rest = Predictions(*(values[unit != left_out] for values in predictions))
        without_one.append(scores(split_sums(rest, np.delete(lengths, left_out), phonemes)))
    freedom = lengths.sum() ** 2 / (lengths**2).sum() - 1
    found = intervals(by_utterance(predictions, lengths, phonemes))
    assert found.keys() == without_one[0].keys()
    for name, (value, low, high) in found.items():
        values = np.array([each[name] for each in without_one])
        reach = stats.t.ppf(0.975, freedom) * np.sqrt(11 / 12 * 12 * values.var())
        assert value == pytest.approx(scores(split_sums(predictions, lengths, phonemes))[name])
        assert low == pytest.approx(max(value - reach, 0))
        assert high == pytest.approx(value + reach if name in UNBOUNDED else min(value + reach, 1))


def test_an_interval_of_many_utterances_is_as_wide_as_theory_says():
    right = np.random.default_rng(0).random(400) < 0.7  # for all frames of an utterance
    value, low, high = accuracy_of(5 * right, [5] * 400)
    normal = 2 * 1.96 * np.sqrt(value * (1 - value) / 400)  # 400 draws, not 2000
    assert high - low == pytest.approx(normal, rel=0.01)


def test_no_interval_leaves_the_range_of_its_score():
    found = intervals(by_utterance(*simulated(2), NUMBERS))
    for name, (value, low, high) in found.items():
        assert 0 <= low <= value <= high
        assert name in UNBOUNDED or high <= 1


def test_one_unit_has_scores_and_no_interval():
    for value, low, high in intervals(by_utterance(*simulated(1), ARPABET_STRESS)).values():
        assert np.isfinite(value)
        assert np.isnan(low) and np.isnan(high)


def coverage(speakers, utterances, between, within, runs):
    """Return how often the interval of the accuracy holds the mean over all speakers.

    Args:
        speakers: of a split.
        utterances: of each speaker.
        between: standard deviation of accuracy over speakers.
        within: standard deviation over the utterances of one.
        runs: how many splits are drawn.
    """
    random, mean = np.random.default_rng(speakers), 0.852
    utterances = np.broadcast_to(utterances, speakers)
    speaker = np.repeat(np.arange(speakers), utterances)
    own = mean + between * random.standard_normal((speakers, runs))
    accuracy = own[speaker] + within * random.standard_normal((len(speaker), runs))
    frames = random.integers(150, 600, accuracy.shape)
    right = (accuracy.clip(0, 1) * frames).round()
    firsts = np.cumsum(utterances) - utterances
    found = accuracy_of(np.add.reduceat(right, firsts), np.add.reduceat(frames, firsts))
    return ((found.low <= mean) & (mean <= found.high)).mean()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("speakers", "utterances", "between", "within"),
    [
        (4, 18, 0.0179, 0.0822),  # the generated corpus's dev
        (5, 14, 0.0649, 0.0685),  # its test
        (10, 7, 0.0649, 0.0685),
        (10, 1, 0.0, 0.07),
        (40, 67, 0.03, 0.07),
    ],
)
def test_intervals_hold_for_other_speakers_as_often_as_meant(speakers, utterances, between, within):
    assert 0.93 <= coverage(speakers, utterances, between, within, runs=3000) <= 0.97


@pytest.mark.heavy
@pytest.mark.parametrize("utterances", [[40, 20, 10, 2], [50, 10, 5, 5, 2], [100] + [5] * 9])
def test_intervals_hold_where_some_speakers_speak_far_more_than_others(utterances):
    assert coverage(len(utterances), utterances, 0.05, 0.07, runs=3000) >= 0.93
