"""Frames that pass through the device in blocks are trained on like those that stay there."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from phonemes.context import window_starts
from phonemes.errors import InputError
from phonemes.inference import place
from phonemes.neighbours import labels_around
from phonemes.params import Data
from phonemes.streaming import Blocks, deal, fits
from phonemes.training import Training

CPU = torch.device("cpu")


def streamed(lengths, data, batch, block, piece=4, classes=7, turns=3):
    """Return numbered frames, their starts and labels, and the blocks they pass through in."""
    frames = np.arange(1, lengths.sum() + 1, dtype=np.float32)[:, None]
    starts = window_starts(lengths, data.k, data.padding)
    labels = np.arange(lengths.sum()) % classes
    blocks = Blocks(frames, starts, labels, data, CPU, torch.float32, batch, 1, block, piece, turns)
    return frames, starts, labels, blocks


def epoch(blocks, batch, number=0):
    """Return the windows, (S, B, W), and labels, (S, B), of the batches of an epoch."""
    steps = -(-blocks.count // batch)
    order = torch.zeros(steps * batch, dtype=torch.int64)
    blocks.begin(number, order, torch.Generator().manual_seed(1))
    seen = []
    for step in range(steps):
        blocks.before(step)
        rows = order[step * batch : (step + 1) * batch]
        seen.append((blocks.split.windows[rows].clone(), blocks.split.labels[rows].clone()))
    return tuple(torch.stack(each) for each in zip(*seen, strict=True))


lengths_of_many = st.lists(st.integers(1, 9), min_size=40, max_size=90).map(np.array)
contexts = st.builds(Data, k=st.integers(0, 3), padding=st.sampled_from(["zero", "edge"]))


@given(lengths_of_many, contexts, st.integers(2, 9), st.integers(1, 60), st.integers(3, 9))
def test_every_frame_is_seen_once_with_its_own_window_and_label(lengths, data, batch, block, piece):
    frames, starts, labels, blocks = streamed(lengths, data, batch, block, piece)
    windows, targets = epoch(blocks, batch)
    resident = place(frames, starts, labels, data, CPU, torch.float32)
    middles = windows[..., data.k].flatten()
    once = middles[: len(frames)].long()
    assert sorted(once.tolist()) == list(range(1, len(frames) + 1))
    for window, target, middle in zip(
        windows.flatten(0, 1), targets.flatten(), middles.long(), strict=True
    ):
        assert torch.equal(window, resident.windows[resident.starts[middle - 1].long()])
        assert target == labels[middle - 1]


@given(lengths_of_many, contexts, st.integers(2, 9), st.integers(1, 60), st.integers(1, 5))
def test_a_frame_keeps_the_labels_of_its_neighbours(lengths, data, batch, block, n):
    frames = np.arange(1, lengths.sum() + 1, dtype=np.float32)[:, None]
    starts = window_starts(lengths, data.k, data.padding)
    around = labels_around((np.arange(lengths.sum()) % 7).astype(np.uint8), starts, n)
    blocks = Blocks(frames, starts, around, data, CPU, torch.float32, batch, 1, block, 4)
    windows, targets = epoch(blocks, batch)
    middles = windows[..., data.k].flatten().long()
    assert torch.equal(targets.flatten(0, 1), torch.from_numpy(around)[middles - 1])


def test_no_frame_fills_up_its_own_batch():
    lengths = np.full(50, 5)
    *_, blocks = streamed(lengths, Data(k=1, padding="zero"), 16, 64)
    windows, _ = epoch(blocks, 16)
    assert all(len(set(batch[:, 1].tolist())) == 16 for batch in windows)


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 5))
def test_every_block_gets_one_piece_of_each_run_of_neighbours(pieces, blocks, seed):
    dealt = deal(pieces, blocks, np.random.default_rng(seed))
    assert sorted(np.concatenate(dealt).tolist()) == list(range(pieces))
    for block in dealt:
        runs = (block // blocks).tolist()
        assert len(set(runs)) == len(runs)
        assert set(range(pieces // blocks)) <= set(runs)


def test_every_block_holds_frames_of_every_speaker():
    lengths = np.full(48, 9)  # four utterances of each of twelve speakers
    speaker = np.repeat(np.arange(12), 4 * 9)
    *_, blocks = streamed(lengths, Data(k=0, padding="zero"), 8, 70, piece=3)
    assert (blocks.turns, blocks.blocks) == (2, 12)
    windows, _ = epoch(blocks, 8)
    frames = windows.flatten().long().numpy() - 1
    for block in np.split(frames, blocks.begins[1:-1]):
        assert set(speaker[block]) == set(range(12))


@pytest.mark.parametrize("turns", [2, 3, 5])
def test_frames_next_to_each_other_are_never_trained_on_in_one_block(turns):
    lengths = np.array([*range(1, 90), 400])
    *_, blocks = streamed(lengths, Data(k=1, padding="zero"), 4, 160, piece=8, turns=turns)
    assert blocks.turns == turns
    windows, _ = epoch(blocks, 4)
    frames = windows[..., 1].flatten().long().numpy()[: lengths.sum()] - 1
    utterance = np.repeat(np.arange(len(lengths)), lengths)
    piece = (np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)) // 8
    for block in np.split(frames, blocks.begins[1:-1]):
        met = np.sort(block)
        together = (utterance[met[1:]] == utterance[met[:-1]]) & (piece[met[1:]] == piece[met[:-1]])
        assert np.diff(met)[together].min() >= turns


def test_no_more_turns_are_taken_than_leave_four_batches_to_a_block():
    *_, blocks = streamed(np.full(60, 4), Data(k=0, padding="zero"), 8, 100, turns=9)
    assert (blocks.turns, blocks.blocks) == (3, 6)


def test_a_corpus_of_one_block_passes_once():
    *_, blocks = streamed(np.full(60, 4), Data(k=0, padding="zero"), 8, 240, turns=3)
    assert (blocks.turns, blocks.blocks) == (1, 1)


def test_blocks_are_laid_out_on_as_many_threads_as_their_maker_has():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    other = threading.Thread(target=torch.set_num_threads, args=(1,))  # for all threads to come
    other.start()
    other.join()
    *_, blocks = streamed(np.full(60, 4), Data(k=0, padding="zero"), 8, 40)
    found = blocks.worker.submit(torch.get_num_threads).result()
    torch.set_num_threads(threads)
    assert found == 2


def test_blocks_and_their_order_differ_from_epoch_to_epoch():
    lengths = np.full(60, 4)
    *_, blocks = streamed(lengths, Data(k=0, padding="zero"), 8, 40)
    assert (blocks.turns, blocks.blocks) == (1, 6)
    first, second = (epoch(blocks, 8, number)[0] for number in (0, 1))
    again = epoch(blocks, 8, 0)[0]
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    whole = [set(frames.flatten().tolist()) for frames in (first[:5], second[:5])]
    assert whole[0] != whole[1]  # other utterances meet in a block


def test_two_blocks_at_most_are_on_the_device():
    lengths = np.full(400, 8)
    *_, blocks = streamed(lengths, Data(k=0, padding="zero"), 8, 160, piece=8)
    assert (blocks.turns, blocks.blocks) == (3, 60)
    assert len(blocks.split.labels) == 2 * 160


def test_a_block_smaller_than_a_batch_is_refused(monkeypatch):
    *_, blocks = streamed(np.full(64, 4), Data(k=0, padding="zero"), 8, 32)
    assert blocks.blocks == 8

    def unfair(pieces, blocks, random):
        return np.split(np.arange(pieces), range(1, blocks))

    monkeypatch.setattr("phonemes.streaming.deal", unfair)
    with pytest.raises(InputError, match=r"would hold 4, less than train.batch_size.*shuffle"):
        epoch(blocks, 8)


def test_frames_that_are_not_finite_are_refused():
    lengths = np.full(50, 5)
    frames, starts, labels, _ = streamed(lengths, Data(k=0, padding="zero"), 8, 40)
    frames[77] = np.nan
    blocks = Blocks(frames, starts, labels, Data(0, "zero"), CPU, torch.float32, 8, 1, 40)
    with pytest.raises(InputError, match="NaN, infinity or huge numbers"):
        epoch(blocks, 8)


def test_in_host_memory_all_frames_stay():
    assert fits(
        np.zeros((5, 2), np.float32), np.arange(5), np.zeros(5, np.uint8), CPU, torch.float32
    )


def streaming_training(params):
    """Return a training of 300 frames in several blocks."""
    data, lengths = Data(k=1, padding="zero"), np.full(60, 5)
    frames, starts, labels, _ = streamed(lengths, data, params.batch_size, 70)
    frames = frames / frames.max()
    blocks = Blocks(frames, starts, labels, data, CPU, torch.float32, params.batch_size, 1, 140)
    assert (blocks.turns, blocks.blocks) == (2, 4)
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 7))
    dev = place(frames, starts, labels, data, CPU, torch.float32)
    return Training(network, blocks, dev, params, None, torch.float32)


def test_steps_at_one_rate_are_those_of_epochs_at_a_constant_rate(tiny):
    params = replace(tiny, batch_size=16)
    epochs, steps = streaming_training(params), streaming_training(params)
    list(epochs.epochs(progress=False))
    list(steps.losses([params.lr] * params.epochs * epochs.steps))
    for name, value in epochs.network.state_dict().items():
        assert torch.equal(steps.network.state_dict()[name], value)


def test_training_goes_on_from_a_state_with_the_same_weights(tiny):
    params = replace(tiny, epochs=3, batch_size=16)
    undisturbed = streaming_training(params)
    states = []
    for _ in undisturbed.epochs(progress=False):
        states.append(
            {
                **undisturbed.state(),
                "network": {
                    name: value.clone() for name, value in undisturbed.network.state_dict().items()
                },
            }
        )
    resumed = streaming_training(params)
    resumed.restore(states[0])
    list(resumed.epochs(progress=False))
    for name, value in undisturbed.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)
