"""A file or folder is replaced whole or not at all, and rows become the array that numpy reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phonemes.files import NpyAppender, replacing

DTYPES = ["<f4", "<f8", "<f2", "<i2", "<i8", "|u1", "|b1", ">f4", "<c8", "<U3"]


def content(folder):
    """Return {path: text} of everything under a folder; None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def write_folder(path, text="new"):
    path.mkdir()
    (path / "inside.txt").write_text(text)


def test_a_new_file_appears_only_when_it_is_whole(tmp_path):
    with replacing(tmp_path / "a.txt") as path:
        path.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert content(tmp_path) == {"a.txt": "new"}


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with replacing(tmp_path / "a.txt") as path:
        path.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert content(tmp_path) == {"a.txt": "new"}


def test_an_old_folder_is_replaced_with_all_it_held(tmp_path):
    write_folder(tmp_path / "a", "old")
    (tmp_path / "a/stale.txt").write_text("old")
    with replacing(tmp_path / "a") as path:
        write_folder(path)
        assert (tmp_path / "a/inside.txt").read_text() == "old"
    assert content(tmp_path) == {"a": None, "a/inside.txt": "new"}


def test_a_file_may_replace_a_folder(tmp_path):
    write_folder(tmp_path / "a", "old")
    with replacing(tmp_path / "a") as path:
        path.write_text("new")
    assert content(tmp_path) == {"a": "new"}


@pytest.mark.parametrize("write", [write_folder, lambda path: path.write_text("new")])
def test_what_was_written_is_moved_into_place_and_not_copied(tmp_path, write):
    with replacing(tmp_path / "a") as path:
        write(path)
        written = path.stat().st_ino
    assert (tmp_path / "a").stat().st_ino == written


def test_missing_parents_are_made(tmp_path):
    with replacing(tmp_path / "a/b/c.txt") as path:
        path.write_text("new")
    assert (tmp_path / "a/b/c.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, "file", "folder"])
@pytest.mark.parametrize("new", [None, "file", "folder"])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path, error, old, new):
    target = tmp_path / "a"
    if old == "file":
        target.write_text("old")
    elif old == "folder":
        write_folder(target, "old")
    before = content(tmp_path)
    with pytest.raises(error), replacing(target) as path:
        if new == "file":
            path.write_text("half")
        elif new == "folder":
            write_folder(path, "half")
        raise error
    assert content(tmp_path) == before


@pytest.mark.parametrize("old", ["file", "folder"])
def test_a_block_that_writes_nothing_is_an_error_and_costs_nothing(tmp_path, old):
    target = tmp_path / "a"
    if old == "file":
        target.write_text("old")
    else:
        write_folder(target, "old")
    before = content(tmp_path)
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert content(tmp_path) == before


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
    np.save(tmp_path / "whole.npy", rows)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


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
