"""The journal of a search outlives processes that are killed while they write to it."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from phonemes.search import journal

pytestmark = pytest.mark.heavy

FACTS = {"corpus": "1"}


def write_and_die(folder):
    """Write to a journal and be killed with its lock held."""
    os.chdir(folder)
    study = journal.open_study(Path("search/some"), FACTS, journal.pruner("none", 1))
    storage = study._storage._backend
    storage._lock_of_file.release = lambda: os.kill(os.getpid(), signal.SIGKILL)
    study.set_user_attr("written", True)


def test_a_lock_that_a_killed_process_left_is_broken_soon(tmp_path, monkeypatch):
    process = multiprocessing.get_context("spawn").Process(target=write_and_die, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    monkeypatch.chdir(tmp_path)
    folder = Path("search/some")  # as the command has it, from the folder of the project
    assert (folder / "journal.log.lock").exists()
    monkeypatch.setattr(journal, "LOCK_SECONDS", 3)
    study = journal.open_study(folder, FACTS, journal.pruner("none", 1))
    assert study.user_attrs["written"] is True
    assert not os.path.lexists(folder / "journal.log.lock")
