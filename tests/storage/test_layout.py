"""Checkpoints lie where the queued experiments of a project find them."""

import pytest

from phonemes.storage.layout import checkpoint_folder


@pytest.mark.parametrize("copy", [".", ".dvc/tmp/exps/tmpabc"])
def test_an_experiment_shares_the_checkpoints_of_its_project(copy, tmp_path, monkeypatch):
    (tmp_path / copy).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / copy)
    assert checkpoint_folder() == tmp_path / ".dvc/tmp/checkpoints"
