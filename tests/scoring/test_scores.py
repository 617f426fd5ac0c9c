"""Scores are those of scikit-learn; their intervals are those of resampled utterances."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from phonemes.inventory import ARPABET_STRESS, TIMIT, fold
from phonemes.scoring.scores import (
    Predictions,
    confusion_counts,
    phoneme_scores,
    scores,
    utterance_sums,
    with_intervals,
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
    )
    return predictions, probabilities


def split_sums(predictions, lengths, phonemes):
    """Return the sums over all utterances of a split."""
    sums = utterance_sums(predictions, lengths, phonemes)
    return {name: values.sum(0) for name, values in sums.items()}


def scored(labels, predicted, phonemes):
    """Return the scores of one utterance."""
    labels, predicted = np.array(labels), np.array(predicted)
    zeros = np.zeros(len(labels))
    predictions = Predictions(labels, predicted, zeros, zeros.astype(bool))
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


@given(several_lengths, inventories, st.integers(0, 99))
def test_scores_by_phoneme_are_those_of_scikit_learn(lengths, phonemes, seed):
    predictions, _ = drawn(lengths.sum(), len(phonemes), seed)
    actual = phoneme_scores(split_sums(predictions, lengths, phonemes))
    expected = metrics.precision_recall_fscore_support(
        predictions.labels, predictions.predicted, labels=range(len(phonemes)), zero_division=0
    )
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


@given(st.integers(1, 60), st.integers(0, 99))
def test_confusions_are_those_of_scikit_learn(frames, seed):
    predictions, _ = drawn(frames, 71, seed)
    expected = metrics.confusion_matrix(predictions.labels, predictions.predicted, labels=range(71))
    actual = confusion_counts(predictions.labels, predictions.predicted, 71)
    np.testing.assert_array_equal(actual, expected)


def test_no_count_overflows_the_labels_small_type():
    labels = np.full(100_000, 345, np.int16)
    counts = confusion_counts(labels, labels, 346)
    assert counts[345, 345] == counts.sum() == 100_000
    zeros = np.zeros(len(labels))
    lengths = np.full(1000, 100)
    sums = utterance_sums(
        Predictions(labels, labels, zeros, zeros > 0), lengths, tuple(map(str, range(346)))
    )
    assert (sums["hits"][:, 345] == 100).all()


@given(several_lengths, inventories)
def test_sums_of_utterances_are_those_of_each_on_its_own(lengths, phonemes):
    predictions, _ = drawn(lengths.sum(), len(phonemes))
    together = utterance_sums(predictions, lengths, phonemes)
    ends = np.cumsum(lengths)
    for number, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        single = Predictions(*(values[start:end] for values in predictions))
        sums = utterance_sums(single, lengths[number : number + 1], phonemes)
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


def test_without_speech_there_is_nothing_to_get_right():
    assert scored([0, 0], [0, 1], ARPABET_STRESS)["accuracy_without_sil"] == 0


def test_numbered_classes_have_no_folded_scores():
    assert set(scored([0, 1], [0, 2], NUMBERS)) == {
        "accuracy",
        "macro_f1",
        "cross_entropy",
        "top3_accuracy",
    }


# Intervals


def simulated(utterances, length=10, seed=0, classes=6):
    """Return predictions of utterances that differ in difficulty, and their lengths."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 2 * length, utterances)
    predictions, _ = drawn(lengths.sum(), classes, seed, skill=2)
    hard = np.repeat(random.random(utterances) < 0.3, lengths)
    wrong = np.where(hard, (predictions.labels + 1) % classes, predictions.predicted)
    return predictions._replace(predicted=wrong), lengths


def intervals(predictions, lengths, phonemes=NUMBERS, resamples=200, seed=0):
    return with_intervals(utterance_sums(predictions, lengths, phonemes), resamples, seed)


def width(result, name="accuracy"):
    return result[f"{name}_high"] - result[f"{name}_low"]


@pytest.mark.parametrize("phonemes", [NUMBERS, ARPABET_STRESS])
def test_every_interval_holds_its_score(phonemes):
    predictions, lengths = simulated(50, classes=len(phonemes))
    result = intervals(predictions, lengths, phonemes)
    point = scores(split_sums(predictions, lengths, phonemes))
    assert set(result) == {name + end for name in point for end in ("", "_low", "_high")}
    for name, value in point.items():
        assert result[name] == pytest.approx(float(value))
        if name != "macro_f1":  # rare phonemes vanish from resamples
            assert result[f"{name}_low"] < result[name] < result[f"{name}_high"]


def test_intervals_agree_with_a_plain_loop_over_resampled_utterances():
    predictions, lengths = simulated(12)
    ends = np.cumsum(lengths)
    parts = [slice(end - length, end) for length, end in zip(lengths, ends, strict=True)]
    random = np.random.default_rng(3)
    resampled = []
    for _ in range(150):
        times = random.multinomial(12, np.full(12, 1 / 12))
        rows = np.concatenate(
            [
                np.arange(100_000)[part]
                for part, n in zip(parts, times, strict=True)
                for _ in range(n)
            ]
        )
        labels, predicted = predictions.labels[rows], predictions.predicted[rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f1 = metrics.f1_score(
                labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
            )
        resampled.append(
            {
                "accuracy": (labels == predicted).mean(),
                "macro_f1": f1,
                "cross_entropy": predictions.loss[rows].mean(dtype=np.float64),
                "top3_accuracy": predictions.top3[rows].mean(),
            }
        )
    result = intervals(predictions, lengths, resamples=150, seed=3)
    for name in resampled[0]:
        low, high = np.quantile([values[name] for values in resampled], [0.025, 0.975])
        assert result[f"{name}_low"] == pytest.approx(low)
        assert result[f"{name}_high"] == pytest.approx(high)


def test_an_interval_is_as_wide_as_theory_says():
    lengths = np.full(400, 5)
    right = np.random.default_rng(0).random(400) < 0.7  # for all frames of an utterance
    labels = np.zeros(2000, int)
    predictions = Predictions(labels, np.repeat(1 - right, 5), np.zeros(2000), np.zeros(2000, bool))
    share = right.mean()
    normal = 2 * 1.96 * np.sqrt(share * (1 - share) / 400)  # 400 draws, not 2000
    assert width(intervals(predictions, lengths, resamples=2000)) == pytest.approx(normal, rel=0.1)


def test_intervals_shrink_with_more_utterances():
    widths = [width(intervals(*simulated(utterances))) for utterances in (20, 200, 2000)]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_one_utterance_has_no_interval():
    predictions, lengths = simulated(1)
    assert width(intervals(predictions, lengths)) == 0


def test_the_same_seed_gives_the_same_intervals_and_another_does_not():
    predictions, lengths = simulated(30)
    first, again, other = (intervals(predictions, lengths, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first["accuracy"] == other["accuracy"]


def test_all_scores_are_plain_numbers():
    result = intervals(*simulated(5))
    assert {type(value) for value in result.values()} == {float}
