"""A run is read from the workspace, a revision or an experiment; what is missing is named."""

import shutil

import pytest
import yaml
from helpers import commit
from helpers import run as call
from pages.report.made import Made, here, write_run

from phonemes.errors import InputError
from phonemes.pages.report.run import RevisionFiles, WorkspaceFiles, open_files, read_run
from phonemes.storage.layout import HISTORY, SCORES, TABLES


def test_a_run_has_its_tables_scores_and_parameters(run):
    assert run.name == "workspace"
    assert run.missing == ()
    assert len(run.phonemes) == 71 and run.phonemes[0] == "SIL"
    assert run.score("accuracy") == run.dev["scores"]["value"][0]
    assert run.score("accuracy", "test") is not None
    assert run.score("of another kind") is None
    assert run.model == {"parameters": 12345, "epoch": 3}
    assert run.param("train", "lr") == 0.002
    assert run.param("train", "none of it") is run.param("nor", "this") is None
    assert run.flat_params()["augment.mel_scale"] == 0.12


def test_names_that_look_like_nothing_are_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Made(phonemes=("NA", "nan", "null", "1", "True"), speakers=("None", "01")))
    run = here()
    assert run.phonemes == ("NA", "nan", "null", "1", "True")
    assert run.dev["speakers"]["speaker"].tolist() == ["None", "01"]


def test_tables_that_an_older_version_did_not_write_are_listed_as_missing(folder):
    for name in ("stress", "calibration"):
        (TABLES / "dev" / f"{name}.csv").unlink()
    HISTORY.unlink()
    run = here()
    assert run.missing == ("stress", "calibration")
    assert run.history is None


def test_without_scores_of_dev_there_is_no_report(folder):
    (TABLES / "dev/scores.csv").unlink()
    with pytest.raises(InputError, match=r"workspace has no scores of dev in .*: run `dvc repro`"):
        here()


def test_a_split_without_labels_has_no_scores(folder):
    shutil.rmtree(TABLES / "test")
    run = here()
    assert list(run.tables) == ["dev"]
    assert run.score("accuracy", "test") is None


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        (TABLES / "dev/boundaries.csv", "distance,frames\n0,1\n", "not in index"),
        (TABLES / "dev/utterances.csv", "", "No columns to parse"),
        (TABLES / "dev/scores.csv", b"\xff\xfe", "can't decode byte"),
        (
            HISTORY,
            "epoch,train_loss,dev_loss,train_accuracy,dev_accuracy,lr\nx,,,,,\n",
            "parse string 'x'",
        ),
        (SCORES, "{", "JSONDecodeError"),
        (SCORES, '{"model": {}}', "KeyError"),
    ],
)
def test_a_damaged_file_is_named(folder, path, content, reason):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{path} of workspace is damaged .*{reason}"):
        here()


def lock(values):
    """Return a dvc.lock of a stage that used parameters with some values."""
    return yaml.safe_dump({"stages": {"train": {"params": {"params.yaml": values}}}})


def test_parameters_that_dvc_lock_has_with_other_values_are_named(folder):
    (folder / "dvc.lock").write_text(lock({"train": {"lr": 0.002, "class_weights": "sqrt"}}))
    assert here().changed_since == ("train.class_weights",)
    (folder / "dvc.lock").write_text(lock({"train": {"lr": 0.002}}))
    assert here().changed_since == ()


# Revisions


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Return a project with two commits: tables of 70 % and of 80 % right frames."""
    folder = tmp_path_factory.mktemp("history") / "project"
    folder.mkdir()
    stage = {"cmd": "true", "outs": ["metrics/tables", "metrics/history.csv"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": stage}}))
    (folder / ".gitignore").write_text("/metrics/tables\n/metrics/history.csv\n/data\n")
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    for skill, tag in ((0.7, "first"), (0.8, "second")):
        write_run(Made(skill=skill), folder)
        call(folder, "dvc", "commit", "-f", "-q")
        commit(folder)
        call(folder, "git", "tag", tag)
    return folder


@pytest.fixture
def project(history, tmp_path, monkeypatch):
    """Enter a copy of that project."""
    folder = shutil.copytree(history, tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.heavy
def test_a_revision_is_read_from_git_and_the_cache_of_dvc(project):
    first, second = (read_run(RevisionFiles(name)) for name in ("first", "HEAD"))
    assert first.name == "first"
    assert first.score("accuracy") == pytest.approx(0.7, abs=0.03)
    assert second.score("accuracy") == pytest.approx(0.8, abs=0.03)
    assert second.dev["utterances"].equals(here().dev["utterances"])
    assert isinstance(open_files("workspace"), WorkspaceFiles)


@pytest.mark.heavy
def test_an_experiment_is_read_by_its_name(project):
    write_run(Made(skill=0.9))
    call(project, "dvc", "commit", "-f", "-q")
    call(project, "dvc", "exp", "save", "-n", "better")
    assert read_run(open_files("better")).score("accuracy") == pytest.approx(0.9, abs=0.03)


@pytest.mark.heavy
def test_an_unknown_revision_is_refused(project):
    with pytest.raises(InputError, match=r"cannot read 'third': unknown Git revision 'third'; giv"):
        open_files("third")


@pytest.mark.heavy
def test_a_folder_without_git_has_no_revisions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(tmp_path, "dvc", "init", "-q", "--no-scm")
    with pytest.raises(InputError, match=r"cannot read 'HEAD': .* is not a git repository; give"):
        open_files("HEAD")


@pytest.mark.heavy
@pytest.mark.parametrize("left", [".dir", ""])
def test_tables_that_the_cache_lacks_are_asked_for(project, left):
    for file in (project / ".dvc/cache/files/md5").glob("*/*"):
        if not left or file.suffix != left:
            file.unlink()
    with pytest.raises(InputError, match=r"first has no scores of dev .*: `dvc fetch --all-commit"):
        read_run(RevisionFiles("first"))
