"""What a stage wrote is read as it is; what is missing, damaged or of another run is refused."""

import errno
import os
import re

import numpy as np
import psutil
import pytest

from phonemes.errors import InputError
from phonemes.storage.layout import CONTEXT, CORPUS, NORMALIZED
from phonemes.storage.read import (
    read_array,
    read_description,
    read_frames,
    read_labels,
    read_lengths,
    read_phonemes,
    read_spelling,
    read_split,
    read_split_with_lengths,
    read_starts,
    read_utterances,
)


@pytest.fixture
def save(tmp_path):
    """Return what saves values as an array and returns its path."""

    def save(values, dtype=None, name="a.npy"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.array(values, dtype))
        return path

    return save


def refusal(function, *arguments):
    """Return the message with which a reader refuses."""
    with pytest.raises(InputError) as refused:
        function(*arguments)
    return str(refused.value)


def test_a_missing_array_says_how_to_make_it(tmp_path):
    expected = f"{tmp_path / 'a.npy'} is missing; run `dvc repro` to make it"
    assert refusal(read_array, tmp_path / "a.npy") == expected


def test_an_array_is_read_only_and_not_loaded_until_needed(save):
    array = read_array(save([0, 0, 0]))
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_an_array_of_pickles_is_not_opened(save):
    expected = "is damaged .*; run `phonemes repair --cache`, then `dvc repro`"
    assert re.search(expected, refusal(read_array, save([{}])))


def test_a_damaged_array_is_named(save):
    path = save([1, 2, 3])
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(read_array, path).startswith(f"{path} is damaged (")


def test_an_archive_is_refused_and_closed(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.ones(2))
    with pytest.raises(InputError, match=r"is damaged \(no \.npy file\)") as refused:
        read_array(path)
    assert refused.traceback  # which keeps alive what was opened
    assert str(path) not in {file.path for file in psutil.Process().open_files()}


def failing(*arguments, **options):
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_file_is_not_called_damaged_where_the_machine_fails(save, monkeypatch):
    path = save([1, 2, 3])
    monkeypatch.setattr(np, "load", failing)
    assert refusal(read_array, path).startswith(f"cannot read {path}: Too many open files; raise ")
    monkeypatch.setattr(type(path), "open", failing)
    monkeypatch.setattr(type(path), "read_text", failing)
    for read in (read_phonemes, lambda folder: read_utterances(folder, "dev")):
        assert ": Too many open files; raise the limit" in refusal(read, path.parent)


@pytest.mark.parametrize(
    ("values", "dtype", "found", "expected"),
    [
        (np.ones((3, 2)), "f4", "float32 of shape (3, 2)", "floats of shape (2, any)"),
        (np.ones(2), "f4", "float32 of shape (2,)", "floats of shape (2, any)"),
        (np.ones((2, 3)), "i4", "int32 of shape (2, 3)", "floats of shape (2, any)"),
    ],
)
def test_frames_of_another_run_are_refused(save, values, dtype, found, expected):
    path = save(values, dtype)
    assert refusal(read_frames, path, 2) == (
        f"{path} holds {found}; expected {expected}, as the other files say; delete it and run "
        "`dvc repro`"
    )


def test_starts_and_labels_must_be_integers(save):
    path = save([0.0, 1.0])
    assert "expected integers of shape (any)" in refusal(read_starts, path)
    assert "expected integers of shape (2)" in refusal(read_labels, path, 2, 9)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_the_first_label_out_of_range_is_named(save, wrong):
    path = save([0, 2, wrong, wrong])
    assert f"frame 2 has label {wrong}; expected 0 to 2" in refusal(read_labels, path, 4, 3)


def test_an_empty_utterance_and_an_empty_split_are_named(tmp_path, save):
    save([3, 0, 0], name="lengths/dev.npy")
    assert "dev.npy: utterance 1 has 0 frames; delete it" in refusal(read_lengths, tmp_path, "dev")
    save([], int, name="lengths/dev.npy")
    assert "dev.npy: is empty; delete it" in refusal(read_lengths, tmp_path, "dev")


@pytest.mark.parametrize(
    ("text", "count"),
    [("name,speaker\na,s\n", 2), ("name\na\n", 1), ("name,speaker\na\n", None)],
    ids=["another number", "another header", "a short row"],
)
def test_a_list_of_utterances_of_another_corpus_is_refused(tmp_path, text, count):
    (tmp_path / "utterances").mkdir()
    (tmp_path / "utterances/dev.csv").write_text(text)
    expected = f"has 1 rows of .*; expected {count or 'some'} of name,speaker, as the other files"
    assert re.search(expected, refusal(read_utterances, tmp_path, "dev", count))


def test_the_spelling_of_phonemes_comes_back(tmp_path):
    (tmp_path / "spelling.txt").write_text("text\n[SIL]\naa\n")
    assert read_spelling(tmp_path, 2) == (True, ("[SIL]", "aa"))
    (tmp_path / "spelling.txt").write_text("integers\n[SIL]\n")
    assert read_spelling(tmp_path, 1) == (False, ("[SIL]",))


@pytest.mark.parametrize("text", ["", "text\n[SIL]\n", "text\na\nb\nc\n", "words\na\nb\n"])
def test_the_spelling_of_another_corpus_is_refused(tmp_path, text):
    (tmp_path / "spelling.txt").write_text(text)
    expected = "expected integers or text, and then 2, as the other files say; delete it and run"
    assert expected in refusal(read_spelling, tmp_path, 2)


def test_missing_lists_say_how_to_make_them(tmp_path):
    for read in (
        read_phonemes,
        lambda folder: read_spelling(folder, 1),
        lambda folder: read_utterances(folder, "dev"),
    ):
        assert re.search("cannot read .*; run `dvc repro` to make it", refusal(read, tmp_path))


def write_split(starts, lengths):
    """Write a split with labels 1, 0, ..., windows that start at `starts`, and other `lengths`."""
    for path, values in {
        NORMALIZED / "dev.npy": np.ones((len(starts), 3), np.float32),
        CONTEXT / "dev.npy": np.array(starts, np.int32),
        CORPUS / "labels/dev.npy": (1 - np.arange(len(starts)) % 2).astype(np.int16),
        CORPUS / "lengths/dev.npy": np.array(lengths),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)


def test_a_split_is_read_from_the_files_of_three_stages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_split([0, 1], [2])
    frames, starts, labels, _ = read_split("dev", classes=2)
    assert (frames.shape, starts.tolist(), labels.tolist()) == ((2, 3), [0, 1], [1, 0])
    assert read_split("dev", classes=None).labels is None


def test_a_split_is_read_with_the_lengths_of_its_utterances(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_split([0, 1, 4, 5, 6, 9], [2, 3, 1])
    split, lengths = read_split_with_lengths("dev", classes=2)
    assert (len(split.frames), len(split.labels), lengths.tolist()) == (6, 6, [2, 3, 1])


@pytest.mark.parametrize("lengths", [[2, 3], [2, 3, 2], [3, 2, 1], [6], [2, 3, 1, 9]])
def test_an_index_of_other_utterances_is_refused(tmp_path, monkeypatch, lengths):
    monkeypatch.chdir(tmp_path)
    write_split([0, 1, 4, 5, 6, 9], lengths)
    assert refusal(read_split_with_lengths, "dev", None) == (
        "data/context/dev.npy holds 6 windows of 3 utterances, data/corpus/lengths/dev.npy "
        f"{sum(lengths)} frames of {len(lengths)}, or utterances of other lengths; run `dvc "
        "repro`, or the stages from corpus on"
    )


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.npy", lambda folder: read_array(folder / "a.npy")),
        ("utterances/dev.csv", lambda folder: read_utterances(folder, "dev")),
        ("phonemes.txt", read_phonemes),
        ("spelling.txt", lambda folder: read_spelling(folder, 1)),
        ("features.json", lambda folder: read_description(folder / "features.json")),
    ],
)
def test_a_pipe_is_refused_and_not_waited_for(name, read, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    assert re.search(
        rf"{name} (is damaged \(no file\)|\(it is not a file)", refusal(read, tmp_path)
    )
