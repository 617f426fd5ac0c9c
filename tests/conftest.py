"""Fixtures of all tests: quiet hypothesis settings, one thread, small parameters."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from helpers import LEARNING, PARAMS, run_stages, set_params, write_course_files
from hypothesis import settings

from phonemes.params import Params, load
from phonemes.training.params import FitParams

# The same examples on every machine and run; tiny networks are fastest on one thread.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")
torch.set_num_threads(1)

TALLY = pytest.StashKey[Counter]()


@pytest.fixture(scope="session")
def tally(pytestconfig) -> Counter:
    """Return counts of what was tried, by name; printed at the end."""
    return pytestconfig.stash.setdefault(TALLY, Counter())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts of a process of pytest-xdist to the one that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = dict(session.config.stash.get(TALLY, Counter()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """Add up what the processes of pytest-xdist counted."""
    counts = node.config.stash.setdefault(TALLY, Counter())
    counts.update(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tried := terminalreporter.config.stash.get(TALLY, None):
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(tried.items()))
        terminalreporter.write_line(f"bad data: {counts}")


@pytest.fixture(scope="session")
def params() -> Params:
    """Return the parameters of tests/params.yaml: small, and nothing random but the seed."""
    return load(PARAMS)


@pytest.fixture(scope="session")
def tiny(params) -> FitParams:
    """Return how to train two narrow blocks for two epochs, windows of one frame on each side."""
    return params.fit


# A project to be searched

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
def search_project(packed, tmp_path, monkeypatch):
    """Enter a folder of its own with the data of `packed`."""
    for name in ("params.yaml", "space.yaml"):
        (tmp_path / name).write_text((packed / name).read_text())
    (tmp_path / "data").symlink_to(packed / "data")
    (tmp_path / "metrics").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path
