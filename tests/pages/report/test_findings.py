"""A sentence is there where its figures reach a threshold, and says them right."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from phonemes.inventory import ARPABET_STRESS
from phonemes.pages.report import findings as rules
from phonemes.pages.report.findings import RULES, findings
from phonemes.scoring.breakdowns import phonetic_class_table, stress_table
from phonemes.scoring.tables import confusion_table, phoneme_table


def trained(run, train=None, dev=None, loss=None, lr=None, epoch=None):
    """Return a run with another history; accuracies and more of each epoch."""
    count = len(dev or train or loss or lr)
    dev = dev or [0.5] * count
    rows = {
        "epoch": range(1, count + 1),
        "train_loss": [1.0] * count,
        "dev_loss": loss or [1.0] * count,
        "train_accuracy": train or [0.5] * count,
        "dev_accuracy": dev,
        "lr": lr or [1e-3, *[1e-5] * (count - 1)],
    }
    kept = epoch or int(np.argmax(dev)) + 1
    return replace(run, history=pd.DataFrame(rows), model=run.model | {"epoch": kept})


def with_table(run, name, split="dev", **columns):
    """Return a run with some columns of a table changed."""
    table = run.tables[split][name].assign(**columns)
    return replace(run, tables=run.tables | {split: run.tables[split] | {name: table}})


def with_tables(run, **tables):
    return replace(run, tables=run.tables | {"dev": run.dev | tables})


def with_params(run, **sections):
    return replace(
        run,
        params=run.params
        | {name: run.params.get(name, {}) | values for name, values in sections.items()},
    )


def with_score(run, name, split="dev", **values):
    table = run.tables[split]["scores"].copy()
    for column, value in values.items():
        table.loc[table["score"] == name, column] = value
    return with_table(run, "scores", split, **table.to_dict("series"))


def confused(run, pairs):
    """Return a run with some confusions: frames by actual and predicted phoneme."""
    counts = np.zeros((71, 71), int)
    for (actual, predicted), frames in pairs.items():
        counts[ARPABET_STRESS.index(actual), ARPABET_STRESS.index(predicted)] = frames
    return with_tables(
        run,
        confusion=confusion_table(counts, ARPABET_STRESS),
        phonemes=phoneme_table(counts, ARPABET_STRESS),
        phonetic_classes=phonetic_class_table(counts, ARPABET_STRESS),
        stress=stress_table(counts, ARPABET_STRESS),
    )


def text(found):
    assert found is not None
    return f"{found.text} {found.advice}".strip()


def test_every_rule_is_asked_and_no_other(run):
    functions = {
        function
        for name, function in vars(rules).items()
        if callable(function)
        and getattr(function, "__module__", "") == rules.__name__
        and not name.startswith("_")
    } - {rules.Finding, findings}
    assert functions == {*RULES}
    assert findings(run) == [f for rule in RULES if (f := rule(run))]


def test_a_run_without_history_and_later_tables_has_what_it_can_tell(run):
    old = {name: run.dev[name] for name in ("scores", "confusion", "phonemes")}
    for bare in (replace(run, history=None, tables={"dev": old}), replace(run, params={})):
        assert all(found.text.endswith(".") for found in findings(bare))
    topics = {found.topic for found in findings(replace(run, history=None, tables={"dev": old}))}
    assert topics <= {"Scores", "Silence", "Never found", "Mistakes"}


# Training


def test_a_training_set_far_above_dev_is_overfitted(run):
    assert text(rules.overfitting(trained(run, [0.5, 0.66], [0.5, 0.55]))) == (
        "Overfits: accuracy on the training set is 0.660 even with dropout and distortions, on dev "
        "it is 0.550. Try more dropout, augmentation or fewer epochs."
    )


@pytest.mark.parametrize("train", [0.649, 0.3])  # lower says nothing: it is distorted
def test_a_training_set_near_or_below_dev_is_no_sign(run, train):
    assert rules.overfitting(trained(run, [0.5, train], [0.5, 0.55])) is None


def test_overfitting_is_looked_at_where_the_network_was_kept(run):
    late = trained(run, [0.5, 0.55, 0.9], [0.5, 0.54, 0.53], epoch=2)
    assert rules.overfitting(late) is None


@pytest.mark.parametrize(
    ("dropout", "scale", "words"),
    [
        (0.2, 0, " even with dropout,"),
        (0, 0.1, " even with distortions,"),
        (0, 0, ","),
    ],
)
def test_only_what_was_on_while_training_is_named(run, dropout, scale, words):
    harder = with_params(run, model={"dropout": dropout}, augment={"mel_scale": scale})
    found = rules.overfitting(trained(harder, [0.9], [0.5]))
    assert f"on the training set is 0.900{words} on dev" in found.text


def test_a_rise_in_the_last_epoch_asks_for_more(run):
    assert text(rules.still_rising(trained(run, dev=[0.5, 0.508]))) == (
        "Accuracy on dev still rose by 0.8 points in the last epoch. Train longer: train.epochs "
        "above 2."
    )


@pytest.mark.parametrize("dev", [[0.5, 0.5015], [0.5, 0.49], [0.6, 0.5, 0.55], [0.5]])
def test_a_small_rise_or_one_below_the_best_does_not(run, dev):
    assert rules.still_rising(trained(run, dev=dev)) is None


def test_epochs_after_the_best_are_counted(run):
    assert "Epoch 2 of 5 was the best on dev: the 3 epochs after it did not help." in text(
        rules.best_epoch_early(trained(run, dev=[0.5, 0.6, 0.55, 0.55, 0.55]))
    )
    assert rules.best_epoch_early(trained(run, dev=[0.5, 0.6, 0.55, 0.55])) is None


def test_a_cross_entropy_that_rises_again_is_told(run):
    assert "lowest after epoch 2, 1.000, and rose to 1.060" in text(
        rules.loss_rises(trained(run, loss=[1.5, 1.0, 1.06]))
    )
    assert rules.loss_rises(trained(run, loss=[1.5, 1.0, 1.04])) is None


def test_a_jump_that_later_epochs_make_good_is_one_of_the_learning_rate(run):
    jump = trained(run, loss=[1.5, 1.2, 1.4, 1.0], lr=[1e-3, 2e-3, 0.01, 1e-4])
    assert "jumped from 1.200 to 1.400 in epoch 3, at a learning rate of 0.01" in text(
        rules.rate_too_high(jump)
    )


@pytest.mark.parametrize("loss", [[1.5, 1.2, 1.3, 1.0], [1.5, 1.0, 1.2, 1.3], [1.5, 1.2, 1.0]])
def test_a_small_jump_or_one_for_good_is_not(run, loss):
    assert rules.rate_too_high(trained(run, loss=loss)) is None


def test_a_learning_rate_that_ends_high_is_told(run):
    found = rules.rate_ends_high(trained(run, lr=[1e-3, 2e-3, 1.8e-3]))
    assert "The learning rate of the last epoch was 90\u00a0% of its highest." in text(found)
    assert rules.rate_ends_high(trained(run, lr=[1e-3, 2e-3, 5e-4])) is None


# Scores


def test_few_speakers_have_a_wide_interval(run):
    few = with_score(run, "accuracy", low=0.812, high=0.892)
    assert (
        "Dev has 4 speakers only: for others like them, accuracy may lie anywhere from 0.812 "
        in (text(rules.few_units(few)))
    )
    many = with_table(run, "scores", units=10)
    assert rules.few_units(many) is None
    assert rules.few_units(with_score(run, "accuracy", low=np.nan, high=np.nan)) is None


def test_unknown_speakers_make_intervals_too_narrow(run):
    assert rules.unknown_speakers(run) is None
    found = text(rules.unknown_speakers(with_table(run, "scores", unit="utterances")))
    assert "too narrow where speakers have several" in found


@pytest.mark.parametrize(("test", "side"), [(0.69, "below"), (0.81, "above"), (0.75, None)])
def test_test_is_compared_with_the_interval_of_dev(run, test, side):
    dev = with_score(run, "accuracy", low=0.7, high=0.8)
    found = rules.splits_differ(with_score(dev, "accuracy", "test", value=test))
    if side is None:
        assert found is None
    else:
        assert f"Accuracy on test, {test:.3f}, lies {side} the interval of dev, 0.700" in found.text


# Errors


def test_errors_next_to_boundaries_are_compared_with_frames_there(run):
    table = run.dev["boundaries"]
    here = [0.42, *[0.116] * 5]
    assert text(rules.at_boundaries(with_table(
        run, "boundaries", share_of_errors=here, share_of_frames=[0.18, *[0.164] * 5],
        accuracy=[0.665, *table["accuracy"][1:]],
    ))) == (
        "42\u00a0% of errors lie in the 18\u00a0% of frames next to a phoneme boundary, where "
        "accuracy is 0.665."
    )  # fmt: skip
    even = with_table(run, "boundaries", share_of_errors=here, share_of_frames=[0.29, *[0.142] * 5])
    assert rules.at_boundaries(even) is None
    assert rules.at_boundaries(with_table(run, "boundaries", share_of_errors=np.nan)) is None


def test_errors_of_stress_alone_are_added_up(run):
    wrong = {("AA1", "AA0"): 10, ("AA1", "B"): 90, ("AA1", "AA1"): 100}
    found = rules.stress_alone(with_score(confused(run, wrong), "folded_accuracy", value=0.55))
    assert text(found) == (
        "10\u00a0% of errors are the stress of a vowel alone. Without stress, accuracy is 0.550."
    )
    assert rules.stress_alone(confused(run, wrong | {("AA1", "AA0"): 4})) is None


def test_errors_within_the_phonetic_class_are_added_up(run):
    mistakes = {("P", "T"): 30, ("P", "S"): 40, ("P", "P"): 100, ("S", "Z"): 30, ("S", "S"): 100}
    assert text(rules.within_classes(confused(run, mistakes))) == (
        "60\u00a0% of errors stay within the phonetic class. Most errors are in stops: "
        "70\u00a0% of all."
    )
    assert rules.within_classes(confused(run, {("P", "P"): 10})) is None


def test_errors_between_speech_and_silence_are_counted_both_ways(run):
    mistakes = {("SIL", "P"): 5, ("P", "SIL"): 10, ("P", "T"): 85, ("P", "P"): 100}
    assert text(rules.silence(confused(run, mistakes))) == (
        "15\u00a0% of errors are between speech and silence: 10 frames of speech taken for "
        "silence, 5 of silence for speech."
    )
    assert rules.silence(confused(run, mistakes | {("P", "T"): 86})) is None


def test_phonemes_that_are_never_found_are_named(run):
    lost = {("ZH", "SH"): 2, ("SIL", "SIL"): 998}
    found = rules.never_found(confused(run, lost))
    assert text(found) == (
        "1 of the 2 phonemes that occur is never found, 0.2\u00a0% of all frames: ZH. "
        "train.class_weights: sqrt favours rare phonemes, and costs accuracy."
    )
    weighted = with_params(run, train={"class_weights": "sqrt"})
    assert rules.never_found(confused(weighted, lost)).advice == ""
    assert rules.never_found(confused(run, lost | {("ZH", "SH"): 500})).advice == ""  # not rare
    assert rules.never_found(confused(run, lost | {("ZH", "ZH"): 1})) is None


def test_the_most_frequent_mistake_is_none_of_stress(run):
    mistakes = {("AA1", "AA0"): 50, ("AA1", "B"): 20, ("B", "P"): 10, ("AA1", "AA1"): 30}
    assert text(rules.most_frequent(confused(run, mistakes))) == (
        "The most frequent mistake but for stress is AA1 taken for B: 20 frames, 20\u00a0% of AA1."
    )
    assert rules.most_frequent(confused(run, {("B", "B"): 10})) is None


# Speakers, confidence and phones


def spoken(run, *accuracies):
    table = pd.DataFrame(
        {
            "speaker": [f"s{n}" for n in range(len(accuracies))],
            "utterances": 2,
            "frames": 100,
            "right": 50,
            "accuracy": accuracies,
        }
    )
    return with_tables(run, speakers=table)


def test_speakers_far_below_the_mean_are_named(run):
    assert text(rules.speakers_below(spoken(run, 0.8, 0.8, 0.68, 0.8))) == (
        "Speaker s2 is 9 points below the mean of the 4 speakers, 0.680 against 0.770."
    )
    assert text(rules.speakers_below(spoken(run, 0.6, 0.8, 0.5, 0.8, 0.8))) == (
        "2 of 5 speakers are 5 points or more below the mean, 0.700: s2, s0."
    )


@pytest.mark.parametrize("accuracies", [(0.8, 0.74, 0.8, 0.8), (0.9, 0.5), ()])
def test_speakers_near_the_mean_and_fewer_than_three_are_not(run, accuracies):
    assert rules.speakers_below(spoken(run, *accuracies)) is None


def sure(run, error, *bins):
    """Return a run with bins of confidence, accuracy and frames, and its calibration error."""
    confidence, accuracy, frames = zip(*bins, strict=True)
    table = pd.DataFrame(
        {"low": 0.0, "high": 1.0, "confidence": confidence, "accuracy": accuracy, "frames": frames}
    )
    return with_tables(with_score(run, "calibration_error", value=error), calibration=table)


def test_confidences_that_are_too_low_or_too_high_are_told(run):
    low = sure(run, 0.1, (0.5, 0.6, 50), (0.9, 1.0, 50), (np.nan, np.nan, 0))
    assert text(rules.miscalibrated(low)) == (
        "Confidences are too low: 0.700 on average, 0.100 below the share of frames that are right "
        "(expected calibration error 0.100). Less label smoothing (train.label_smoothing, now 0.1) "
        "makes them higher."
    )
    high = sure(run, 0.1, (0.6, 0.5, 50), (1.0, 0.9, 50))
    assert "too high: 0.800 on average, 0.100 above the share" in rules.miscalibrated(high).text
    mixed = sure(run, 0.1, (0.6, 0.5, 50), (0.8, 0.9, 50))
    assert "too high for some frames and too low for others" in rules.miscalibrated(mixed).text


def test_confidences_that_fit_are_not(run):
    assert rules.miscalibrated(sure(run, 0.029, (0.6, 0.571, 50))) is None


def test_what_makes_confidences_high_depends_on_the_parameters(run):
    high = sure(run, 0.1, (0.6, 0.5, 50))
    plain = with_params(high, train={"label_smoothing": 0})
    assert "Label smoothing (train.label_smoothing) makes" in rules.miscalibrated(plain).advice
    smooth = with_params(high, smooth={"lm_scale": 1})
    assert "a lower smooth.acoustic_scale" in rules.miscalibrated(smooth).advice
    assert rules.miscalibrated(high).advice == ""  # label smoothing is on already


def with_phones(run, phones, predicted):
    columns = {"phones": phones, "predicted_phones": predicted, "error_rate": 0.25}
    return with_table(run, "phone_errors", **columns)


def test_too_many_phones_ask_for_smoothing_and_too_few_do_not(run):
    assert text(rules.number_of_phones(with_phones(run, 100, 115))) == (
        "Predictions have 15\u00a0% more phones than are spoken: labels change too often. The "
        "phone error rate is 0.250. Smooth them over time: "
        "`dvc exp run $(phonemes recipe smoothed)`."
    )
    smoothed = with_params(with_phones(run, 100, 115), smooth={"lm_scale": 1})
    assert rules.number_of_phones(smoothed).advice == ""
    assert "12\u00a0% fewer phones" in text(rules.number_of_phones(with_phones(run, 100, 88)))


@pytest.mark.parametrize("predicted", [91, 100, 109])
def test_about_as_many_phones_are_not_told(run, predicted):
    assert rules.number_of_phones(with_phones(run, 100, predicted)) is None
