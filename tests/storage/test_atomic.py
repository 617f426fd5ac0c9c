"""Files and folders are replaced as a whole, all of them together, or not at all."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from phonemes.errors import InputError
from phonemes.storage.atomic import Outputs, make_folder, replacing


def content(folder):
    """Return {path: text} of everything under a folder; None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }


def write_folder(path, text="new"):
    path.mkdir(exist_ok=True)
    (path / "inside.txt").write_text(text)


def write_both(outputs, folder, text="new"):
    """Write a folder `a` and a file `b.txt`."""
    write_folder(outputs.folder(folder / "a"), text)
    outputs.file(folder / "b.txt").write_text(text)


BOTH = {"a": None, "a/inside.txt": "new", "b.txt": "new"}
BOTH_OLD = {"a": None, "a/inside.txt": "old", "b.txt": "old"}


# One file


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


def test_a_link_to_a_file_is_replaced_and_what_it_points_to_is_not(tmp_path):
    (tmp_path / "cache").write_text("old")  # as DVC links its cache
    (tmp_path / "a.txt").symlink_to("cache")
    with replacing(tmp_path / "a.txt") as path:
        path.write_text("new")
    assert content(tmp_path) == {"a.txt": "new", "cache": "old"}


def test_what_was_written_is_moved_into_place_and_not_copied(tmp_path):
    with Outputs() as outputs:
        write_both(outputs, tmp_path)
        written = [path.stat().st_ino for path in sorted(tmp_path.iterdir())]
    assert [path.stat().st_ino for path in sorted(tmp_path.iterdir())] == written


def test_missing_parents_are_made(tmp_path):
    with replacing(tmp_path / "a/b/c.txt") as path:
        path.write_text("new")
    assert (tmp_path / "a/b/c.txt").read_text() == "new"


# Several files and folders


@pytest.mark.parametrize("old", [True, False])
def test_all_appear_together_after_the_last_is_complete(tmp_path, old):
    if old:
        with Outputs() as outputs:
            write_both(outputs, tmp_path, "old")
        (tmp_path / "a/stale.txt").write_text("old")
    with Outputs() as outputs:
        write_both(outputs, tmp_path)
        assert (tmp_path / "a").exists() == old
        assert not old or (tmp_path / "a/inside.txt").read_text() == "old"
    assert content(tmp_path) == BOTH


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [True, False])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path, error, old):
    if old:
        with Outputs() as outputs:
            write_both(outputs, tmp_path, "old")
    before = content(tmp_path)
    with pytest.raises(error), Outputs() as outputs:
        write_both(outputs, tmp_path)
        raise error
    assert content(tmp_path) == before


def test_what_is_not_written_is_an_error_and_costs_nothing(tmp_path):
    with Outputs() as outputs:
        write_both(outputs, tmp_path, "old")
    with pytest.raises(FileNotFoundError, match="was not written"), Outputs() as outputs:
        write_folder(outputs.folder(tmp_path / "a"))
        outputs.file(tmp_path / "b.txt")
    assert content(tmp_path) == BOTH_OLD


def fail_at(number, error, monkeypatch):
    """Have the renaming of the number-th output to its place raise an error."""
    replace, calls = Path.replace, []

    def failing(path, target):
        calls.append(path)
        if len(calls) == number:
            raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failure_while_they_are_renamed_undoes_what_was_done(
    tmp_path, monkeypatch, number, error, old
):
    if old:
        with Outputs() as outputs:
            write_both(outputs, tmp_path, "old")
    before = content(tmp_path)
    fail_at(number, error, monkeypatch)
    with pytest.raises(type(error)), Outputs() as outputs:
        write_both(outputs, tmp_path)
    assert content(tmp_path) == before


def test_an_output_may_be_replaced_before_an_error(tmp_path):
    with pytest.raises(ValueError, match="later"), Outputs() as outputs:
        write_both(outputs, tmp_path)
        outputs.replace()
        raise ValueError("later")
    assert content(tmp_path) == BOTH


def test_what_a_killed_run_left_is_removed(tmp_path):
    write_folder(tmp_path / ".a.123.partial")
    (tmp_path / ".b.txt.123.former.partial").write_text("old")
    (tmp_path / ".c.txt.123.partial").write_text("of another output")
    with Outputs() as outputs:
        write_both(outputs, tmp_path)
    assert content(tmp_path) == BOTH | {".c.txt.123.partial": "of another output"}


def test_a_folder_may_replace_a_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with Outputs() as outputs:
        write_both(outputs, tmp_path)
    assert content(tmp_path) == BOTH


# Links to other disks


@pytest.fixture
def disk(tmp_path):
    """Return a folder with something in it, to which data/a links."""
    write_folder(tmp_path / "disk", "old")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").symlink_to("../disk")
    return tmp_path / "disk"


@pytest.mark.parametrize("root_of_a_disk", [True, False])
def test_a_linked_folder_is_replaced_where_it_is_again_and_again(
    disk, tmp_path, monkeypatch, root_of_a_disk
):
    if root_of_a_disk:  # which cannot be renamed
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    (disk / "stale.txt").write_text("old")
    for text in ("new", "newer"):
        with Outputs() as outputs:
            write_both(outputs, tmp_path / "data", text)
            assert (disk / "inside.txt").read_text() != text
        assert (tmp_path / "data/a").is_symlink()
        assert content(disk) == {"inside.txt": text}
        assert {path.name for path in (tmp_path / "data").iterdir()} == {"a", "b.txt"}
        assert {path.name for path in tmp_path.iterdir()} == {"data", "disk"}


@pytest.mark.parametrize("root_of_a_disk", [True, False])
def test_an_error_leaves_a_linked_folder_as_it_was(disk, tmp_path, monkeypatch, root_of_a_disk):
    if root_of_a_disk:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    fail_at(2, OSError("no"), monkeypatch)
    with pytest.raises(OSError, match="no"), Outputs() as outputs:
        write_both(outputs, tmp_path / "data")
    assert content(disk) == {"inside.txt": "old"}
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"a"}


@pytest.mark.parametrize("name", ["data/b.txt", "data"])
def test_a_link_to_nowhere_is_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to("/nonexistent/disk")
    message = f"{name} is a link to /nonexistent/disk, which is not there; mount its disk or"
    with pytest.raises(InputError, match=message):
        make_folder(tmp_path / "data/b.txt")
    with pytest.raises(InputError, match=message):
        Outputs().folder(tmp_path / "data/b.txt")


def test_a_file_where_a_folder_is_needed_is_named(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(InputError, match="data is a file where a folder is needed; move it away"):
        Outputs().file(tmp_path / "data/b.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is a disk of its own on Linux alone")
def test_a_link_to_a_folder_on_another_disk_is_followed(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        write_folder(Path(other, "corpus"), "old")
        (tmp_path / "a").symlink_to(Path(other, "corpus"))
        with Outputs() as outputs:
            write_both(outputs, tmp_path)
        assert content(Path(other)) == {"corpus": None, "corpus/inside.txt": "new"}


def test_a_folder_in_the_place_of_a_file_is_kept_and_named(tmp_path):
    (tmp_path / "out.csv/mine").mkdir(parents=True)
    reason = "is a folder where a file is to be written; move it away"
    with pytest.raises(InputError, match=reason), replacing(tmp_path / "out.csv") as path:
        path.write_text("new")
    assert [each.name for each in tmp_path.rglob("*")] == ["out.csv", "mine"]
