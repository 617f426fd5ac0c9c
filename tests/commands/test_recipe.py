"""Recipes are valid, complete, and printed as arguments of an experiment."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from helpers import PARAMS, ROOT, set_params

from phonemes.commands.recipe import merged, overrides, read_recipe, recipe
from phonemes.errors import InputError
from phonemes.params import load
from phonemes.schema import Loader

pytestmark = pytest.mark.heavy

FOLDER = ROOT / "recipes"


def written(path: Path) -> dict:
    """Return what a file of YAML holds."""
    return yaml.load(path.read_text("utf-8"), Loader)


KNOWN = written(PARAMS)  # all sections and their keys
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
NETWORKS = [name for name in RECIPES if "train" in read_recipe(name, folder=FOLDER)]
EXTENDING = [name for name in RECIPES if "extends" in written(FOLDER / f"{name}.yaml")]


# The project's recipes


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_on_top_of_the_parameters(tmp_path, name):
    set_params(read_recipe(name, folder=FOLDER), tmp_path)
    load(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_of_a_network_leaves_no_result_to_what_params_has(name):
    values = read_recipe(name, folder=FOLDER)
    assert set(values) == {"normalize", "data", "model", "augment", "train"}
    left = {f"{part}.{key}" for part in values for key in set(KNOWN[part]) - set(values[part])}
    # of other optimizers and schedules, and what is the user's to choose
    allowed = {
        "model.precision",
        *("train.lr_decay", "train.lr_decay_epochs", "train.plateau_patience"),
        *("train.kernels", "train.batches", "train.seed"),
    }
    if values["train"]["optimizer"] != "sgd":
        allowed.add("train.momentum")
    for mask in ("time_mask", "band_mask"):
        if not values["augment"][f"{mask}s"]:
            allowed.add(f"augment.{mask}_width")
    assert values["train"]["schedule"] not in ("step", "exponential", "plateau")
    assert left <= allowed


def test_recipes_are_of_networks_or_of_one_section_that_is_added():
    others = {name: read_recipe(name, folder=FOLDER) for name in RECIPES if name not in NETWORKS}
    assert {name: [*values] for name, values in others.items()} == {
        "smoothed": ["smooth"],
        "stacked": ["stacking"],
    }
    for values in others.values():
        for section, keys in values.items():
            assert set(keys) == set(KNOWN[section])


@pytest.mark.parametrize("name", EXTENDING)
def test_a_recipe_that_extends_another_states_only_what_differs(name):
    stated = written(FOLDER / f"{name}.yaml")
    base = read_recipe(stated.pop("extends"), folder=FOLDER)
    for section, keys in stated.items():
        assert all(base[section].get(key) != value for key, value in keys.items()), section
    assert read_recipe(name, folder=FOLDER) == merged(base, stated)


def test_a_recipe_prints_as_arguments_of_an_experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(recipe, ["deep", "smoothed"], catch_exceptions=False)
    words = result.output.split()
    assert words[::2] == ["-S"] * (len(words) // 2)
    given: dict = {}
    for name, _, value in (word.partition("=") for word in words[1::2]):
        section, _, key = name.partition(".")
        given.setdefault(section, {})[key] = yaml.load(value, Loader)
    assert given == read_recipe("deep", "smoothed")


def test_values_are_printed_as_yaml_without_spaces():
    values = {"corpus": {"audio": {"seed": 3}}, "model": {"hidden": [2, 2], "residual": True}}
    assert [*overrides(values)] == [
        "corpus.audio.seed=3",
        "model.hidden=[2,2]",
        "model.residual=true",
    ]
    assert [*overrides({"train": {"lr": 1e-5}})] == ["train.lr=1e-05"]


# Recipes of any kind


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder with recipes that build on each other."""
    for name, text in {
        "base": "data: {k: 3}\ntrain: {lr: 1e-3, epochs: 5}",
        "longer": "extends: base\ntrain: {epochs: 9}",
        "wider": "extends: longer\ndata: {k: 7}\nmodel: {dropout: 0.5}",
        "alone": "train: {lr: 0.5}",
        "lost": "extends: bases\ndata: {k: 1}",
        "first": "extends: second",
        "second": "extends: third",
        "third": "extends: first",
        "own": "extends: own",
        "broken": "data: {k: 1, k: 2}",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_recipe_that_extends_another_yields_all_its_values(folder):
    assert read_recipe("longer", folder=folder) == {
        "data": {"k": 3}, "train": {"lr": 1e-3, "epochs": 9},
    }  # fmt: skip
    assert read_recipe("wider", folder=folder) == {
        "data": {"k": 7}, "train": {"lr": 1e-3, "epochs": 9}, "model": {"dropout": 0.5},
    }  # fmt: skip


def test_of_several_recipes_each_adds_to_those_before_it(folder):
    assert read_recipe("longer", "alone", folder=folder) == {
        "data": {"k": 3}, "train": {"lr": 0.5, "epochs": 9},
    }  # fmt: skip
    assert read_recipe("alone", "longer", folder=folder)["train"]["lr"] == 1e-3


@pytest.mark.parametrize(
    ("name", "circle"), [("first", "first -> second -> third -> first"), ("own", "own -> own")]
)
def test_recipes_that_extend_each_other_are_refused_by_name(folder, name, circle):
    with pytest.raises(InputError, match=f"^recipes extend each other: {circle}$"):
        read_recipe(name, folder=folder)


def test_an_unknown_base_is_answered_with_the_recipes_that_there_are(folder):
    with pytest.raises(
        InputError, match="no recipe 'bases'; did you mean base\\?; there are alone, "
    ):
        read_recipe("lost", folder=folder)


def test_an_unknown_recipe_is_answered_with_those_that_there_are():
    with pytest.raises(InputError, match="no recipe 'corse'; did you mean course\\?; there are "):
        read_recipe("corse", folder=FOLDER)
    with pytest.raises(InputError, match="no recipe ''; there are course, "):
        read_recipe(folder=FOLDER)


def test_a_recipe_that_is_not_yaml_is_refused_by_its_path(folder):
    with pytest.raises(InputError, match=r"(?s)cannot read .*broken\.yaml: .*'k' is given twice"):
        read_recipe("broken", folder=folder)


def test_in_another_folder_it_says_to_run_in_that_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"^recipes holds no recipes; run this in the project's folder$"
    ):
        read_recipe("course")
