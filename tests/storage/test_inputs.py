"""What a stage reads is what DVC records: what changed while the stage ran is named."""

import os
from pathlib import Path

import pytest

from phonemes.errors import InputError
from phonemes.storage.inputs import (
    SMALL,
    code,
    declared,
    read_inputs,
    refuse_changes,
    refuse_ignored,
)

DVC = """
stages:
  train:
    deps:
      - ${corpus.path}
      - data/large.npy
      - stages/train.py
      - phonemes/training
    params: [train, model.precision]
"""
PARAMS = """
corpus: {path: data/raw, source: arrays}
train: {lr: 0.01, hidden: [4, 4]}
model: {precision: fp32, dropout: 0.1}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a folder with a stage and what it depends on."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "dvc.yaml": DVC,
        "params.yaml": PARAMS,
        ".dvcignore": "*.log\n",
        "data/raw/a/b.txt": "data",
        "data/large.npy": "x" * (SMALL + 1),
        "stages/train.py": "code",
        "phonemes/training/step.py": "code",
        "phonemes/training/fused/norm.py": "code",
    }.items():
        write(name, text)


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def edit(name, old, new):
    write(name, Path(name).read_text().replace(old, new))


def rename(old, new):
    Path(old).rename(new)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: edit("params.yaml", "0.01", "0.0003"), "train.lr in params.yaml"),
        (lambda: edit("params.yaml", "[4, 4]", "[4, 5]"), "train.hidden in params.yaml"),
        (lambda: edit("params.yaml", "lr: 0.01, ", ""), "train.lr in params.yaml"),
        (lambda: edit("params.yaml", "fp32", "bf16"), "model.precision in params.yaml"),
        (lambda: write("data/raw/a/b.txt", "date"), "data/raw/a/b.txt"),
        (lambda: write("data/raw/c.txt", "new"), "data/raw/c.txt"),
        (lambda: Path("data/raw/a/b.txt").unlink(), "data/raw/a/b.txt"),
        (lambda: edit("data/large.npy", "xx", "yy"), "data/large.npy"),
        (lambda: Path("stages/train.py").unlink(), "stages/train.py"),
        (lambda: write("phonemes/training/fused/norm.py", "new"), "phonemes/training/fused/norm"),
        (lambda: rename("data/raw", "data/old"), "data/raw/a/b.txt"),
    ],
)
def test_what_changed_is_named(project, change, named):
    before = read_inputs("train")
    change()
    with pytest.raises(InputError) as refused:
        refuse_changes(before, "train")
    assert str(refused.value).startswith(named)
    assert str(refused.value).endswith(
        " changed while stage train ran; its results, which were made from what was there before, "
        "are dropped: restore that, or leave it as it is, and run `dvc repro`"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda: None,
        lambda: write("data/raw/a/b.txt", "data"),  # saved once more
        lambda: os.utime("stages/train.py", ns=(1, 1)),
        lambda: edit("params.yaml", "dropout: 0.1", "dropout: 0.2"),  # of no stage's params
        lambda: edit("params.yaml", "0.01", "1e-2"),
        lambda: edit("params.yaml", "\ntrain", "\n# a comment\ntrain"),
        lambda: write("data/other.npy", "not read"),
        lambda: write("data/raw/today.log", "ignored by .dvcignore"),
        lambda: write("phonemes/training/__pycache__/step.pyc", "by Python"),
        lambda: Path("data/raw/link").symlink_to("/tmp"),  # which DVC does not follow
    ],
)
def test_what_dvc_would_record_alike_is_no_change(project, change):
    before = read_inputs("train")
    change()
    refuse_changes(before, "train")


def test_only_the_first_of_many_changes_are_named(project):
    before = read_inputs("train")
    for number in range(5):
        write(f"data/raw/{number}", "new")
    with pytest.raises(InputError, match=r"^data/raw/0, data/raw/1, data/raw/2 and 2 more changed"):
        refuse_changes(before, "train")


def test_parameters_that_cannot_be_read_any_more_are_refused(project):
    before = read_inputs("train")
    write("params.yaml", "a: [")
    with pytest.raises(InputError, match=r"params\.yaml is not YAML"):
        refuse_changes(before, "train")


def test_nothing_is_watched_where_there_is_no_pipeline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = read_inputs("train")
    assert before == ({}, {}, {})
    refuse_changes(before, "train")


def test_the_code_of_a_stage_is_what_dvc_watches(project):
    write("phonemes/training/notes.md", "no code")
    assert [path.as_posix() for path in code("train")] == [
        "phonemes/training/fused/norm.py",
        "phonemes/training/step.py",
        "stages/train.py",
    ]


@pytest.mark.parametrize("text", ["", "stages: [train]", "stages: {train: {cmd: x}}", "stages: 1"])
def test_a_stage_that_is_not_declared_is_named(project, text):
    write("dvc.yaml", text)
    with pytest.raises(InputError, match=r"dvc\.yaml has no stage train with deps; run `git rest"):
        declared("train")


def test_a_missing_dvc_yaml_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"dvc\.yaml is missing; work in the project's folder"):
        code("train")


@pytest.mark.parametrize(
    ("folder", "pattern"),
    [
        ("", "*.TextGrid"),
        ("", "data/raw/a/"),
        ("", "b.TextGrid"),
        ("", "*.TextGrid\n!a.TextGrid"),
        ("data", "raw/**/b.*"),
        ("data/raw", "a"),
    ],
)
def test_a_file_that_dvc_ignores_is_refused(project, folder, pattern):
    read = [Path("data/raw/a/b.wav"), Path("data/raw/a/b.TextGrid")]
    refuse_ignored(read)
    write(Path(folder, ".dvcignore"), f"# a comment\n{pattern}\n")
    with pytest.raises(InputError) as refused:
        refuse_ignored(path.absolute() for path in read)
    assert f"is ignored by {Path(folder, '.dvcignore')}, so that DVC" in str(refused.value)
    assert "/data/raw/a/b." in str(refused.value)


@pytest.mark.parametrize("pattern", ["*.log", "!*.TextGrid", "*.TextGrid\n!b.TextGrid", "raw/a/"])
def test_a_file_that_dvc_sees_is_taken(project, pattern):
    write(".dvcignore", f"{pattern}\n")
    refuse_ignored([Path("data/raw/a/b.TextGrid")])


def test_no_dvcignore_reaches_beyond_the_project(project, tmp_path_factory):
    write(".dvcignore", "*\n")
    refuse_ignored([tmp_path_factory.mktemp("elsewhere") / "a.wav"])
