"""Rows that are appended one part after the other become the array that numpy reads."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phonemes.storage.npy import NpyAppender

DTYPES = ["<f4", "<f8", "<f2", "<i2", "<i8", "|u1", "|b1", ">f4", "<c8", "<U3"]


@given(
    st.sampled_from(DTYPES),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_appended_rows_are_the_array_that_numpy_loads(tmp_path_factory, dtype, row, counts):
    path = tmp_path_factory.mktemp("rows") / "a.npy"
    random = np.random.default_rng(0)
    parts = [random.integers(0, 2, (count, *row)).astype(dtype) for count in counts]
    with NpyAppender(path, np.dtype(dtype)) as output:
        for part in parts:
            output.append(part)
        assert output.rows == sum(counts)
    loaded = np.load(path, allow_pickle=False)
    assert (loaded.dtype, loaded.shape) == (np.dtype(dtype), (sum(counts), *row))
    np.testing.assert_array_equal(loaded, np.concatenate(parts))


def test_the_file_is_byte_for_byte_what_numpy_saves(tmp_path):
    rows = np.random.default_rng(0).normal(size=(1000, 40)).astype(np.float32)
    with NpyAppender(tmp_path / "rows.npy", rows.dtype) as output:
        for part in np.split(rows, 10):
            output.append(part)
    np.save(tmp_path / "saved.npy", rows)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


def test_an_array_without_a_row_is_empty(tmp_path):
    with NpyAppender(tmp_path / "a.npy", np.dtype(np.int16)):
        pass
    assert np.load(tmp_path / "a.npy").shape == (0,)


def test_rows_are_converted_and_need_not_be_contiguous(tmp_path):
    rows = np.arange(24, dtype=np.int64).reshape(6, 4)[::2, ::-1]
    with NpyAppender(tmp_path / "a.npy", np.dtype(np.float32)) as output:
        output.append(rows)
    loaded = np.load(tmp_path / "a.npy")
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, rows)


def test_a_header_of_any_length_does_not_run_into_the_rows(tmp_path):
    for length in range(1, 65):  # numpy fills headers up to multiples of 64 bytes
        dtype = np.dtype([("n" * length, "<f4"), ("m", "<i2")])
        rows = np.ones((3, 40, 5), dtype)
        with NpyAppender(tmp_path / "a.npy", dtype) as output:
            output.append(rows)
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rows)
