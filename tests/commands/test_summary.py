"""After a run one reads in a few lines whether it gave the commit's results, and why not."""

import copy
import json
import subprocess

import pytest
from click.testing import CliRunner
from helpers import ENVIRONMENT

from phonemes.commands.summary import (
    CLEAN,
    Interval,
    State,
    changes,
    summary,
    summary_lines,
)
from phonemes.commands.summary import reason as reason_of
from phonemes.errors import InputError

LOCK = """\
schema: '2.0'
stages:
  corpus:
    deps:
    - {path: data/raw, md5: r1}
    - {path: phonemes/corpus, md5: c1}
    params: {params.yaml: {corpus: {seed: 1}}}
    outs:
    - {path: data/corpus, md5: f1}
  train:
    deps:
    - {path: data/corpus/frames, md5: g1}
    - {path: phonemes/training, md5: t1}
    params: {params.yaml: {train: {lr: 0.1}}}
    outs:
    - {path: models/model.safetensors, md5: m1}
"""
SCORES = {
    "model": {"parameters": 10, "epoch": 5},
    "dev": {"accuracy": 0.85, "macro_f1": 0.7, "cross_entropy": 0.57},
    "test": {"accuracy": 0.84, "macro_f1": 0.69, "cross_entropy": 0.56},
}
INTERVALS = {"dev": Interval("0.81", "0.89"), "test": Interval("", "")}


def state(lock=LOCK, **scores):
    from phonemes.schema import read_yaml

    values = copy.deepcopy(SCORES)
    for name, value in scores.items():
        split, score = name.split("__")
        values[split][score] = value
    return State(read_yaml(lock, "dvc.lock")["stages"], values)


def changed(*pairs):
    lock = LOCK
    for old, new in pairs:
        assert old in lock
        lock = lock.replace(old, new)
    return lock


def reason(here, base):
    return reason_of(here, base, changes(here, base))


def test_the_same_bytes_are_said_to_be_the_same():
    assert summary_lines(state(), state(), INTERVALS, []) == [
        "dev:    accuracy 0.8500 (95 % 0.8100 to 0.8900), macro F1 0.7000, "
        "cross-entropy 0.5700 nats",
        "test:   accuracy 0.8400, macro F1 0.6900, cross-entropy 0.5600 nats",
        "model:  the bytes of the commit",
        "scores: all 6 equal those of the commit",
        "git:    nothing to commit in dvc.lock and metrics",
    ]


def test_a_training_that_rounds_differently_is_explained_with_the_largest_difference():
    here = state(changed(("m1", "m2")), dev__accuracy=0.8501, test__macro_f1=0.6888)
    lines = summary_lines(here, state(), {}, ["dvc.lock", "metrics/evaluate.json"])
    assert lines[2:] == [
        "model:  other bytes than the commit's",
        "scores: differ by 0.0012 at most: test.macro_f1 is 0.6888, in the commit 0.6900",
        "why:    code, data and parameters are the commit's; from stage train on sums were rounded "
        "differently, as by another processor, device, number of threads or version",
        "git:    shows dvc.lock, metrics/evaluate.json: hashes and scores of what is here",
        "next:   `git checkout HEAD dvc.lock metrics`: nothing has to be committed, what was "
        "computed stays",
    ]
    assert len(lines) < 10


def test_the_first_stage_that_rounds_differently_is_named():
    here = state(changed(("f1", "f2"), ("g1", "g2"), ("m1", "m2")))
    assert "from stage corpus on" in reason(here, state())


OLD = "old:    scores of an earlier run; `dvc repro` makes those of what is here"


def test_scores_of_an_earlier_run_are_called_so():
    evaluate = "  evaluate:\n    deps:\n    - {path: models/model.safetensors, md5: m1}\n"
    whole = state(LOCK + evaluate)
    assert OLD not in summary_lines(whole, whole, INTERVALS, [])
    trained_alone = state(changed(("md5: m1", "md5: m2")) + evaluate)
    assert OLD in summary_lines(trained_alone, whole, INTERVALS, [])
    packed_alone = state(changed(("data/corpus, md5: f1", "data/corpus, md5: f2")) + evaluate)
    assert OLD in summary_lines(packed_alone, whole, INTERVALS, [])


@pytest.mark.parametrize(
    ("pair", "named"),
    [
        (("lr: 0.1", "lr: 0.2"), "train.lr"),
        (("t1", "t2"), "phonemes/training"),
        (("r1", "r2"), "data/raw"),
    ],
)
def test_what_was_changed_is_named_and_no_rounding_blamed(pair, named):
    here = state(changed(pair, ("m1", "m2")))
    assert reason(here, state()) == f"the commit's results were made with other {named}"


def test_of_many_changes_some_are_named():
    pairs = [("r1", "r2"), ("c1", "c2"), ("seed: 1", "seed: 2"), ("t1", "t2"), ("0.1", "0.2")]
    assert reason(state(changed(*pairs)), state()).endswith(
        "other data/raw, phonemes/corpus, corpus.seed and 2 more"
    )


def test_a_commit_without_results_is_nothing_to_compare_with():
    lines = summary_lines(state(), State({}, {}), {}, ["dvc.lock"])
    assert lines[2:] == [
        "model:  the commit has none",
        "scores: the commit has none",
        "git:    shows dvc.lock: hashes and scores of what is here",
        "next:   commit them",
    ]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Enter a repository with committed results."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics/tables/dev").mkdir(parents=True)
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(SCORES))
    (tmp_path / ".gitignore").write_text("/metrics/tables\n")
    (tmp_path / "metrics/tables/dev/scores.csv").write_text(
        "score,value,low,high,unit,units\naccuracy,0.85,0.81,0.89,speakers,4\n"
    )
    for command in ("init -q", "add -A", "commit -q -m results"):
        subprocess.run(["git", *command.split()], check=True, env=ENVIRONMENT)
    return tmp_path


def call():
    return CliRunner().invoke(summary, catch_exceptions=False).output.splitlines()


def test_the_command_compares_the_folder_with_its_last_commit(project):
    assert call() == summary_lines(state(), state(), {"dev": INTERVALS["dev"]}, [])
    (project / "dvc.lock").write_text(changed(("m1", "m2")))
    assert call()[2] == "model:  other bytes than the commit's"
    assert call()[-2].startswith("git:    shows dvc.lock: ")


def test_the_command_that_it_names_leaves_git_clean(project):
    (project / "dvc.lock").write_text(changed(("m1", "m2")))
    subprocess.run(["git", "add", "dvc.lock"], check=True)  # as DVC does
    (project / "metrics/evaluate.json").write_text(json.dumps(SCORES | {"test": {}}))
    assert CLEAN in call()[-1]
    subprocess.run(CLEAN.split(), check=True)
    assert call()[-1] == "git:    nothing to commit in dvc.lock and metrics"
    assert (project / "metrics/tables/dev/scores.csv").exists()


def test_after_a_change_it_says_to_commit(project):
    (project / "dvc.lock").write_text(changed(("t1", "t2"), ("m1", "m2")))
    assert call()[-1] == "next:   commit them, or `make back` returns to the results of the commit"


def test_without_results_it_says_how_to_make_them(project):
    (project / "metrics/evaluate.json").unlink()
    with pytest.raises(InputError, match=r"no metrics/evaluate.json here; run `dvc repro`"):
        call()


def test_damaged_results_are_refused(project):
    (project / "metrics/evaluate.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluate.json of workspace is damaged"):
        call()


def test_a_folder_without_git_is_refused(tmp_path, monkeypatch):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(SCORES))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(InputError, match=r"`git status.*failed: .*not a git repository"):
        call()


def test_no_line_is_longer_than_a_terminal_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    long = LOCK.replace("phonemes/corpus", "phonemes/" + "corpus" * 9)
    for path, text in {"dvc.lock": long, "metrics/evaluate.json": json.dumps(SCORES)}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "commit", "-qm", "a"], check=True, env=ENVIRONMENT)
    (tmp_path / "dvc.lock").write_text(
        LOCK.replace("c1", "c2").replace("r1", "r2").replace("0.1", "0.2")
    )
    lines = CliRunner().invoke(summary, catch_exceptions=False).output.splitlines()
    assert max(map(len, lines)) <= 100
    (why,) = [n for n, line in enumerate(lines) if line.startswith("why:    ")]
    assert lines[why + 1].startswith(" " * 8)
