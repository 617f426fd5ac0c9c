"""`phonemes repair` removes what DVC was killed while writing, and nothing else."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import ENVIRONMENT, ROOT, run

from phonemes.commands.repair import repair

pytestmark = pytest.mark.heavy

LOCK, RWLOCK = "dvc.lock", ".dvc/tmp/rwlock"
STAGE = """
stages:
  copy:
    cmd: python -c "import shutil; shutil.copy('source.txt', 'result.txt')"
    deps: [source.txt]
    outs: [result.txt]
"""
REMOVED = "removed {}, which DVC was killed while writing\n"


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory) -> Path:
    """Return a project of one stage that has run."""
    folder = tmp_path_factory.mktemp("repair") / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(STAGE)
    (folder / "source.txt").write_text("content")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    assert "Running stage 'copy'" in run(folder, "dvc", "repro")
    return folder


@pytest.fixture
def project(reproduced, tmp_path, monkeypatch) -> Path:
    """Enter a copy of that project."""
    folder = shutil.copytree(reproduced, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Wait for nobody who might be writing just now."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def repaired() -> str:
    """Return what `phonemes repair` prints in the current folder."""
    return CliRunner().invoke(repair, catch_exceptions=False).output


def cut(name: str, last: str) -> None:
    """Leave of a file what DVC leaves when it is killed while writing, nothing or up to `last`."""
    text = Path(name).read_text()
    Path(name).write_text(text[: text.rindex(last) if last else 0])


def refused(project: Path) -> bool:
    """Return whether `dvc repro` fails."""
    command = ["dvc", "repro"]
    return bool(
        subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True).returncode
    )


@pytest.mark.parametrize(("name", "last"), [(LOCK, ""), (LOCK, ":"), (RWLOCK, ""), (RWLOCK, "}")])
def test_a_half_written_file_is_removed(project, name, last):
    cut(name, last)
    assert repaired() == REMOVED.format(name)
    assert not Path(name).exists()
    assert repaired() == ""


def test_a_repro_that_was_refused_goes_on_with_nothing_lost(project):
    cut(LOCK, ":")
    cut(RWLOCK, "}")
    assert refused(project)
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "phonemes", "repair"]
    printed = subprocess.check_output(command, cwd=project, env=environment, text=True)
    assert printed == REMOVED.format(LOCK) + REMOVED.format(RWLOCK)
    output = run(project, "dvc", "repro")
    assert "is cached" in output and "Running stage" not in output
    assert repaired() == ""


def test_a_run_that_dvc_had_only_begun_to_keep_is_removed_and_runs_again(project):
    (kept,) = Path(".dvc/cache/runs").glob("*/*/*")
    kept.unlink()
    Path(LOCK).unlink()
    assert refused(project)
    assert repaired() == REMOVED.format(kept.parent)
    assert "Running stage 'copy'" in run(project, "dvc", "repro")


def test_what_dvc_can_read_is_left_alone(project):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert repaired() == ""
    assert before == {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_a_merge_that_waits_for_its_user_is_left_alone(project):
    conflict = "schema: '2.0'\n<<<<<<< HEAD\nstages:\n=======\n>>>>>>> other\n"
    Path(LOCK).write_text(conflict)
    assert repaired() == ""
    assert Path(LOCK).read_text() == conflict


def test_what_dvc_is_writing_just_now_is_left_alone(project, monkeypatch):
    content = Path(LOCK).read_text()
    Path(LOCK).write_text("")
    monkeypatch.setattr(time, "sleep", lambda seconds: Path(LOCK).write_text(content))
    assert repaired() == ""
    assert Path(LOCK).read_text() == content


def test_in_a_folder_without_dvc_there_is_nothing_to_repair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repaired() == ""
    Path(LOCK).write_text("half: [")
    assert repaired() == REMOVED.format(LOCK)
