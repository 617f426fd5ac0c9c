"""Recipes are valid, complete, and printed as arguments of an experiment."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from dvc.cli import DvcParserError, parse_args
from dvc.utils.hydra import apply_overrides
from helpers import PARAMS, ROOT, set_params
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phonemes.commands.recipe import recipe
from phonemes.errors import InputError
from phonemes.params import load
from phonemes.recipes import merged, overrides, read_recipe
from phonemes.schema import read_yaml, read_yaml_file
from phonemes.training.planned import require_size

pytestmark = pytest.mark.heavy

FOLDER = ROOT / "recipes"


KNOWN = read_yaml_file(PARAMS)  # all sections and their keys
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
NETWORKS = [name for name in RECIPES if "train" in read_recipe(name, folder=FOLDER)]
EXTENDING = [name for name in RECIPES if "extends" in read_yaml_file(FOLDER / f"{name}.yaml")]


# The project's recipes


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_on_top_of_the_parameters(tmp_path, name):
    set_params(read_recipe(name, folder=FOLDER), tmp_path)
    load(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_of_a_network_leaves_no_result_to_what_params_has(name):
    values = read_recipe(name, folder=FOLDER)
    values.pop("predict", None)  # of an edition of the course
    assert set(values) == {"normalize", "data", "model", "augment", "train"}
    left = {f"{part}.{key}" for part in values for key in set(KNOWN[part]) - set(values[part])}
    # of other optimizers and schedules, and what is the user's to choose
    allowed = {
        *("normalize.storage", "model.precision", "model.max_parameters"),
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
    stated = read_yaml_file(FOLDER / f"{name}.yaml")
    base = read_recipe(stated.pop("extends"), folder=FOLDER)
    for section, keys in stated.items():
        known = base.get(section, {})
        assert all(known.get(key) != value for key, value in keys.items()), section
    assert read_recipe(name, folder=FOLDER) == merged(base, stated)


# bands and phonemes of the editions that recipes are for; SOS and EOS are no classes
EDITIONS = {"s22": (13, 71), "s24": (28, 40), "f24": (28, 40)}


def test_a_recipe_with_a_limit_of_parameters_is_for_the_course():
    limits = {
        name: read_recipe(name, folder=FOLDER)["model"].get("max_parameters") for name in NETWORKS
    }
    assert {name for name, limit in limits.items() if limit} == {"s24", "f24", "legal"}


@pytest.mark.parametrize(("bands", "phonemes"), [(40, 71), (28, 40)])
def test_the_legal_network_keeps_to_the_limit_of_the_course(tmp_path, bands, phonemes):
    set_params(read_recipe("legal", folder=FOLDER), tmp_path)
    params = load(tmp_path / "params.yaml")
    require_size(params.fit, params.stacking, bands, phonemes)
    assert params.model.max_parameters < 20_000_000


@pytest.mark.parametrize("name", EDITIONS)
def test_the_network_of_an_edition_keeps_its_limit(tmp_path, name):
    set_params(read_recipe(name, folder=FOLDER), tmp_path)
    params = load(tmp_path / "params.yaml")
    require_size(params.fit, params.stacking, *EDITIONS[name])
    limits = {"s22": 0, "s24": 24_000_000, "f24": 20_000_000}  # the courses': fewer than these
    assert params.model.max_parameters == max(0, limits[name] - 1)


def test_a_wider_network_than_that_of_an_edition_is_refused(tmp_path):
    wider = merged(read_recipe("f24", folder=FOLDER), {"model": {"hidden": [1536] * 9}})
    set_params(wider, tmp_path)
    params = load(tmp_path / "params.yaml")
    with pytest.raises(InputError, match=r"22,313,176 parameters; model\.max_parameters is 19,999"):
        require_size(params.fit, params.stacking, *EDITIONS["f24"])


def test_predictions_are_of_the_type_that_an_edition_asks_for(tmp_path):
    asked = {}
    for name in EDITIONS:
        folder = tmp_path / name
        folder.mkdir()
        set_params(read_recipe(name, folder=FOLDER), folder)
        asked[name] = load(folder / "params.yaml").predict.label
    assert asked == {"s22": "int", "s24": "auto", "f24": "auto"}


def test_a_recipe_prints_as_arguments_of_an_experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(recipe, ["deep", "smoothed"], catch_exceptions=False)
    words = result.output.split()
    assert words[::2] == ["-S"] * (len(words) // 2)
    given: dict = {}
    for name, _, value in (word.partition("=") for word in words[1::2]):
        section, _, key = name.partition(".")
        given.setdefault(section, {})[key] = read_yaml(value, name)
    assert given == read_recipe("deep", "smoothed")


def test_values_are_printed_as_yaml_without_spaces():
    values = {"corpus": {"audio": {"seed": 3}}, "model": {"hidden": [2, 2], "residual": True}}
    assert [*overrides(values)] == [
        "corpus.audio.seed=3",
        "model.hidden=[2,2]",
        "model.residual=true",
    ]
    assert [*overrides({"train": {"lr": 1e-5}})] == ["train.lr=1e-05"]


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.one_of(
            st.integers(),
            st.floats(allow_nan=False),
            st.booleans(),
            st.text("aeilnrstuxyéE0123456789_.:/\\\\'\"$(){}[],|*?+#~=-%@&!<>`", max_size=8),
            st.lists(st.integers(0, 99) | st.floats(0, 1) | st.text("e1.'\\\\,[]", max_size=4)),
        ),
        min_size=1,
    )
)
@example({"a": r"(\w+)_\d", "b": "true", "c": "010", "d": "1e3"})
@example({"a": "null", "b": "${a}", "c": "it's", "d": "end\\"})
def test_dvc_writes_the_values_of_a_recipe_as_they_are(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("recipe") / "params.yaml"
    path.write_text("part: {a: 0, b: 0, c: 0, d: 0}\n")
    apply_overrides(path, [*overrides({"part": values})])
    written = read_yaml_file(path)["part"]
    assert {key: written[key] for key in values} == values


def test_a_text_with_white_space_is_refused_since_a_shell_would_divide_it():
    with pytest.raises(
        InputError, match=r"^corpus\.path is 'my data'; expected no white space in a"
    ):
        [*overrides({"corpus": {"path": "my data"}})]


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
        "typo": "data: {j: 1}\ntrain: {lr: fast}\nmodel: 3",
        "list": "- data",
        "empty": "# nothing yet",
        "odd": "extends: [base]",
        "anchors": "data: &a {k: 1}",
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


def test_an_unknown_recipe_leaves_dvc_nothing_that_it_would_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(recipe, ["corse"])
    assert isinstance(result.exception, InputError)
    with pytest.raises(DvcParserError):
        parse_args(["exp", "run", *result.stdout.split()])


def test_a_recipe_that_is_not_yaml_is_refused_by_its_path(folder):
    with pytest.raises(InputError, match=r'broken\.yaml is not YAML: .*found duplicate key "k"$'):
        read_recipe("broken", folder=folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "typo",
            "typo.yaml has 3 problems:\n  data.j is not a parameter\n"
            "  model is 3; expected keys and values\n"
            "  train.lr is 'fast'; expected a number above 0 to 100",
        ),
        ("list", "list.yaml holds no sections; write what it sets as params.yaml has it"),
        ("empty", "empty.yaml holds no sections; write what it sets as params.yaml has it"),
        ("odd", "odd.yaml has 1 problem:\n  extends is ['base']; expected the name of a recipe"),
        ("anchors", "anchors.yaml, line 1: & and * are not read here; write the value out"),
    ],
)
def test_a_recipe_that_no_stage_would_take_is_refused_with_its_path(folder, name, message):
    with pytest.raises(InputError, match=re.escape(message) + "$"):
        read_recipe(name, folder=folder)


def test_in_another_folder_it_says_to_run_in_that_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"^recipes holds no recipes; run this in the project's folder$"
    ):
        read_recipe("course")
