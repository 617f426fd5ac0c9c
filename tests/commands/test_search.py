"""`phonemes search` leaves a table, a page and a recipe, which DVC trains again to the byte."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from dvc.utils.hydra import apply_overrides
from helpers import ENVIRONMENT, ROOT, new_project, run, set_params

from phonemes.commands.main import phonemes
from phonemes.commands.recipe import recipe as recipe_command
from phonemes.commands.search import open_search, search
from phonemes.errors import InputError
from phonemes.model.store import load_model
from phonemes.params import load
from phonemes.recipes import read_recipe
from phonemes.search import keep
from phonemes.search.study import Plan
from phonemes.search.winners import ranked

pytestmark = pytest.mark.heavy

RESULTS = Path("search/space")


def searched(*arguments):
    """Search in this process and return what was printed."""
    result = CliRunner().invoke(search, ["space.yaml", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_search_leaves_a_table_a_page_and_a_recipe(search_project):
    printed = searched("--trials", "8", "--seeds", "1", "--winners", "2", "--pruner", "none")
    assert printed.splitlines()[0] == (
        "6 parameters varied by random, pruner none, seed 1; 1 at a time on cpu"
    )
    table = pd.read_csv(RESULTS / "trials.csv")
    assert table["trial"].tolist() == list(range(8))
    assert set(table["ending"]) == {"complete"}
    assert (table["choosing"] - table["reporting"]).tolist() == pytest.approx(
        table["gap"].tolist(), abs=2e-6
    )
    assert table["seeds"].notna().sum() == 2
    assert set(table["model.hidden"].str.count(",") + 1) <= {2, 3}
    sgd = table["train.optimizer"] == "sgd"
    assert table["train.momentum"].notna().tolist() == sgd.tolist()
    best = table.loc[table["mean_choosing"].idxmax()]
    assert f"its trial {best['trial']}: accuracy {best['choosing']:.4f} on" in printed
    assert f"{best['reporting']:.4f} on the other" in printed
    assert printed.endswith("to train it:  dvc exp run $(phonemes recipe search/space)\n")
    page = (RESULTS / "search.html").read_text("utf-8")
    assert f"{best['choosing']:.4f} on the half" in page
    assert not re.search(r"(src|href)=\"http|@import|url\(http", page)


def test_a_search_that_goes_on_keeps_what_was_found(search_project):
    searched("--trials", "3", "--seeds", "0")
    before = pd.read_csv(RESULTS / "trials.csv", dtype=str)
    printed = searched("--trials", "5", "--seeds", "0")
    after = pd.read_csv(RESULTS / "trials.csv", dtype=str)
    assert len(after) == 5
    pd.testing.assert_frame_equal(after[:3], before)
    assert "5 trials, best " in printed or "best" in printed


def test_nothing_is_written_where_no_trial_is_over(search_project):
    assert "no trial is over; nothing is written" in searched("--trials", "0", "--seeds", "0")
    assert not (RESULTS / "trials.csv").exists()


def test_the_best_is_a_recipe_with_all_that_decides_what_is_trained(search_project):
    searched("--trials", "4", "--seeds", "0")
    values = read_recipe("space", folder=ROOT / "recipes")
    assert values == read_recipe("search/space") == read_recipe(str(RESULTS / "best.yaml"))
    assert set(values) == {"normalize", "data", "model", "augment", "train"}
    found = open_search("space.yaml", "space", Plan("tpe", "halving", 1, 0, None), None)[0]
    best = ranked(found.trials())[0]
    set_params(values)
    assert load().fit == found.space.params(best.record.values, "best").fit
    words = CliRunner().invoke(recipe_command, ["space"], catch_exceptions=False).output.split()
    Path("params.yaml").write_text((ROOT / "tests/params.yaml").read_text())
    apply_overrides(Path("params.yaml"), words[1::2])
    assert load().fit == found.space.params(best.record.values, "best").fit


def test_a_recipe_that_no_search_found_is_answered_with_those_that_there_are(search_project):
    searched("--trials", "1", "--seeds", "0")
    with pytest.raises(InputError, match=r"no recipe 'search/spaec'; did you mean search/space\?"):
        read_recipe("search/spaec", folder=ROOT / "recipes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minutes", "1", "--trials", "2"], "--minutes and --trials are given; expected one"),
        (["--name", "../up"], "--name is '../up'; expected letters, digits"),
    ],
)
def test_what_cannot_be_searched_is_refused(search_project, arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        searched(*arguments)


def test_without_optuna_it_says_how_to_install_it(search_project, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"^phonemes search needs optuna .*phonemes\[search\]"):
        searched("--trials", "1")


def test_an_existing_experiment_is_not_run_again_and_a_failure_is_told(monkeypatch):
    asked = []
    monkeypatch.setattr(keep, "_dvc", lambda *words: "s-1\ns-2\n")
    monkeypatch.setattr(
        keep.subprocess,
        "run",
        lambda words: asked.append(words) or subprocess.CompletedProcess([], 1),
    )
    assert keep.keep_experiment("s-2", {"train": {"lr": 0.1}}) is False
    with pytest.raises(InputError, match=r"^`dvc exp run` failed for s-3, see above; what the"):
        keep.keep_experiment("s-3", {"train": {"lr": 0.1}})
    assert asked == [
        [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", "s-3", "-S", "train.lr=0.1"]
    ]


@pytest.mark.slow
def test_a_kept_trial_is_an_experiment_with_the_bytes_of_its_training(
    tmp_path, packed, monkeypatch
):
    project = new_project(tmp_path / "project")
    monkeypatch.chdir(project)
    text = (packed / "space.yaml").read_text()
    (project / "space.yaml").write_text(text.replace("epochs: 3", "epochs: 1"))
    run(project, "dvc", "repro", "-q", "context")
    monkeypatch.setitem(ENVIRONMENT, "OMP_NUM_THREADS", "1")  # as this process has it
    output = run(
        project, sys.executable, "-m", "phonemes", "search", "space.yaml", "--trials", "3",
        "--seeds", "0", "--keep", "1",
    )  # fmt: skip
    name = re.search(r"kept as the experiment (space-\d)", output)[1]
    assert name in run(project, "dvc", "exp", "show", "--csv")
    assert "dev.accuracy" in run(project, "dvc", "metrics", "diff", "HEAD", name)
    found = open_search("space.yaml", "space", Plan("tpe", "halving", 1, 0, None), None)[0]
    best = next(trial for trial in found.trials() if trial.number == int(name[-1]))
    params = found.space.params(best.record.values, name)
    trained = found.workers.train(params, lambda: False, lambda epoch, accuracy: True)
    run(project, "dvc", "exp", "apply", name)
    stored = load_model(Path("models/model.safetensors"), torch.device("cpu"))
    kept = stored.model.base[0].network.state_dict()
    assert kept.keys() == trained.network.state.keys()
    assert all(torch.equal(kept[key], trained.network.state[key]) for key in kept)


def test_it_is_a_subcommand():
    result = CliRunner().invoke(phonemes, ["search", "--help"])
    assert "search/NAME/: trials.csv, search.html and the recipe best.yaml" in " ".join(
        result.output.split()
    )
