"""A run is prepared from arrays and parameters: targets, network, and what cannot be trained."""

import numpy as np
import pytest
import torch
from helpers import changed
from hypothesis import given
from hypothesis import strategies as st
from training.toy import (
    DEV_LENGTHS,
    RANDOM,
    TRAIN_LENGTHS,
    as_bytes,
    copied,
    finished,
    new_run,
    toy,
    weights,
)

from phonemes.context import window_starts
from phonemes.errors import InputError
from phonemes.storage.parts import parts
from phonemes.training.targets import targets

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(np.array)
contexts = st.tuples(st.integers(0, 3), st.sampled_from(["zero", "edge"]))


@given(several_lengths, contexts, st.integers(0, 9))
def test_targets_are_the_labels_around_a_frame_in_its_utterance(lengths, context, n):
    labels = np.random.default_rng(0).integers(0, 71, lengths.sum()).astype(np.uint8)
    found = targets(labels, window_starts(lengths, *context), n)
    assert found.dtype == labels.dtype
    by_hand = [
        np.pad(utterance, n, "edge")[first : first + 2 * n + 1]
        for utterance in np.split(labels, np.cumsum(lengths)[:-1])
        for first in range(len(utterance))
    ]
    assert np.array_equal(found, by_hand)


def test_targets_are_bytes_where_labels_fit_and_are_made_by_parts(monkeypatch):
    labels = np.arange(300, dtype=np.int16) % 255
    starts = window_starts(np.full(30, 10), 2, "zero")
    at_once = targets(labels, starts, 3)
    assert at_once.dtype == np.uint8
    monkeypatch.setattr(parts, "__defaults__", (25,))
    np.testing.assert_array_equal(targets(labels, starts, 3), at_once)
    wide = targets(labels + np.int16(2), starts, 3)
    assert wide.dtype == np.int16
    np.testing.assert_array_equal(wide, at_once + np.int16(2))


def test_a_run_learns_targets_and_is_scored_on_labels(tiny):
    run = new_run(changed(tiny, model={"target_context": 2}))
    train, dev = (
        toy(lengths, tiny.data, n) for n, lengths in enumerate((TRAIN_LENGTHS, DEV_LENGTHS))
    )
    expected = targets(train.labels, train.starts, 2)
    assert run.batches.split.labels.tolist() == expected.tolist()
    assert run.dev.labels.tolist() == dev.labels.tolist()
    assert run.classifier.architecture.targets == 5


def test_a_batch_larger_than_the_training_set_is_all_of_it(tiny):
    exact, larger = (new_run(changed(tiny, train={"batch_size": size})) for size in (35, 10_000))
    assert (larger.batch, larger.steps) == (35, 1)
    assert weights(finished(larger)) == weights(finished(exact))


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_one_frame_is_enough_without_batch_normalization(tiny, norm):
    one = toy(np.array([1]), tiny.data)
    assert len(finished(new_run(changed(tiny, model={"norm": norm}), one)).history) == 2


def test_one_frame_is_too_little_for_batch_normalization(tiny):
    one = toy(np.array([1]), tiny.data)
    with pytest.raises(InputError, match="one frame and batch normalization needs two; set"):
        new_run(changed(tiny, model={"norm": "batch"}), one)


def test_frames_that_are_not_finite_are_refused(tiny):
    bad = toy(DEV_LENGTHS, tiny.data)
    bad.frames[3] = np.nan
    for splits in ({"train": bad}, {"dev": bad}):
        with pytest.raises(InputError, match="NaN, infinity or huge numbers"):
            new_run(tiny, **splits)


def test_a_dev_set_with_other_bands_is_refused(tiny):
    dev = toy(DEV_LENGTHS, tiny.data)
    with pytest.raises(InputError, match=r"windows of 3 frames of 4 bands and .* have 3, 3 and 3:"):
        new_run(tiny, dev=dev._replace(frames=dev.frames[:, :3]))


def test_the_seed_decides_the_weights_and_no_global_random_state(tiny):
    params = changed(tiny, **RANDOM)
    states = []
    for seed, other in ((1, 1), (1, 2), (2, 1)):
        torch.manual_seed(other)
        states.append(as_bytes(copied(new_run(changed(params, train={"seed": seed})))))
    assert states[0] == states[1] != states[2]


def test_weights_start_as_asked_for(tiny):
    run = new_run(changed(tiny, model={"initialization": "orthogonal"}))
    first = run.classifier.network[0]
    torch.testing.assert_close(first.weight @ first.weight.T, torch.eye(8))
    assert not first.bias.any()


def test_frames_have_the_precision_of_the_products_and_weights_are_float32(tiny):
    run = new_run(tiny, dtype=torch.bfloat16)
    assert run.batches.split.windows.dtype == run.dev.windows.dtype == torch.bfloat16
    assert {value.dtype for value in copied(run).values()} == {torch.float32}
