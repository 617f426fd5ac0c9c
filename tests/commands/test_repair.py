"""`phonemes repair` removes what DVC was killed while writing, and nothing else."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import ENVIRONMENT, ROOT, run

from phonemes.commands.repair import CUT, problem, repair
from phonemes.errors import InputError

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


def repaired(*options: str) -> str:
    """Return what `phonemes repair` prints in the current folder."""
    return CliRunner().invoke(repair, options, catch_exceptions=False).output


def kept(name: str, content: str) -> str:
    """Write a file, check that `phonemes repair` keeps it, and return what it says about it."""
    Path(name).write_text(content, "utf-8")
    with pytest.raises(InputError) as refused:
        repaired()
    assert Path(name).read_text("utf-8") == content
    return str(refused.value)


def cut(name: str, last: bytes) -> None:
    """Leave of a file what DVC leaves when it is killed while writing, nothing or up to `last`."""
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: content.rindex(last) if last else 0])


def refused(project: Path) -> bool:
    """Return whether `dvc repro` fails."""
    command = ["dvc", "repro"]
    return bool(
        subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True).returncode
    )


@pytest.mark.parametrize(
    ("name", "last"), [(LOCK, b""), (LOCK, b":"), (RWLOCK, b""), (RWLOCK, b"}")]
)
def test_a_half_written_file_is_removed(project, name, last):
    cut(name, last)
    assert repaired() == REMOVED.format(name)
    assert not Path(name).exists()
    assert repaired() == ""


def test_a_repro_that_was_refused_goes_on_with_nothing_lost(project):
    cut(LOCK, b":")
    cut(RWLOCK, b"}")
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


def lines(name: str) -> list[str]:
    return Path(name).read_text("utf-8").splitlines(keepends=True)


@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "||||||| 1234abc", "=======", ">>>>>>> theirs"])
@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_merge_that_waits_for_its_user_is_kept_and_named(project, marker, place):
    content = lines(LOCK)
    content.insert(place, f"{marker}\n")
    message = "DVC cannot read dvc.lock: a merge waits in it: `git checkout --ours dvc.lock` or "
    assert kept(LOCK, "".join(content)).startswith(message)


def test_the_file_of_another_dvc_is_kept_and_named(project):
    content = "".join(lines(LOCK)).replace("2.0", "3.0")
    assert "it has schema '3.0', of another DVC: install that one" in kept(LOCK, content)
    Path(LOCK).unlink()
    assert "another DVC wrote it: install that one" in kept(RWLOCK, '{"write": {"a": [1]}}')


@pytest.mark.parametrize(
    "change",
    [
        lambda content: [*content[:2], "  other: 3\n", *content[2:]],
        lambda content: [*content, *content[2:]],  # two sides of a merge
        lambda content: [*content, "more\n"],
    ],
)
def test_what_no_kill_leaves_is_kept_and_named(project, change):
    assert "`git restore dvc.lock`, or delete it" in kept(LOCK, "".join(change(lines(LOCK))))


def test_a_file_that_is_no_text_is_kept_and_named(project):
    Path(LOCK).write_bytes(b"schema: '2.0'\nstages:\n  \xff\xff: {}\n")
    with pytest.raises(InputError, match=r"dvc\.lock: it is not UTF-8"):
        repaired()
    assert Path(LOCK).exists()


def test_wherever_a_kill_stops_the_writing_dvc_can_read_it_or_it_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outs = "    - path: größe.txt\n      hash: md5\n      md5: c4ca4238a0b923820dcc509a6f75849b\n"
    long = (
        "    params:\n      params.yaml:\n        speaker: '" + "x y\n          " * 9 + "it''s'\n"
    )
    stage = f"cmd: python -m stages.über\n    deps:\n{outs}{long}    outs:\n{outs}"
    whole = f"schema: '2.0'\nstages:\n  a:\n    {stage}  ü:\n    {stage}".encode()
    Path(LOCK).write_bytes(whole)
    assert problem(Path(LOCK)) is None
    for length in range(len(whole)):
        Path(LOCK).write_bytes(whole[:length])
        assert problem(Path(LOCK)) in (None, CUT), whole[:length]


def test_what_dvc_is_writing_just_now_is_left_alone(project, monkeypatch):
    content = Path(LOCK).read_text()
    Path(LOCK).write_text("")
    monkeypatch.setattr(time, "sleep", lambda seconds: Path(LOCK).write_text(content))
    assert repaired() == ""
    assert Path(LOCK).read_text() == content


def test_in_a_folder_without_dvc_there_is_nothing_to_repair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repaired() == ""
    Path(LOCK).write_text("schema: '2.0'\nstag")
    assert repaired() == REMOVED.format(LOCK)


# Damaged copies in the cache


def damage(path: Path) -> None:
    """Change a byte of a file, as a disk does."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)  # by which DVC knows a whole file


def copies(project: Path) -> dict[str, Path]:
    """Return the files of the project's cache by their content."""
    files = (project / ".dvc/cache/files/md5").glob("*/*")
    return {path.read_text(): path.relative_to(project) for path in files}


def test_a_damaged_copy_in_the_cache_is_removed_and_made_again(project):
    copy = copies(project)["content"]
    damage(copy)
    Path("result.txt").unlink()
    assert "Running" not in run(project, "dvc", "repro")
    assert Path("result.txt").read_text() == "contenu"  # as DVC brings it back
    assert repaired("--cache") == (
        f"removed {copy}, a damaged copy of result.txt\nDVC's cache: 1 file compared, 1 damaged\n"
    )
    assert "Running stage 'copy'" in run(project, "dvc", "repro")
    assert Path("result.txt").read_text() == copy.read_text() == "content"


def test_the_files_of_a_folder_are_compared_too(project):
    write = "import pathlib; p = pathlib.Path('made'); p.mkdir(); (p / 'a').write_text('one')"
    stage = f'stages:\n  make:\n    cmd: python -c "{write}"\n    outs: [made]\n'
    Path("dvc.yaml").write_text(stage)
    Path(LOCK).unlink()
    run(project, "dvc", "repro")
    assert repaired("--cache") == "DVC's cache: 2 files compared, 0 damaged\n"
    damage(copies(project)["one"])
    assert ", a damaged copy of made/a\n" in repaired("--cache")
    damage(next(path for text, path in copies(project).items() if text.startswith("[")))
    assert ", a damaged copy of made\n" in repaired("--cache")


def test_the_cache_is_not_read_unless_asked_for(project):
    copy = copies(project)["content"]
    damage(copy)
    assert repaired() == "" and copy.exists()


def test_without_a_lock_file_there_is_nothing_to_compare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repaired("--cache") == "DVC's cache: 0 files compared, 0 damaged\n"
