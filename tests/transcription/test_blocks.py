"""A recording is cut into blocks at its pauses; nothing of it is lost."""

import numpy as np
import pytest
from helpers import ROOT

from phonemes.features.log_mel import log_mel
from phonemes.params import load
from phonemes.transcription.blocks import LONGEST, REST, SHORTEST, blocks, framed

FEATURES = load(ROOT / "params.yaml").features
NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)


@pytest.mark.parametrize("size", [1, 159, 160, 401, 5000, 48_000])
def test_frames_of_pieces_are_those_of_the_whole_recording(size):
    samples = NOISE[: 3000 if size == 1 else None]
    pieces = [samples[at : at + size] for at in range(0, len(samples), size)]
    found = np.concatenate([*framed(pieces, FEATURES)])
    np.testing.assert_array_equal(found, log_mel(samples, FEATURES))


def test_a_recording_shorter_than_a_frame_has_no_frames():
    assert [*framed([NOISE[:399]], FEATURES)] == []


def test_a_short_recording_is_one_block():
    frames = np.random.default_rng(0).normal(size=(round((LONGEST + REST) * 100) - 1, 4))
    (block,) = blocks([frames], 0.01)
    np.testing.assert_array_equal(block, frames)


def test_long_recordings_are_cut_at_their_quietest_moment():
    frames = np.zeros((10_000, 4), np.float32)
    pauses = [600, 1300, 2000]
    for pause in pauses:
        frames[pause - 15 : pause + 15] = -9
    found = [*blocks(np.array_split(frames, 7), 0.01)]
    np.testing.assert_array_equal(np.concatenate(found), frames)
    cuts = np.cumsum([len(each) for each in found])[:3]
    assert all(abs(cut - pause) < 15 for cut, pause in zip(cuts, pauses, strict=True))


@pytest.mark.parametrize("count", [1, 899, 900, 901, 5000])
def test_blocks_are_neither_long_nor_tiny(count):
    frames = np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)
    sizes = [len(each) for each in blocks(np.array_split(frames, max(1, count // 500)), 0.01)]
    assert sum(sizes) == count
    assert max(sizes) < (LONGEST + REST) * 100
    assert all(size >= SHORTEST * 100 for size in sizes[:-1])
    assert count < 100 or sizes[-1] >= REST * 100
