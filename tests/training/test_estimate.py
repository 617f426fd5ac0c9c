"""An estimate adds up what was measured of each kind of network, and finds the largest batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import changed
from training.toy import CLASSES, CPU, DEV_LENGTHS, TRAIN_LENGTHS, new_run, toy

from phonemes.inference.device import Compute
from phonemes.training import estimate as module
from phonemes.training.estimate import LARGEST, SHARE, _Measured, estimate, largest_power
from phonemes.training.prepare import prepare
from phonemes.training.profile import profile

COMPUTE = Compute(CPU, torch.float32)


def estimated(params, stacking, train=TRAIN_LENGTHS, making=prepare):
    splits = toy(train, params.data, 0), toy(DEV_LENGTHS, params.data, 1)
    return estimate(*splits, CLASSES, COMPUTE, params, stacking, making)


@pytest.fixture
def measured(monkeypatch):
    """Have base networks take 10 s an epoch and 1 s for dev, stacked ones 2 s and 0.5 s."""
    bands = []

    def measure(train, *rest):
        bands.append(train.frames.shape[1])
        seconds = (10.0, 1.0) if len(bands) == 1 else (2.0, 0.5)
        return _Measured(1000, 50.0, 3000, 400, *seconds)

    monkeypatch.setattr(module, "_measure", measure)
    return bands


def test_one_network_takes_its_epochs_and_a_pass_over_dev_after_each(tiny, params, measured):
    found = estimated(tiny, params.stacking)
    assert (found.epoch_seconds, found.run_seconds) == (11, 22)
    assert (found.step_bytes, found.frames_bytes) == (3000, 400)


def test_networks_without_a_fold_and_stacked_ones_take_their_part(tiny, params, measured):
    found = estimated(tiny, replace(params.stacking, folds=4, networks=3, epochs=5))
    without_a_fold = 4 * 2 * (0.75 * 10 + 1)
    assert found.run_seconds == 22 + without_a_fold + 3 * 5 * 2.5
    assert found.epoch_seconds == 11
    assert measured == [4, 8]  # bands; posteriors of 3 phonemes and zeros


@pytest.mark.parametrize(
    ("room", "largest", "fits"), [(50 * 8 - 1, 4, False), (50 * 16, 16, True), (50 * 99, 32, True)]
)
def test_the_largest_batch_is_a_power_of_two_beside_frames_and_weights(
    tiny, params, measured, monkeypatch, room, largest, fits
):
    free = (room + 1000 + 400) / SHARE
    monkeypatch.setattr(module, "free_memory", lambda device: free)
    found = estimated(tiny, params.stacking)
    assert (found.largest_batch, found.batch_fits) == (largest, fits)  # of 35 frames, in 16s


@pytest.mark.parametrize(
    ("most", "power"), [(-5.0, 0), (1.9, 0), (2, 2), (3.99, 2), (4, 4), (LARGEST, 2**22)]
)
def test_the_largest_power_of_two_is_none_below_two(most, power):
    assert largest_power(most) == power


def test_what_is_measured_is_that_of_the_profile(tiny, params):
    cost, found = profile(new_run(tiny)), estimated(tiny, params.stacking)
    assert found.step_bytes == cost.step_bytes
    assert found.frames_bytes == cost.resident_bytes
    assert 0 < found.epoch_seconds < found.run_seconds


def test_of_a_large_corpus_a_sample_is_measured_and_scaled(tiny, params, monkeypatch):
    lengths = np.full(40, 30)
    whole = estimated(tiny, params.stacking, lengths)
    seen = []

    def making(train, *rest):
        seen.append(len(train.frames))
        return prepare(train, *rest)

    monkeypatch.setattr(module, "SAMPLE", 100)
    sampled = estimated(tiny, params.stacking, lengths, making)
    assert seen == [120]  # whole utterances
    assert sampled.step_bytes == whole.step_bytes
    assert sampled.frames_bytes == pytest.approx(whole.frames_bytes, rel=0.05)


def test_a_batch_larger_than_the_sample_is_measured_in_full(tiny, params, monkeypatch):
    params_of = changed(tiny, train={"batch_size": 64})
    monkeypatch.setattr(module, "SAMPLE", 10)
    lengths = np.full(40, 30)
    assert estimated(params_of, params.stacking, lengths).step_bytes == (
        profile(new_run(params_of, toy(lengths, tiny.data))).step_bytes
    )


def test_distorted_windows_leave_room_for_smaller_batches(tiny, params, monkeypatch):
    plain, distorted = new_run(tiny), new_run(changed(tiny, augment={"gain": 0.1}))
    plain_bytes, distorted_bytes = (
        module._batch_bytes(run, profile(plain), on)
        for run, on in ((plain, False), (distorted, True))
    )
    assert distorted_bytes - plain_bytes == 3 * 12 * 4  # copies of windows of 3 frames of 4 bands
