"""Frames labelled by several devices are labelled as by one, to the last bit."""

import numpy as np
import pytest
import torch
from decoding.toys import ON, random_phones
from hypothesis import given, settings
from hypothesis import strategies as st
from inference.toys import CPU, random_classifier, random_split, rows_in_a_pass

import phonemes.decoding.devices
from phonemes.context import DataParams, window_starts
from phonemes.decoding.decode import decode
from phonemes.decoding.devices import Replica, decode_on_all, runs_of
from phonemes.decoding.smoothing import Smoothing
from phonemes.errors import InputError
from phonemes.model.store import Model
from phonemes.storage.layout import HostSplit

lengths_of_some = st.lists(st.integers(1, 40), min_size=1, max_size=30).map(np.array)
CLASSES, PADDED = 4, 8


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    monkeypatch.setattr(phonemes.decoding.devices, "forward_rows", lambda *_: 16)
    with rows_in_a_pass(16):
        yield


def host(lengths, data):
    frames, labels, _ = random_split(lengths, data, classes=CLASSES)
    return HostSplit(frames, window_starts(lengths, data.k, data.padding), labels)


@given(lengths_of_some, st.integers(1, 5), st.integers(1, 50))
def test_runs_are_all_utterances_and_begin_with_a_pass(lengths, count, rows):
    runs = runs_of(lengths, count, rows)
    assert 1 <= len(runs) <= count
    assert [run.first for run in runs] == [0, *(run.stop for run in runs[:-1])]
    assert runs[-1].stop == lengths.sum()
    begins = {0, *np.cumsum(lengths).tolist()}
    for run in runs:
        assert run.first in begins
        assert run.begin % rows == 0
        assert run.first - rows < run.begin <= run.first < run.stop


def test_long_splits_are_shared_about_evenly():
    frames = [run.stop - run.begin for run in runs_of(np.full(4000, 300), 4, 1024)]
    assert sum(frames) < 1.01 * 4000 * 300
    assert max(frames) < 1.02 * 1000 * 300


@settings(max_examples=15)
@given(
    lengths_of_some, st.integers(1, 4), st.integers(0, 3), st.sampled_from(["zero", "edge"]),
    st.integers(0, 2), st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_number_of_devices_gives_the_bytes_of_one(
    lengths, count, k, padding, target_context, stacked, smooth
):
    data = DataParams(k, padding)
    base = [random_classifier(2 * k + 1, target_context=min(k, target_context))]
    above = [random_classifier(3, PADDED, CLASSES, seed=5)] if stacked else []
    model, smoothing = Model(base, above), Smoothing(random_phones(CLASSES), ON) if smooth else None
    split = host(lengths, data)
    found, expected = (
        decode_on_all(
            [Replica(model, CPU)] * number, split, data, lengths, CLASSES, torch.float32, smoothing
        )
        for number in (count, 1)
    )
    assert all(map(torch.equal, found, expected))
    unlabelled = split._replace(labels=None)
    found = decode_on_all(
        [Replica(model, CPU)] * count, unlabelled, data, lengths, CLASSES, torch.float32, smoothing
    )
    assert torch.equal(found.predicted, expected.predicted)


def test_one_device_decodes_as_ever():
    lengths, data = np.array([9, 30, 4]), DataParams(1, "zero")
    model = Model([random_classifier(3)], [])
    _, _, on_device = random_split(lengths, data, classes=CLASSES)
    found = decode_on_all(
        [Replica(model, CPU)], host(lengths, data), data, lengths, CLASSES, torch.float32, None
    )
    assert all(map(torch.equal, found, decode(model, on_device, lengths, torch.float32, None)))


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_of_a_device_is_that_of_all(count):
    lengths, data = np.array([30, 30]), DataParams(1, "zero")
    split = host(lengths, data)
    split.frames[45] = np.nan
    model = Model([random_classifier(3)], [])
    with pytest.raises(InputError, match="the normalized frames hold NaN"):
        decode_on_all(
            [Replica(model, CPU)] * count, split, data, lengths, CLASSES, torch.float32, None
        )


def test_frames_of_8_bits_keep_their_scales():
    lengths, data = np.array([9, 30, 4, 25]), DataParams(1, "zero")
    split = host(lengths, data)
    scales = (np.abs(split.frames).max(0) / 127).astype(np.float32)
    split = split._replace(frames=np.rint(split.frames / scales).astype(np.int8), scales=scales)
    model = Model([random_classifier(3)], [])
    found, expected = (
        decode_on_all(
            [Replica(model, CPU)] * count, split, data, lengths, CLASSES, torch.float32, None
        )
        for count in (3, 1)
    )
    assert all(map(torch.equal, found, expected))
    assert expected.predicted.unique().numel() > 1
