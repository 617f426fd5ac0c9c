"""The generated corpus depends on no file of the user's."""

import shutil
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, commit, new_project, ran, run, set_params

from phonemes.schema import read_yaml_file

pytestmark = pytest.mark.heavy
README = Path("data/raw/generated/README.md")


def test_files_next_to_it_do_not_make_it_again(tmp_path):
    project = new_project(tmp_path / "project")
    corpus = {"source": "synthetic", "path": str(README.parent), "synthetic": {"minutes": 0.1}}
    set_params({"corpus": corpus}, project)
    (project / README.parent).mkdir()
    shutil.copy(ROOT / README, project / README)
    assert ran(run(project, "dvc", "repro", "corpus")) == ["corpus"]
    commit(project)
    assert str(README) in run(project, "git", "ls-files")
    (project / "data/raw/course").mkdir()
    (project / "data/raw/course/notes.txt").write_text("x")
    assert ran(run(project, "dvc", "repro", "corpus")) == []
    assert run(project, "git", "status", "--short") == ""  # git ignores the user's files


def test_the_folder_is_in_the_repository_with_nothing_but_a_page():
    assert [path.name for path in (ROOT / README).parent.iterdir()] == [README.name]
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]["corpus"]
    assert "${corpus.path}" in declared["deps"]


def test_a_folder_of_the_users_is_a_dependency_as_ever(tmp_path):
    project = new_project(tmp_path / "project")
    assert read_yaml_file(project / "params.yaml")["corpus"]["path"] == "data/raw/tiny"
    assert ran(run(project, "dvc", "repro", "corpus")) == ["corpus"]
    (project / "data/raw/tiny/notes.txt").write_text("x")
    assert ran(run(project, "dvc", "repro", "corpus")) == ["corpus"]
