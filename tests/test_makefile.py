"""make and git do the same in every folder and on every machine."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from helpers import ENVIRONMENT, ROOT, STAGES, commit, new_project, ran, run

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not shutil.which("make"), reason="there is no make here"),
]

FOLDER = "my \"drive's"
PNG = b"\x89PNG\r\n\x1a\n\r\n\n"
WITHOUT_ENVIRONMENT = ["VENV=", f"PYTHON={shlex.quote(sys.executable)}"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """Return a project with an environment in an odd folder, and what `make reproduce` printed."""
    project = new_project(tmp_path_factory.mktemp("make") / FOLDER)
    for name in ("Makefile", ".gitattributes", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, project / name)
    (project / "picture.png").write_bytes(PNG)
    run(project, sys.executable, "-m", "venv", "--without-pip", ".venv")
    (packages,) = (project / ".venv/lib").glob("python3*/site-packages")
    (packages / "all.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    (project / ".venv/.installed").touch()
    printed = run(project, "make", "--no-print-directory", "reproduce")
    commit(project)
    return project, printed


@pytest.fixture(scope="module")
def clone(made, tmp_path_factory) -> Path:
    """Return a clone as git makes it on Windows, with the raw data and nothing computed."""
    project, _ = made
    folder = tmp_path_factory.mktemp("clone") / "project"
    run(folder.parent, "git", "clone", "-q", "-c", "core.autocrlf=true", project, folder)
    shutil.copytree(project / "data/raw/tiny", folder / "data/raw/tiny")
    return folder


def test_make_reproduces_in_a_folder_with_a_space_and_quotes(made):
    _, printed = made
    assert ran(printed) == [*STAGES]


def test_reproducing_ends_with_a_summary_of_ten_lines(made):
    _, printed = made
    summary = printed.split("\n\n")[-1].rstrip().splitlines()
    assert len(summary) <= 10
    names = [line.split()[0] for line in summary[:-1] if not line.startswith(" ")]
    assert names == ["dev:", "model:", "scores:", "git:", "next:"]
    assert summary[-1].startswith("file://")


@pytest.mark.parametrize("arguments", [[], WITHOUT_ENVIRONMENT])
def test_stages_run_with_the_python_that_make_uses(made, tmp_path, monkeypatch, arguments):
    project, _ = made
    for name in ("python", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 3\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setitem(ENVIRONMENT, "PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (project / "which.mk").write_text("include Makefile\nwhich:\n\t@command -v python\n")
    found = run(project, "make", "-s", "-f", "which.mk", "which", *arguments)
    expected = sys.executable if arguments else project / ".venv/bin/python"
    assert Path(found.strip()).parent == Path(expected).parent


def test_a_clone_with_windows_line_ends_has_the_same_bytes(made, clone):
    project, _ = made
    names = run(project, "git", "ls-files", "-z").strip("\0").split("\0")
    assert {"picture.png", "params.yaml", "phonemes/schema.py", "Makefile"} <= {*names}
    assert [
        name for name in names if (project / name).read_bytes() != (clone / name).read_bytes()
    ] == []
    assert "modified" not in run(clone, "dvc", "status")


def test_from_an_experiment_in_a_fresh_clone_make_leads_back_to_the_commit(clone):
    model, params = clone / "models/model.safetensors", (clone / "params.yaml").read_text()
    run(clone, "dvc", "exp", "run", "-S", "train.lr=0.02", "-S", "model.dropout=0.1")
    assert model.exists()
    (clone / "notes.txt").write_text("mine")
    (clone / "recipes/deep.yaml").write_text("mine")
    table = run(clone, "make", "-s", "compare", *WITHOUT_ENVIRONMENT).splitlines()
    assert table[0].split() == ["experiment", "dev.accuracy", "changed"]
    assert sum(line.endswith("model.dropout=0.1 train.lr=0.02") for line in table) == 1
    assert max(map(len, table)) < 80
    (clone / "data/context/dev.npy").write_bytes(b"what a stopped run left")
    run(clone, "make", "back", *WITHOUT_ENVIRONMENT)
    assert (clone / "params.yaml").read_text() == params
    assert not model.exists()  # the commit's was never computed here
    changed = run(clone, "git", "status", "--short").splitlines()
    assert changed == [" M recipes/deep.yaml", "?? notes.txt"]


def test_an_unknown_recipe_is_no_run_of_what_is_there(made):
    project, _ = made
    for command in (
        ["make", "recipe", "NAME=corse", *WITHOUT_ENVIRONMENT],
        ["sh", "-c", "python -m dvc exp run --queue $(python -m phonemes recipe corse)"],
    ):
        result = subprocess.run(
            command, cwd=project, env=ENVIRONMENT, text=True, capture_output=True
        )
        assert result.returncode
        assert "no recipe 'corse'; did you mean course?" in result.stderr
        assert "Running stage" not in result.stdout
    assert "No experiment tasks in the queue" in run(project, "dvc", "queue", "status")
