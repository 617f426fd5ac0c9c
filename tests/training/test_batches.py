"""Every frame is in every epoch, in another order each time, and every batch is full."""

import random

import numpy as np
import pytest
import torch
from helpers import changed
from hypothesis import given
from hypothesis import strategies as st
from training.toy import CPU, TRAIN_LENGTHS, toy

import phonemes.training.batches
from phonemes.context import DataParams
from phonemes.inference.windows import to_device
from phonemes.training.batches import ResidentBatches, make_batches
from phonemes.training.run import Buffers
from phonemes.training.streaming import StreamedBatches

DATA = DataParams(k=0, padding="zero")


def resident(count, seed=1):
    split = to_device(toy(np.array([count]), DATA), DATA, CPU, torch.float32)
    return ResidentBatches(split, seed)


def orders(batches, batch, epochs=3):
    """Return the order of frames in each of some epochs."""
    order = Buffers.of(batches, batch).order
    drawn = []
    for epoch in range(epochs):
        batches.begin(epoch, order)
        batches.before(0)
        drawn.append(order.tolist())
    return drawn


@given(st.integers(1, 30), st.integers(1, 30))
def test_every_frame_is_in_every_epoch_and_every_batch_is_full(count, batch):
    batch = min(batch, count)
    for order in orders(resident(count), batch):
        assert len(order) == -(-count // batch) * batch
        assert sorted(order[:count]) == list(range(count))
        assert order[count:] == order[: len(order) - count]  # the last batch is filled up


def test_steps_beyond_the_frames_of_a_small_share_go_through_them_again():
    batches, order = resident(7), torch.zeros(20, dtype=torch.int64)
    batches.begin(0, order)
    assert sorted(order[:7].tolist()) == list(range(7))
    assert order.tolist() == (3 * order[:7].tolist())[:20]


def test_every_epoch_has_its_own_order():
    drawn = orders(resident(30), 30)
    assert len({tuple(order) for order in [*drawn, range(30)]}) == 4


def test_orders_follow_their_seed_and_no_global_random_state():
    results = []
    for seed, state in ((1, 1), (1, 2), (2, 1)):
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002  the global state is the point
        random.seed(state)
        results.append(orders(resident(30, seed), 16))
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize(
    ("choice", "there_is_room", "kind"),
    [
        ("auto", True, ResidentBatches),
        ("auto", False, StreamedBatches),
        ("resident", False, ResidentBatches),
        ("streamed", True, StreamedBatches),
    ],
)
def test_frames_stay_on_the_device_where_there_is_room_or_they_are_asked_to(
    tiny, monkeypatch, choice, there_is_room, kind
):
    monkeypatch.setattr(phonemes.training.batches, "fits", lambda *_: there_is_room)
    train = changed(tiny.train, batches=choice)
    made = make_batches(toy(TRAIN_LENGTHS, DATA), DATA, train, CPU, torch.float32)
    assert type(made) is kind
    assert (made.count, made.blocks) == (35, 1)
