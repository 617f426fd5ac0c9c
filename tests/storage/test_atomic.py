"""A file or folder is replaced as a whole or not at all."""

import pytest

from phonemes.storage.atomic import replacing


def content(folder):
    """Return {path: text} of everything under a folder; None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def write_folder(path, text="new"):
    path.mkdir()
    (path / "inside.txt").write_text(text)


def test_a_new_file_appears_only_when_it_is_complete(tmp_path):
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
