"""Frames that pass through the device in blocks are trained on like those that stay there."""

import copy
import threading

import numpy as np
import pytest
import torch
from helpers import changed
from hypothesis import given, settings
from hypothesis import strategies as st

from phonemes.context import DataParams, window_starts
from phonemes.errors import InputError
from phonemes.inference.windows import gather, to_device
from phonemes.model.architecture import Architecture, build, initialize
from phonemes.storage.frames import FORMS, narrowed
from phonemes.storage.layout import HostSplit
from phonemes.training.blocks import Block, HostMemory, LayoutPlan, cut, deal, deal_epoch
from phonemes.training.loop import epochs
from phonemes.training.optimizer import Optimizer
from phonemes.training.range_test import losses
from phonemes.training.run import Buffers, Run
from phonemes.training.state import restore, state
from phonemes.training.step import make_step
from phonemes.training.streaming import StreamedBatches, fits
from phonemes.training.targets import targets

CPU = torch.device("cpu")
FRAME_ALONE = DataParams(k=0, padding="zero")
CLASSES = 7


def numbered(lengths, data):
    """Return a split whose frames are their numbers, from 1."""
    frames = np.arange(1, lengths.sum() + 1, dtype=np.float32)[:, None]
    labels = (np.arange(lengths.sum()) % CLASSES).astype(np.uint8)
    return HostSplit(frames, window_starts(lengths, data.k, data.padding), labels)


def streamed(split, data, batch, block, piece=4, turns=3):
    """Return batches of a split that passes by in blocks."""
    return StreamedBatches(split, data, CPU, torch.float32, batch, 1, block, piece, turns)


def epoch(batches, batch, number=0):
    """Return the windows, (S, B, W), and labels, (S, B) or (S, B, D), of an epoch."""
    steps = -(-batches.count // batch)
    order = torch.zeros(steps * batch, dtype=torch.int64)
    batches.generator.manual_seed(1)
    batches.begin(number, order)
    seen = []
    for step in range(steps):
        batches.before(step)
        rows = order[step * batch : (step + 1) * batch]
        seen.append((batches.split.windows[rows].clone(), batches.split.labels[rows].clone()))
    return tuple(torch.stack(each) for each in zip(*seen, strict=True))


lengths_of_many = st.lists(st.integers(1, 9), min_size=40, max_size=90).map(np.array)
contexts = st.builds(DataParams, k=st.integers(0, 3), padding=st.sampled_from(["zero", "edge"]))


@settings(max_examples=40)
@given(
    lengths_of_many,
    contexts,
    st.integers(2, 9),
    st.integers(1, 60),
    st.integers(3, 9),
    st.integers(0, 5),
)
def test_every_frame_comes_once_with_its_own_window_and_targets(
    lengths, data, batch, block, piece, n
):
    split = numbered(lengths, data)
    if n:
        split = split._replace(labels=targets(split.labels, split.starts, n))
    windows, labels = epoch(streamed(split, data, batch, block, piece), batch)
    resident = to_device(split, data, CPU, torch.float32)
    frames = windows[..., data.k].flatten().long() - 1
    assert sorted(frames[: len(split.frames)].tolist()) == list(range(len(split.frames)))
    assert torch.equal(windows.flatten(0, 1), resident.windows[resident.starts[frames].long()])
    assert torch.equal(labels.flatten(0, 1), resident.labels[frames])


@pytest.mark.parametrize("padding", ["zero", "edge"])
@pytest.mark.parametrize("form", ["bfloat16", "int8"])
def test_stored_frames_pass_by_as_they_are(form, padding):
    data = DataParams(k=2, padding=padding)
    split = numbered(np.full(24, 5), data)
    scales = np.array([0.5], np.float32) if form == "int8" else None
    split = split._replace(frames=narrowed(split.frames / 4, form, scales), scales=scales)
    batches = streamed(split, data, 8, 40)
    windows, _ = epoch(batches, 8)
    resident = to_device(split, data, CPU, torch.float32)
    assert windows.dtype == resident.windows.dtype != torch.float32
    assert torch.equal(batches.split.scales, resident.scales)
    expected = sorted(map(tuple, gather(resident, slice(None)).tolist()))
    rows = torch.arange(len(split.frames))
    seen = gather(batches.split._replace(windows=windows.flatten(0, 1), starts=rows), slice(None))
    assert sorted(map(tuple, seen.tolist())) == expected


def test_no_frame_fills_up_its_own_batch():
    data = DataParams(k=1, padding="zero")
    windows, _ = epoch(streamed(numbered(np.full(50, 5), data), data, 16, 64), 16)
    assert all(len(set(batch[:, 1].tolist())) == 16 for batch in windows)


@settings(max_examples=30)
@given(lengths_of_many, contexts, st.integers(2, 9), st.integers(1, 60), st.integers(0, 30))
def test_a_share_is_trained_on_alone_and_steps_beyond_it_have_frames_of_it(
    lengths, data, batch, block, more
):
    split, chosen = numbered(lengths, data), np.arange(len(lengths)) % 3 > 0
    made = StreamedBatches(
        split, data, CPU, torch.float32, batch, 1, block, 4, 3, utterances=chosen
    )
    own = (np.flatnonzero(np.repeat(chosen, lengths)) + 1).tolist()
    assert made.count == len(own)
    steps = -(-(made.count + more) // batch)
    order = torch.zeros(steps * batch, dtype=torch.int64)
    made.begin(0, order)
    resident, seen = to_device(split, data, CPU, torch.float32), []
    for step in range(steps):
        made.before(step)
        windows = made.split.windows[order[step * batch : (step + 1) * batch]]
        frames = windows[:, data.k].long()
        assert torch.equal(windows, resident.windows[resident.starts[frames - 1].long()])
        seen += frames.tolist()
    assert sorted(seen[: made.count]) == own
    assert {*seen} == {*own}


# Pieces, and what blocks get of them


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9).map(np.array), st.integers(1, 10))
def test_pieces_are_all_frames_in_order_and_know_their_utterance(lengths, piece):
    pieces = cut(window_starts(lengths, 2, "zero"), piece)
    ranges = [np.arange(first, first + size) for _, _, first, size in zip(*pieces, strict=True)]
    assert np.concatenate(ranges).tolist() == list(range(lengths.sum()))
    assert pieces.lengths.max() <= piece
    assert len(pieces.first) == (-(-lengths // piece)).sum()
    utterance = np.repeat(np.arange(len(lengths)), lengths)[pieces.first]
    ends = lengths.cumsum()
    assert pieces.low.tolist() == (ends - lengths)[utterance].tolist()
    assert pieces.high.tolist() == (ends - 1)[utterance].tolist()


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 5))
def test_every_block_gets_one_piece_of_each_run_of_neighbours(pieces, blocks, seed):
    dealt = deal(pieces, blocks, np.random.default_rng(seed))
    assert sorted(np.concatenate(dealt).tolist()) == list(range(pieces))
    for block in dealt:
        runs = (block // blocks).tolist()
        assert len(set(runs)) == len(runs)
        assert set(range(pieces // blocks)) <= set(runs)


def test_every_frame_of_a_piece_has_its_turn():
    pieces, dealt, turns = 23, 5, 3
    blocks = deal_epoch(pieces, dealt * turns, turns, np.random.default_rng(0))
    assert len(blocks) == dealt * turns
    first = np.empty((turns, pieces), int)
    for turn in range(turns):
        for block in blocks[turn * dealt : (turn + 1) * dealt]:
            first[turn, block.pieces] = block.first
    assert (np.sort(first, axis=0) == np.arange(turns)[:, None]).all()
    assert len(set(first[0])) == turns  # not the same for all pieces


@pytest.mark.parametrize("k", [0, 1])
def test_a_block_is_laid_out_with_the_context_of_its_pieces(k):
    split = numbered(np.array([3, 5]), DataParams(k, "zero"))  # pieces 1-3, 4-7 and 8
    plan = LayoutPlan(split.frames, torch.from_numpy(split.labels), cut(split.starts, 4), k, 4, 2)
    block = Block(np.array([2, 1]), np.array([0, 1]))
    memory = HostMemory(
        torch.empty(2, 8 + 4 * k, 1),
        torch.empty(2, 8 + 4 * k, dtype=torch.bool),
        torch.empty(2, 8 + 4 * k, dtype=torch.uint8),
        torch.empty(2, 8 + 4 * k, dtype=torch.int32),
    )
    layout = plan.lay_out(block, memory, 1)
    assert layout.slot == 1
    assert plan.trained(block) == len(layout.starts) == 3
    middles = layout.rows[layout.starts.long() + k, 0]
    assert middles.tolist() == [8, 5, 7]  # of piece 4-7 every second, from its number 1 on
    assert layout.labels[layout.starts.long()].tolist() == [7 % CLASSES, 4, 6]
    if k:
        assert layout.rows[:, 0].tolist() == [7, 8, 8, 4, 4, 5, 6, 7, 8]
        assert layout.beyond.nonzero().flatten().tolist() == [2, 3]
    else:
        assert layout.rows[:, 0].tolist() == [8, 4, 5, 6, 7]
        assert not layout.beyond.any()


# Blocks


def test_every_block_holds_frames_of_every_speaker():
    lengths = np.full(48, 9)  # four utterances of each of twelve speakers
    speaker = np.repeat(np.arange(12), 4 * 9)
    batches = streamed(numbered(lengths, FRAME_ALONE), FRAME_ALONE, 8, 70, piece=3)
    assert (batches.turns, batches.blocks) == (2, 12)
    windows, _ = epoch(batches, 8)
    frames = windows.flatten().long().numpy() - 1
    for block in np.split(frames, batches.begins[1:-1]):
        assert set(speaker[block]) == set(range(12))


@pytest.mark.parametrize("turns", [2, 5])
def test_frames_next_to_each_other_are_never_trained_on_in_one_block(turns):
    lengths, data = np.array([*range(1, 90), 400]), DataParams(k=1, padding="zero")
    batches = streamed(numbered(lengths, data), data, 4, 160, piece=8, turns=turns)
    assert batches.turns == turns
    windows, _ = epoch(batches, 4)
    frames = windows[..., 1].flatten().long().numpy()[: lengths.sum()] - 1
    utterance = np.repeat(np.arange(len(lengths)), lengths)
    piece = (np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)) // 8
    for block in np.split(frames, batches.begins[1:-1]):
        met = np.sort(block)
        together = (utterance[met[1:]] == utterance[met[:-1]]) & (piece[met[1:]] == piece[met[:-1]])
        assert np.diff(met)[together].min() >= turns


def test_no_more_turns_are_taken_than_leave_four_batches_to_a_block():
    split = numbered(np.full(60, 4), FRAME_ALONE)
    batches = streamed(split, FRAME_ALONE, 8, 100, turns=9)
    assert (batches.turns, batches.blocks) == (3, 6)


def test_a_corpus_of_one_block_passes_once():
    batches = streamed(numbered(np.full(60, 4), FRAME_ALONE), FRAME_ALONE, 8, 240, turns=3)
    assert (batches.turns, batches.blocks) == (1, 1)


def test_blocks_and_their_order_differ_from_epoch_to_epoch():
    batches = streamed(numbered(np.full(60, 4), FRAME_ALONE), FRAME_ALONE, 8, 40)
    assert (batches.turns, batches.blocks) == (1, 6)
    first, second, again = (epoch(batches, 8, number)[0] for number in (0, 1, 0))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    block, other = (set(frames[:5].flatten().tolist()) for frames in (first, second))
    assert block != other  # other utterances meet in a block


def test_two_blocks_at_most_are_on_the_device():
    split = numbered(np.full(400, 8), FRAME_ALONE)
    batches = streamed(split, FRAME_ALONE, 8, 160, piece=8)
    assert (batches.turns, batches.blocks) == (3, 60)
    assert len(batches.split.labels) == 2 * 160


def test_blocks_are_laid_out_on_as_many_threads_as_their_maker_has():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    other = threading.Thread(target=torch.set_num_threads, args=(1,))  # for all threads to come
    other.start()
    other.join()
    batches = streamed(numbered(np.full(60, 4), FRAME_ALONE), FRAME_ALONE, 8, 40)
    found = batches.queue.worker.submit(torch.get_num_threads).result()
    torch.set_num_threads(threads)
    assert found == 2


def test_a_block_smaller_than_a_batch_is_refused():
    split = numbered(np.array([200, 1, 1, 1, 1, 1]), FRAME_ALONE)
    batches = streamed(split, FRAME_ALONE, 8, 32, piece=200)
    assert batches.blocks == 6
    with pytest.raises(
        InputError, match=r"would hold 1, less than train.batch_size.*set train.batches to resident"
    ):
        epoch(batches, 8)


def test_frames_that_are_not_finite_are_refused():
    split = numbered(np.full(50, 5), FRAME_ALONE)
    split.frames[77] = np.nan
    with pytest.raises(InputError, match="NaN, infinity or huge numbers"):
        epoch(streamed(split, FRAME_ALONE, 8, 40), 8)


def test_frames_that_overflow_float16_are_refused():
    split = numbered(np.full(50, 5), FRAME_ALONE)
    split.frames[77] = 70_000
    in_halves = StreamedBatches(split, FRAME_ALONE, CPU, torch.float16, 8, 1, 40)
    with pytest.raises(InputError, match=r"beyond 65,504; set model\.precision to fp32"):
        epoch(in_halves, 8)
    epoch(streamed(split, FRAME_ALONE, 8, 40), 8)


def test_in_host_memory_all_frames_stay():
    assert fits(numbered(np.full(5, 2), FRAME_ALONE), CPU, torch.float32)


@pytest.mark.parametrize("free", [0, 10**9])  # whoever else uses it
@pytest.mark.parametrize(("total", "fit"), [(171_000, False), (172_000, True)])
def test_on_a_gpu_frames_stay_that_take_less_than_most_of_its_memory(monkeypatch, free, total, fit):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, total))
    frames, starts = np.zeros((1000, 27), np.float32), np.arange(1000, dtype=np.int32)
    split = HostSplit(frames, starts, np.zeros(1000, np.int16))  # 120,000 bytes there
    assert fits(split, torch.device("cuda"), torch.float32) == fit


GIB = 2**30


@pytest.mark.parametrize(
    ("form", "gib", "fit"), [("int8", 40, True), ("bfloat16", 40, False), ("bfloat16", 80, True)]
)
def test_a_thousand_hours_stay_on_one_gpu_in_16_or_8_bits(monkeypatch, form, gib, fit):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, gib * GIB))
    count = 360_000_000
    split = HostSplit(  # which take no memory
        np.broadcast_to(np.zeros((), FORMS[form]), (count, 40)),
        np.broadcast_to(np.int32(count + 35 * 280_000), count),
        np.broadcast_to(np.uint8(0), (count, 17)),
    )
    assert fits(split, torch.device("cuda"), torch.bfloat16) == fit


def test_what_a_block_read_of_a_file_is_given_back(tmp_path, monkeypatch):
    given_back = []
    monkeypatch.setattr("phonemes.training.blocks.release", given_back.append)
    split = numbered(np.full(24, 5), FRAME_ALONE)
    epoch(streamed(split, FRAME_ALONE, 8, 40), 8)
    assert len(given_back) > 2
    assert all(each is split.frames for each in given_back)


# Training


def streamed_run(params):
    """Return a run on 300 frames that pass by in several blocks."""
    data, train = params.data, params.train
    split = numbered(np.full(60, 5), data)
    split = split._replace(frames=split.frames / split.frames.max())
    batches = StreamedBatches(split, data, CPU, torch.float32, train.batch_size, 1, 140)
    assert (batches.turns, batches.blocks) == (2, 4)
    torch.manual_seed(3)
    classifier = build(Architecture.of(params.model, 3, 1, CLASSES))
    initialize(classifier.network, "default", torch.default_generator)
    optimizer = Optimizer(classifier.network, train)
    buffers = Buffers.of(batches, train.batch_size)
    step = make_step(
        classifier, optimizer, batches.split, train.batch_size, 1, params, None, torch.float32
    )
    dev = to_device(split, data, CPU, torch.float32)
    return Run(classifier, optimizer, batches, step, dev, train, torch.float32, buffers)


def weights(run):
    return run.classifier.network.state_dict().values()


def test_steps_at_one_rate_are_those_of_epochs_at_a_constant_rate(tiny):
    by_epochs, by_steps = streamed_run(tiny), streamed_run(tiny)
    before = copy.deepcopy([*weights(by_epochs)])
    list(epochs(by_epochs, progress=False))
    list(losses(by_steps, [tiny.train.lr] * tiny.train.epochs * by_epochs.steps))
    assert all(map(torch.equal, weights(by_steps), weights(by_epochs)))
    assert not any(map(torch.equal, weights(by_epochs), before))


def test_training_goes_on_from_a_state_with_the_same_weights(tiny):
    params = changed(tiny, model={"dropout": 0.2}, train={"epochs": 3, "optimizer": "adam"})
    undisturbed = streamed_run(params)
    states = [copy.deepcopy(state(undisturbed)) for _ in epochs(undisturbed, progress=False)]
    resumed = streamed_run(params)
    restore(resumed, states[0])
    assert [each.epoch for each in epochs(resumed, progress=False)] == [2, 3]
    assert all(map(torch.equal, weights(resumed), weights(undisturbed)))
