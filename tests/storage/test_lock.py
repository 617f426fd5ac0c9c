"""One stage at a time works in a folder."""

import pytest

from phonemes.errors import InputError
from phonemes.storage.lock import locked


def test_a_folder_with_a_running_stage_is_refused_until_it_ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        locked(),
        pytest.raises(InputError, match=f"a stage is running in {tmp_path}; wait for it"),
        locked(),
    ):
        pass
    with locked():
        pass


def test_a_folder_that_links_to_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to("/nonexistent/disk")
    with (
        pytest.raises(InputError, match=r"^data is a link to /nonexistent/disk, which is"),
        locked(),
    ):
        pass
