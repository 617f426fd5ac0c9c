"""Fixtures of all tests: quiet hypothesis settings, one thread, small parameters."""

from collections import Counter

import pytest
import torch
from helpers import PARAMS
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
