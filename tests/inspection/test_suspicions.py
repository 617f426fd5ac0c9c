"""Each way to look wrong is named with its place; an utterance that looks right is not."""

import numpy as np
import pytest
from inspection.speech import AA1, PHONEMES, SIL, SPN, STRIDE, N, S, T, speech

from phonemes.inspection.frames import frame_facts
from phonemes.inspection.labels import kinds, label_facts
from phonemes.inspection.suspicions import Facts, robust_z, suspicions

KINDS = kinds(PHONEMES, STRIDE)
WRONG = 7  # the utterance that is spoilt, of 30


def facts_of(frames, labels, of_names):
    silent = of_names.silent[labels] if of_names.silent.any() else None
    return Facts(len(frames), frame_facts(frames, silent)[0], label_facts(labels, of_names))


def good():
    return [facts_of(*speech(number), KINDS) for number in range(30)]


def suspected(spoil, names=PHONEMES):
    """Return the suspicions of good utterances of which one is spoilt."""
    utterances = [speech(number) for number in range(30)]
    spoil(*utterances[WRONG])
    facts = [facts_of(*utterance, kinds(names, STRIDE)) for utterance in utterances]
    return suspicions(facts, names, STRIDE, deviation=4.0)


def unlabelled(facts):
    return [Facts(length, frames._replace(separation=np.nan), None) for length, frames, _ in facts]


def assert_named(found, reason, detail):
    assert [(each.utterance, each.reason, each.detail) for each in found] == [
        (WRONG, reason, detail)
    ]


def test_good_utterances_are_not_suspected():
    assert suspicions(good(), PHONEMES, STRIDE, 4.0) == []
    assert suspicions(unlabelled(good()), PHONEMES, STRIDE, 4.0) == []


def test_no_silence_at_the_ends_is_not_suspected():
    def spoil(frames, labels):
        labels[:20], labels[-20:] = N, N
        frames[:20] += 8
        frames[-20:] += 8

    assert suspected(spoil) == []


def test_one_label_for_all_frames():
    def spoil(frames, labels):
        labels[:] = S

    length = len(speech(WRONG)[1])
    assert_named(
        suspected(spoil), "one label for all frames", f"all {length} frames are labelled S"
    )


def stretched(label, frames_of_run):
    """Return what labels a run of frames in the middle of an utterance."""

    def spoil(frames, labels):
        labels[24 : 26 + frames_of_run] = N
        labels[25 : 25 + frames_of_run] = label

    return spoil


@pytest.mark.parametrize(
    ("label", "count", "detail"),
    [(T, 55, "T lasts 0.55 s from 0.25 s"), (AA1, 101, "AA1 lasts 1.01 s from 0.25 s")],
)
def test_a_phoneme_that_nobody_holds_as_long(label, count, detail):
    (found,) = [
        each
        for each in suspected(stretched(label, count))
        if each.reason == "a phoneme or pause too long to be right"
    ]
    assert (found.utterance, found.detail) == (WRONG, detail)
    assert (found.start, found.seconds) == (0.25, pytest.approx(count / 100))


@pytest.mark.parametrize(("label", "count"), [(T, 45), (S, 60), (AA1, 90), (SPN, 90)])
def test_a_phoneme_that_can_last_as_long(label, count):
    found = suspected(stretched(label, count))
    assert [
        each for each in found if each.reason == "a phoneme or pause too long to be right"
    ] == []


def test_phonemes_of_a_frame_or_two():
    def spoil(frames, labels):
        spoken = labels != SIL
        labels[spoken] = np.arange(spoken.sum()) // 2 % 4 + 2

    found = suspected(spoil)
    assert [each.reason for each in found] == [
        "phonemes too short to be spoken",
        "extreme speaking rate",
    ]
    assert found[0].detail.endswith("phonemes last 0.02 s or less")
    assert "50.0 phonemes/s, the median is 12." in found[1].detail


def test_an_extreme_speaking_rate():
    facts = good()
    runs = np.repeat([SIL, *[AA1, S] * 5, SIL], 40).astype(np.int16)  # phonemes of 0.4 s
    facts[WRONG] = facts[WRONG]._replace(labels=label_facts(runs, KINDS))
    (found,) = suspicions(facts, PHONEMES, STRIDE, 4.0)
    assert (found.utterance, found.reason) == (WRONG, "extreme speaking rate")
    assert found.detail.startswith("2.5 phonemes/s, the median is 12.")


def test_a_rate_that_differs_little_is_not_suspected_however_alike_the_others_are():
    facts = [each._replace(labels=good()[0].labels) for each in good()]
    labels = facts[0].labels
    facts[WRONG] = facts[WRONG]._replace(
        labels=labels._replace(spoken_frames=int(labels.spoken_frames * 1.4))
    )
    assert suspicions(facts, PHONEMES, STRIDE, 4.0) == []


def test_a_level_far_from_the_others_with_and_without_labels():
    facts = good()
    frames, labels = speech(WRONG)
    facts[WRONG] = facts_of(frames + 6, labels, KINDS)
    for given in (facts, unlabelled(facts)):
        (found,) = suspicions(given, PHONEMES, STRIDE, 4.0)
        assert (found.utterance, found.reason) == (WRONG, "level far from that of the others")
        assert found.detail.startswith(f"{facts[WRONG].frames.level:.2f}, the median is ")


def test_levels_that_are_normalized_are_not_suspected_for_what_rounding_left():
    facts = unlabelled(good())
    for number, each in enumerate(facts):
        level = 1e-6 * number**3
        facts[number] = each._replace(frames=each.frames._replace(level=level))
    assert suspicions(facts, PHONEMES, STRIDE, 1.0) == []


def test_equal_frames():
    def spoil(frames, labels):
        frames[30:45] = frames[30]

    assert_named(
        suspected(spoil), "frames that do not change", "15 equal frames, 0.15 s from 0.30 s"
    )


def test_a_few_equal_frames_are_not_suspected():
    def spoil(frames, labels):
        frames[30:39] = frames[30]

    assert suspected(spoil) == []


def test_an_utterance_of_equal_frames():
    def spoil(frames, labels):
        frames[:] = 1

    length = len(speech(WRONG)[1])
    assert f"all {length} frames are equal" in [each.detail for each in suspected(spoil)]


def test_silence_that_is_louder_than_speech():
    def spoil(frames, labels):
        labels[:] = np.where(labels == SIL, N, SIL)

    found = [
        each for each in suspected(spoil) if each.reason == "silence that is louder than speech"
    ]
    assert_named(
        found,
        "silence that is louder than speech",
        "louder in 100 % of the pairs of a silent and a spoken frame",
    )


def test_silence_is_not_compared_where_the_mean_of_bands_is_no_level():
    facts = [
        each._replace(frames=each.frames._replace(separation=0.4 + number / 100))
        for number, each in enumerate(good())
    ]
    assert suspicions(facts, PHONEMES, STRIDE, 4.0) == []


def test_without_a_name_for_silence_pauses_are_not_suspected():
    names = tuple(map(str, range(6)))
    assert suspected(stretched(SIL, 100), names=names) == []


def test_the_most_severe_comes_first_within_a_reason():
    facts = unlabelled(good())
    for number, level in ((3, 20.0), (5, -30.0)):
        facts[number] = facts[number]._replace(frames=facts[number].frames._replace(level=level))
    found = suspicions(facts, PHONEMES, STRIDE, 4.0)
    assert [each.utterance for each in found] == [5, 3]


# Robust z-scores


def test_a_robust_z_is_one_deviation_of_a_normal_distribution():
    values = np.random.default_rng(0).normal(3, 2, 100_001)
    scores = robust_z(values)
    assert scores.std() == pytest.approx(1, abs=0.02)
    assert np.median(scores) == 0


def test_an_outlier_does_not_hide_itself():
    values = np.append(np.arange(11.0), 1e9)
    assert robust_z(values)[-1] > 1e8


def test_scores_are_zero_for_few_equal_or_unknown_values():
    assert robust_z(np.arange(9.0)).tolist() == [0] * 9
    assert robust_z(np.full(20, 4.0)).tolist() == [0] * 20
    unknown = np.append(np.arange(20.0), np.nan)
    assert robust_z(unknown)[-1] == 0
    assert (robust_z(unknown)[:-1] == robust_z(np.arange(20.0))).all()
