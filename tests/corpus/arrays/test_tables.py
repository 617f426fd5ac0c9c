"""A column of a CSV file is read as it is, in memory that its size bounds."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonemes.corpus.arrays.tables import read_column, read_labels
from phonemes.errors import InputError

MOST_MEMORY, ROOM = 64, 1 << 20  # bytes for each byte of the file, and for any file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("csv")


@pytest.fixture
def table(tmp_path):
    """Return what writes a CSV file and returns its path."""

    def write(text):
        path = tmp_path / "a.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_column_comes_back_row_by_row(table):
    path = table('id,label\n0,AA\n\n1,"B,C"\n2\n')
    assert [*read_column(path, "label")] == ["AA", "B,C", ""]
    assert [*read_column(path)] == ["0", "1", "2"]


def test_files_of_windows_are_read_too(table):
    assert [*read_column(table("id,label\r\n0,AA\r\n".encode("utf-8-sig")), "id")] == ["0"]


def test_integers_are_integers_and_phonemes_text(table):
    labels = read_labels(table("label\n1\n70\n1\n"), 3)
    assert labels.dtype == np.int64 and labels.tolist() == [1, 70, 1]
    labels = read_labels(table("label\nAA\n1\nAA\n"), 3)
    assert labels.dtype == object and labels.tolist() == ["AA", "1", "AA"]
    assert read_labels(table("label\n1.5\n2\n"), 2).dtype == np.float64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read: it has no columns; expected CSV in UTF-8 with a column label"),
        ("id,phone\n", "cannot be read: it has 0 columns named 'label'"),
        ("label,label\n1,2\n", "cannot be read: it has 2 columns named 'label'"),
        (b"label\n\xff\n", "cannot be read: 'utf-8' codec"),
        ("label\n1\n\n2\n3\n", "has 3 rows, the utterances have 2 frames; take both from one"),
        ("label\n1\n", "has 1 rows, the utterances have 2 frames"),
        ("id,label\n0,1\n1,\n", "row 1: has no label; every frame needs one"),
        ("id,label\n0\n", "row 0: has no label"),
        ('label\n"' + "a" * 200_000, "cannot be read: field larger than field limit"),
    ],
)
def test_labels_that_do_not_fit_are_refused(table, text, message):
    with pytest.raises(InputError, match=message):
        read_labels(table(text), 2)


def test_more_different_labels_than_phonemes_can_be_are_refused(table):
    path = table("label\n" + "\n".join(map(str, range(40_000))))
    with pytest.raises(InputError, match="more than 32768 different labels"):
        read_labels(path, 40_000)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"a\.csv is not a file; put a CSV file in its place"):
        next(read_column(tmp_path / "a.csv"))


def assert_bounded(content, folder):
    (folder / "a.csv").write_bytes(content)
    tracemalloc.start()
    try:
        read_labels(folder / "a.csv", content.count(b"\n"))
    except InputError:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < MOST_MEMORY * len(content) + ROOM


MEGABYTE = 2**20
LARGE = {
    "columns": b"label" + b"," * MEGABYTE + b"\n1\n",
    "columns of a row": b"label\n1" + b"," * MEGABYTE,
    "rows": b"label\n" + b"1\n" * (MEGABYTE // 2),
    "empty rows": b"label\n" + b"\n" * MEGABYTE,
    "different labels": b"label\n" + b"".join(b"%x\n" % n for n in range(30_000)),
    "one label": b"label\n" + b"a" * MEGABYTE,
    "a quotation without end": b'label\n"' + b"a\n" * (MEGABYTE // 2),
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
def test_no_table_takes_more_than_a_multiple_of_its_file(folder, content):
    assert_bounded(content, folder)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"1", b",", b"\n", b'"', b"AA", b"\r", b"\0", b"\xf0\x9f\x98\x80"]),
            st.sampled_from([1, 2, 5000]),
        ),
        max_size=12,
    )
)
@settings(max_examples=60)
def test_no_damage_to_a_table_takes_more_than_a_multiple_of_its_file(folder, parts):
    assert_bounded(b"id,label\n" + b"".join(part * count for part, count in parts), folder)
