"""Each group of frames gets mean 0 and deviation 1, from the statistics of its own frames."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.normalize import (
    SMALLEST_DEVIATION,
    group_utterances,
    identity,
    map_adapted,
    normalized,
    pooled,
    split_statistics,
    statistics,
    utterances,
)

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(np.array)


def random_frames(lengths, bands=3, seed=0):
    random = np.random.default_rng(seed)
    scale, offset = random.uniform(0.5, 4, bands), random.uniform(-10, 10, bands)
    return (random.normal(size=(lengths.sum(), bands)) * scale + offset).astype(np.float32)


def by_hand(frames, lengths, groups, variance=True):
    """Return the normalized frames, in float64 and one group at a time."""
    owner = np.repeat(groups, lengths)
    result = frames.astype(np.float64)
    for group in np.unique(groups):
        own = result[owner == group]
        result[owner == group] = (own - own.mean(0)) / (own.std(0) if variance else 1)
    return result


def normalize(frames, lengths, groups, variance=True):
    """Return a split normalized with its own statistics."""
    given = statistics(frames, lengths, groups)
    return np.concatenate(list(normalized(frames, lengths, groups, given, variance=variance)))


@given(several_lengths)
def test_utterances_are_cut_where_they_end(lengths):
    frames = random_frames(lengths)
    parts = list(utterances(frames, lengths))
    assert [len(part) for part in parts] == lengths.tolist()
    np.testing.assert_array_equal(np.concatenate(parts), frames)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5).map(np.array))
def test_every_utterance_gets_mean_0_and_deviation_1(lengths):
    frames = random_frames(lengths)
    done = normalize(frames, lengths, np.arange(len(lengths)))
    for before, after in zip(utterances(frames, lengths), utterances(done, lengths), strict=True):
        np.testing.assert_allclose(after.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(after.std(0), 1, atol=1e-3)
        order = np.argsort(before[:, 0], kind="stable")
        assert (np.diff(after[order, 0]) >= 0).all()  # the shape is kept


@given(several_lengths, st.data(), st.booleans())
def test_every_grouping_agrees_with_float64_one_group_at_a_time(lengths, data, variance):
    drawn = data.draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths)))
    groups = np.unique(drawn, return_inverse=True)[1]
    frames = random_frames(lengths)
    for group in range(groups.max() + 1):  # two frames at least, so that they can deviate
        lengths = np.where(groups == group, np.maximum(lengths, 2), lengths)
    frames = random_frames(lengths)
    expected = by_hand(frames, lengths, groups, variance)
    done = normalize(frames, lengths, groups, variance)
    assert done.dtype == np.float32
    np.testing.assert_allclose(done, expected, rtol=1e-3, atol=1e-4)


def test_a_constant_coefficient_becomes_0_and_not_nan():
    lengths = np.array([3, 4])
    frames = random_frames(lengths)
    frames[:3, 1], frames[3:, 1] = 0.1, 1000.1
    done = normalize(frames, lengths, np.arange(2))
    np.testing.assert_allclose(done[:, 1], 0, atol=1e-6)
    assert np.isfinite(done).all()


def test_an_utterance_of_one_frame_becomes_zeros():
    lengths = np.array([3, 1, 2])
    done = normalize(random_frames(lengths), lengths, np.arange(3))
    np.testing.assert_allclose(done[3], 0, atol=1e-6)
    assert (abs(done[[0, 1, 2, 4, 5]]) > 1e-3).all()


def test_no_deviation_is_smaller_than_the_smallest():
    frames = np.array([[0, 0], [1e-7, 1]], np.float32)
    deviation = statistics(frames, np.array([2]), np.array([0])).deviation
    assert deviation.tolist() == [[SMALLEST_DEVIATION, 0.5]]


@pytest.mark.parametrize("value", [1e3, 1e6, 1e8, 1e10, 1e30])
@pytest.mark.parametrize("place", [0, 1500, 2999])
def test_an_odd_frame_costs_no_other_utterance_a_digit(value, place):
    lengths = np.array([1000, 1000, 1000])
    frames = np.random.default_rng(0).standard_normal((3000, 2)).astype(np.float32)
    clean = statistics(frames, lengths, np.arange(3))
    exact = frames.astype(np.float64).reshape(3, 1000, 2)
    np.testing.assert_allclose(clean.deviation, exact.std(1), rtol=1e-13)
    frames[place] = value
    found = statistics(frames, lengths, np.arange(3))
    others = np.arange(3) != place // 1000
    np.testing.assert_array_equal(found.mean[others], clean.mean[others])
    np.testing.assert_array_equal(found.deviation[others], clean.deviation[others])


@pytest.mark.parametrize("offset", [1e3, -1e4, 1e5])
def test_a_large_offset_costs_no_digits_of_the_statistics(offset):
    lengths = np.array([500, 500])
    frames = np.random.default_rng(0).normal(offset, 1, (1000, 2)).astype(np.float32)
    given = statistics(frames, lengths, np.zeros(2, int))
    exact = frames.astype(np.float64)
    np.testing.assert_allclose(given.mean, exact.mean(0, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(given.deviation, exact.std(0, keepdims=True), rtol=1e-9)


def test_a_large_offset_costs_no_digits_of_the_frames():
    lengths = np.array([1000])
    frames = np.random.default_rng(0).normal(1e4, 0.1, (1000, 2)).astype(np.float32)
    done = normalize(frames, lengths, np.array([0]))
    np.testing.assert_allclose(done.mean(0, dtype=np.float64), 0, atol=1e-5)


def test_frames_of_many_hours_are_summed_without_loss():
    lengths = np.full(200, 1000)
    frames = np.full((200_000, 1), 16.1, np.float32)  # summed in float32 it would drift
    frames[::2] += 1
    given = statistics(frames, lengths, np.zeros(200, int))
    np.testing.assert_allclose(given.mean, [[frames.astype(np.float64).mean()]], rtol=1e-12)
    np.testing.assert_allclose(given.deviation, [[0.5]], rtol=1e-6)


def test_a_speaker_is_pooled_across_utterances():
    lengths = np.array([4, 5, 6])
    frames = random_frames(lengths)
    groups = group_utterances("speaker", ["b", "a", "b"])
    done = normalize(frames, lengths, groups)
    of_b = np.r_[0:4, 9:15]
    np.testing.assert_allclose(done[of_b].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(done[of_b].std(0), 1, atol=1e-4)
    np.testing.assert_allclose(done[4:9].std(0), 1, atol=1e-4)
    assert (abs(done[:4].mean(0)) > 1e-3).all()  # not each utterance on its own


def test_the_statistics_of_the_training_set_normalize_other_splits():
    train_lengths, dev_lengths = np.array([5, 6]), np.array([3, 2])
    train, dev = random_frames(train_lengths), random_frames(dev_lengths, seed=1)
    of_train = statistics(train, train_lengths, group_utterances("corpus", ["", ""]))
    groups = group_utterances("corpus", ["", ""])
    for shift in (0, 100):  # the frames of dev change dev only
        given = [dev + np.float32(shift), dev_lengths, groups, of_train]
        done = np.concatenate(list(normalized(*given, variance=True)))
        expected = (dev + np.float32(shift) - train.mean(0)) / train.std(0)
        np.testing.assert_allclose(done, expected, rtol=1e-4, atol=1e-4)


def test_without_variance_the_frames_keep_their_deviation():
    lengths = np.array([7])
    frames = random_frames(lengths)
    done = normalize(frames, lengths, np.array([0]), variance=False)
    np.testing.assert_allclose(done.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(done.std(0), frames.std(0), rtol=1e-5)


@given(several_lengths, st.booleans())
def test_the_identity_leaves_every_byte_alone(lengths, variance):
    frames = random_frames(lengths)
    frames[0, 0], frames[-1, -1] = 1e-42, 3e38
    groups = group_utterances("none", [""] * len(lengths))
    done = list(normalized(frames, lengths, groups, identity(3), variance=variance))
    assert np.concatenate(done).tobytes() == frames.tobytes()
    assert [len(part) for part in done] == lengths.tolist()


def test_memory_mapped_frames_are_not_changed(tmp_path):
    lengths = np.array([3, 4])
    np.save(tmp_path / "a.npy", random_frames(lengths))
    frames = np.load(tmp_path / "a.npy", mmap_mode="r")
    normalize(frames, lengths, np.arange(2))
    np.testing.assert_array_equal(frames, random_frames(lengths))


@pytest.mark.parametrize(
    ("over", "groups"),
    [
        ("utterance", [0, 1, 2, 3]),
        ("speaker", [1, 0, 1, 2]),
        ("corpus", [0, 0, 0, 0]),
        ("none", [0, 0, 0, 0]),
    ],
)
def test_utterances_are_grouped_as_asked(over, groups):
    assert group_utterances(over, ["s2", "s10", "s2", "s3"]).tolist() == groups


@pytest.mark.parametrize("over", ["utterance", "corpus", "none"])
def test_only_speakers_need_to_be_known(over):
    assert len(group_utterances(over, ["", "s"])) == 2


def test_an_unknown_speaker_is_named_by_its_utterance():
    with pytest.raises(InputError, match=r"utterance 1 is unknown; set normalize\.over to"):
        group_utterances("speaker", ["s", "", "t"])


# Adaptation towards the statistics of the training set


@given(several_lengths)
def test_the_prior_is_the_mean_of_all_frames_and_the_deviation_within_groups(lengths):
    frames = random_frames(lengths)
    found = pooled(statistics(frames, lengths, np.arange(len(lengths))), lengths)
    exact = frames.astype(np.float64)
    centred = np.concatenate([part - part.mean(0) for part in utterances(exact, lengths)])
    np.testing.assert_allclose(found.mean, [exact.mean(0)], rtol=1e-6)
    # an utterance of one frame has the smallest deviation, not 0
    wanted = np.sqrt((centred**2).mean(0))
    np.testing.assert_allclose(found.deviation, [wanted], rtol=1e-4, atol=SMALLEST_DEVIATION)


@given(several_lengths, st.floats(0, 1e4))
def test_a_prior_weighs_as_much_as_its_relevance_in_frames(lengths, relevance):
    frames = random_frames(lengths)
    given = statistics(frames, lengths, np.arange(len(lengths)))
    prior = statistics(random_frames(np.array([50]), seed=1), np.array([50]), np.array([0]))
    found = map_adapted(given, lengths, prior, relevance)
    total = lengths[:, None] + relevance
    mean = (lengths[:, None] * given.mean + relevance * prior.mean) / total
    variance = (lengths[:, None] * given.deviation**2 + relevance * prior.deviation**2) / total
    variance += lengths[:, None] * relevance * (given.mean - prior.mean) ** 2 / total**2
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.deviation, np.sqrt(variance))


def test_adapted_statistics_are_those_of_the_frames_and_of_as_many_more_like_the_prior():
    lengths, relevance = np.array([40, 7]), 10
    frames = random_frames(lengths)
    prior = statistics(random_frames(np.array([50]), seed=1), np.array([50]), np.array([0]))
    own = statistics(frames, lengths, np.arange(2))
    found = map_adapted(own, lengths, prior, relevance)
    signs = np.repeat([1, -1], relevance // 2)[:, None]
    more = prior.mean + signs * prior.deviation  # frames with its mean and deviation
    for group, utterance in enumerate(utterances(frames.astype(np.float64), lengths)):
        together = np.concatenate([utterance, more])
        np.testing.assert_allclose(found.mean[group], together.mean(0), rtol=1e-6)
        np.testing.assert_allclose(found.deviation[group], together.std(0), rtol=1e-6)


def test_a_relevance_of_0_leaves_statistics_as_they_are():
    lengths = np.array([3, 5])
    given = statistics(random_frames(lengths), lengths, np.arange(2))
    found = map_adapted(given, lengths, identity(3), 0)
    np.testing.assert_array_equal(found.mean, given.mean)
    np.testing.assert_allclose(found.deviation, given.deviation, rtol=1e-15)


TRAIN, DEV = np.array([30, 20]), np.array([4, 6, 5])  # frames of each utterance


@pytest.fixture
def statistics_over(params):
    """Return what computes the statistics of both splits, and the pooled ones of each."""

    def both(over):
        normalize = replace(params.normalize, over=over, relevance=7)
        groups = [group_utterances(over, [""] * len(lengths)) for lengths in (TRAIN, DEV)]
        train, pooled_train = split_statistics(
            random_frames(TRAIN), TRAIN, groups[0], normalize, None
        )
        dev, pooled_dev = split_statistics(
            random_frames(DEV, seed=1), DEV, groups[1], normalize, pooled_train
        )
        return (train, pooled_train), (dev, pooled_dev)

    return both


def test_all_utterances_are_adapted_towards_the_training_set(statistics_over):
    (train, prior), (dev, same) = statistics_over("utterance")
    assert same is prior
    expected = pooled(statistics(random_frames(TRAIN), TRAIN, np.arange(2)), TRAIN)
    np.testing.assert_array_equal(prior.mean, expected.mean)
    np.testing.assert_array_equal(prior.deviation, expected.deviation)
    for found, lengths, seed in ((train, TRAIN, 0), (dev, DEV, 1)):
        own = statistics(random_frames(lengths, seed=seed), lengths, np.arange(len(lengths)))
        adapted = map_adapted(own, lengths, prior, 7)
        np.testing.assert_array_equal(found.mean, adapted.mean)
        np.testing.assert_array_equal(found.deviation, adapted.deviation)


@pytest.mark.parametrize("over", ["corpus", "none"])
def test_a_corpus_has_the_statistics_of_the_training_set_in_all_splits(statistics_over, over):
    own = statistics(random_frames(TRAIN), TRAIN, np.zeros(2, int))
    expected = own if over == "corpus" else identity(3)
    for found, _ in statistics_over(over):
        np.testing.assert_allclose(found.mean, expected.mean)
        np.testing.assert_allclose(found.deviation, expected.deviation)
