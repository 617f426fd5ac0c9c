"""The window of every frame shows its own neighbours, and no other utterance's."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phonemes.context import (
    pad,
    pad_by_parts,
    utterance_lengths,
    window_milliseconds,
    window_starts,
)
from phonemes.errors import InputError

several_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(np.array)
radii = st.integers(0, 9)
paddings = st.sampled_from(["zero", "edge"])


def all_windows(frames, lengths, k, padding):
    """Return every frame's window, (N, W, C)."""
    starts = window_starts(lengths, k, padding)
    padded = pad(frames, starts, k, padding)
    return padded[starts[:, None] + np.arange(2 * k + 1)]


def numbered(lengths):
    """Return frames of one coefficient, numbered 1 to N; 0 is padding."""
    return np.arange(1, lengths.sum() + 1, dtype=np.float32)[:, None]


def windows_by_hand(frames, lengths, k, padding):
    """Return every frame's window, (N, W, C), cut out of its utterance one by one."""
    mode = {"zero": "constant", "edge": "edge"}[padding]
    windows = []
    for utterance in np.split(frames, np.cumsum(lengths)[:-1]):
        padded = np.pad(utterance, [(k, k), (0, 0)], mode)
        windows += [padded[frame : frame + 2 * k + 1] for frame in range(len(utterance))]
    return np.array(windows)


@given(several_lengths, radii, paddings)
def test_the_middle_of_each_window_is_its_own_frame(lengths, k, padding):
    seen = all_windows(numbered(lengths), lengths, k, padding)[:, k, 0]
    assert seen.tolist() == list(range(1, lengths.sum() + 1))


@given(several_lengths, radii, paddings)
def test_a_window_never_shows_a_frame_of_another_utterance(lengths, k, padding):
    seen = all_windows(numbered(lengths), lengths, k, padding)[..., 0].astype(int)
    owner = np.append(-1, np.repeat(np.arange(len(lengths)), lengths))  # of frames 0 to N
    own = owner[1:, None]
    assert ((owner[seen] == own) | (owner[seen] == -1)).all()


@given(several_lengths, radii, paddings, st.integers(1, 3))
@example(np.array([1]), 9, "edge", 1)  # an utterance shorter than the context
@example(np.array([1, 1, 1]), 9, "zero", 1)
@example(np.array([1, 1, 1]), 9, "edge", 1)
@example(np.array([5, 4]), 0, "edge", 1)  # no context at all
def test_windows_are_those_cut_out_of_each_utterance_by_hand(lengths, k, padding, bands):
    frames = np.random.default_rng(0).normal(size=(lengths.sum(), bands)).astype(np.float32)
    np.testing.assert_array_equal(
        all_windows(frames, lengths, k, padding), windows_by_hand(frames, lengths, k, padding)
    )


def test_beyond_an_utterance_lie_zeros_or_its_own_edge():
    lengths = np.array([2, 1])
    zero = all_windows(numbered(lengths), lengths, 2, "zero")[..., 0]
    edge = all_windows(numbered(lengths), lengths, 2, "edge")[..., 0]
    assert zero.tolist() == [[0, 0, 1, 2, 0], [0, 1, 2, 0, 0], [0, 0, 3, 0, 0]]
    assert edge.tolist() == [[1, 1, 1, 2, 2], [1, 1, 2, 2, 2], [3, 3, 3, 3, 3]]


@given(several_lengths, st.integers(1, 9))
def test_utterances_next_to_each_other_share_their_zeros(lengths, k):
    starts = window_starts(lengths, k, "zero")
    rows = len(pad(numbered(lengths), starts, k, "zero"))
    assert rows == lengths.sum() + k * (len(lengths) + 1)


@given(several_lengths, radii, paddings)
def test_starts_jump_where_utterances_end(lengths, k, padding):
    assert utterance_lengths(window_starts(lengths, k, padding)).tolist() == lengths.tolist()


@given(several_lengths, radii, paddings)
def test_the_index_takes_at_most_8_bytes_a_frame(lengths, k, padding):
    starts = window_starts(lengths, k, padding)
    assert starts.nbytes <= 8 * lengths.sum()
    assert starts.dtype == np.int32


def test_no_start_overflows_in_a_corpus_too_large_for_int32():
    lengths = np.ones(3, np.int64)
    starts = window_starts(lengths, 2**30, "zero")
    assert starts.dtype == np.int64
    assert starts.tolist() == [0, 2**30 + 1, 2**31 + 2]


@given(several_lengths, radii, paddings)
def test_frames_may_be_memory_mapped(tmp_path_factory, lengths, k, padding):
    folder = tmp_path_factory.mktemp("mapped")
    frames, starts = numbered(lengths), window_starts(lengths, k, padding)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "starts.npy", starts)
    mapped = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("frames", "starts")]
    np.testing.assert_array_equal(pad(*mapped, k, padding), pad(frames, starts, k, padding))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([0], "utterance 0 has 0 frames; drop it"),
        ([3, 0, 2, 0], "utterance 1 has 0 frames; drop it"),
        ([3, 2, -1], "utterance 2 has -1 frames; drop it"),
    ],
)
def test_an_empty_utterance_is_named(lengths, message):
    with pytest.raises(ValueError, match=message):
        window_starts(np.array(lengths), 1, "zero")


@pytest.mark.parametrize(
    ("lengths", "k", "padding"),
    [
        ([3, 4], 3, "zero"),
        ([3, 4], 1, "zero"),
        ([3, 4], 0, "zero"),
        ([3, 4], 2, "edge"),
        ([3, 5], 2, "zero"),
        ([3, 3], 2, "zero"),
        ([3, 4, 1], 2, "zero"),
    ],
    ids=["larger k", "smaller k", "no k", "other padding", "longer", "shorter", "one more"],
)
def test_an_index_of_other_utterances_k_or_padding_is_refused(lengths, k, padding):
    starts = window_starts(np.array(lengths), k, padding)
    with pytest.raises(InputError, match=r"made for other utterances, .* run `dvc repro`"):
        pad(numbered(np.array([3, 4])), starts, 2, "zero")


@given(several_lengths, radii, radii, paddings, paddings)
@example(np.array([3, 4]), 2, 0, "zero", "zero")
@example(np.array([3, 4]), 2, 1, "zero", "edge")  # the same starts, and right for both
def test_an_index_is_refused_wherever_its_windows_would_be_wrong(lengths, k, other, padding, than):
    starts = window_starts(lengths, other, than)
    try:
        padded = pad(numbered(lengths), starts, k, padding)
    except InputError:
        assert (other, than) != (k, padding)
    else:
        seen = padded[starts[:, None] + np.arange(2 * k + 1)]
        np.testing.assert_array_equal(seen, windows_by_hand(numbered(lengths), lengths, k, padding))


@pytest.mark.parametrize(
    ("k", "stride", "width", "milliseconds"), [(3, 10, 25, 95), (0, 10, 25, 35), (20, 5, 20, 225)]
)
def test_a_window_covers_its_strides_and_a_frame(k, stride, width, milliseconds):
    assert window_milliseconds(k, stride, width) == milliseconds


@given(several_lengths, radii, paddings, st.integers(1, 9))
def test_frames_that_are_padded_by_parts_are_those_padded_at_once(lengths, k, padding, most):
    frames = np.arange(1, 2 * lengths.sum() + 1, dtype=np.int16).reshape(-1, 2)
    starts = window_starts(lengths, k, padding)
    whole = pad(frames, starts, k, padding)
    rows = np.zeros_like(whole)
    for first, part in pad_by_parts(frames, starts, k, padding, most):
        rows[first : first + len(part)] = part
    np.testing.assert_array_equal(rows, whole)
    assert whole.dtype == np.int16


@given(several_lengths, radii, paddings, st.integers(1, 9), st.randoms(use_true_random=False))
def test_some_utterances_are_padded_as_if_there_were_no_others(lengths, k, padding, most, random):
    frames = np.arange(1, 2 * lengths.sum() + 1, dtype=np.int16).reshape(-1, 2)
    chosen = np.array([random.random() < 0.5 for _ in lengths])
    chosen[random.randrange(len(lengths))] = True
    starts, owner = window_starts(lengths, k, padding), np.repeat(chosen, lengths)
    alone = pad(frames[owner], window_starts(lengths[chosen], k, padding), k, padding)
    rows = np.zeros_like(alone)
    for first, part in pad_by_parts(frames, starts, k, padding, most, chosen):
        rows[first : first + len(part)] = part
    np.testing.assert_array_equal(rows, alone)
