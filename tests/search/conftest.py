"""A small project that is ready to be searched."""

from pathlib import Path

import pytest
from helpers import LEARNING, run_stages, set_params, write_course_files

SPACE = """
data:
  k: {low: 0, high: 3}
model:
  hidden: {blocks: [2, 3], width: {low: 8, high: 32, step: 8}, taper: [0.5, 1]}
  dropout: [0, 0.2]
train:
  optimizer: [adamw, sgd]
  momentum: {low: 0.1, high: 0.9, if: {train.optimizer: sgd}}
  lr: {low: 1e-3, high: 1e-1, log: true}
  epochs: 3
"""


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """Return a folder in which the stages before `train` ran, and a space is."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        set_params(LEARNING)
        write_course_files(Path("data/raw/tiny"))
        run_stages("corpus", "normalize", "context")
        Path("space.yaml").write_text(SPACE)
    return folder


@pytest.fixture
def project(packed, tmp_path, monkeypatch):
    """Enter a folder of its own with the data of `packed`."""
    for name in ("params.yaml", "space.yaml"):
        (tmp_path / name).write_text((packed / name).read_text())
    (tmp_path / "data").symlink_to(packed / "data")
    (tmp_path / "metrics").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path
