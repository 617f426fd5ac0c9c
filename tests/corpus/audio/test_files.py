"""Only files in corpus.path are found, each once, whatever links there are."""

import os
from pathlib import Path, PurePosixPath

import pytest

from phonemes.corpus.audio.files import contained, find_files, listing, read_file
from phonemes.errors import InputError


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def found(folder, root=None, parent=None):
    return sorted(map(str, find_files(folder, root or folder, (".wav",), parent)))


def test_files_of_the_wanted_kinds_are_found_in_any_folder(tmp_path):
    touch(tmp_path, "a.wav", "b/c/d.WAV", "b/e.txt", "b/._d.wav", ".git/x.wav")
    assert found(tmp_path) == ["a.wav", "b/c/d.WAV"]
    assert found(tmp_path / "b", tmp_path) == ["c/d.WAV"]
    assert found(tmp_path, parent="c") == ["b/c/d.WAV"]


@pytest.mark.parametrize("target", [".", "..", "../other"])
def test_a_link_to_a_folder_is_refused_and_never_followed(target, tmp_path):
    touch(tmp_path, "corpus/train/a.wav", "other/b.wav")
    for name in ("loop", "second"):
        (tmp_path / "corpus/train" / name).symlink_to(target)
    if target == "../other":
        (tmp_path / "corpus/other").mkdir()
    with pytest.raises(InputError, match=r"train/(loop|second) is a link to a folder, which DVC"):
        found(tmp_path / "corpus")


def test_a_link_out_of_the_corpus_is_refused_and_one_within_is_taken(tmp_path):
    touch(tmp_path, "corpus/a.wav", "outside.wav")
    (tmp_path / "corpus/b.wav").symlink_to("a.wav")
    (tmp_path / "corpus/notes.txt").symlink_to("../outside.wav")  # is not read
    assert found(tmp_path / "corpus") == ["a.wav", "b.wav"]
    (tmp_path / "corpus/c.wav").symlink_to("../outside.wav")
    with pytest.raises(InputError, match=r"c\.wav is a link that leads out of corpus\.path"):
        found(tmp_path / "corpus")


def test_a_link_to_itself_or_to_nowhere_is_left_to_its_reader(tmp_path):
    (tmp_path / "a.wav").symlink_to("a.wav")
    (tmp_path / "b.wav").symlink_to("nowhere.wav")
    assert found(tmp_path) == ["a.wav", "b.wav"]


def test_the_corpus_itself_may_be_a_link(tmp_path):
    touch(tmp_path, "real/a.wav")
    (tmp_path / "corpus").symlink_to("real")
    (tmp_path / "real/b.wav").symlink_to("a.wav")
    assert found(tmp_path / "corpus") == ["a.wav", "b.wav"]


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\x7f", "\x85", "\u2028", "\udcff"])
def test_a_name_that_does_not_fit_into_a_line_is_refused(character, tmp_path):
    touch(tmp_path, f"s{character}0/a.wav")
    with pytest.raises(
        InputError, match=r"its name (has the control|is not UTF-8).*rename it"
    ) as e:
        found(tmp_path)
    assert character not in str(e.value)


def test_what_lies_outside_is_named_with_the_way_on(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    assert contained(root / "list.csv", root, "x") == root / "list.csv"
    with pytest.raises(InputError, match=r"list: \.\./b leads out of corpus\.path, .*; move or co"):
        contained(root / "../b", root, "list: ../b")


def test_what_dvc_is_told_to_ignore_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path("data/raw")
    touch(Path(), "data/raw/list.csv")
    Path(".dvcignore").write_text("*.csv\n")
    with pytest.raises(InputError, match=r"raw/list\.csv is ignored by \.dvcignore, so that DVC"):
        contained(root / "list.csv", root, "list")


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.TextGrid")
    with pytest.raises(OSError, match="it is not a file"):
        read_file(tmp_path / "a.TextGrid")


def test_a_listing_names_three():
    assert listing("cab") == "a, b, c"
    assert listing(str(PurePosixPath(name)) for name in "dcab") == "a, b, c and 1 more"
