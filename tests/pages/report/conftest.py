"""A run in a folder of its own."""

import pytest
from pages.report.made import here, write_run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder with a run."""
    write_run(folder=tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder):
    """Return the run of that folder."""
    return here()
