"""Benchmarks start from the tests' parameters here, not from those that users edit."""

import pytest
from helpers import PARAMS, ROOT, run_stages, set_params, write_course_files

from benchmarks import settings


@pytest.fixture(autouse=True)
def parameters_of_the_tests(monkeypatch):
    monkeypatch.setattr(settings, "PARAMS", PARAMS)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a folder, the current one, in which the stages up to context ran."""
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "phonemes", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    set_params({"model": {"norm": "batch"}, "train": {"optimizer": "adam", "lr": 1e-2}})
    write_course_files(tmp_path / "data/raw/tiny")
    run_stages("corpus", "normalize", "context")
    return tmp_path
