"""The project's own files agree with each other."""

import ast
from pathlib import Path

import pytest
import yaml

from phonemes import params, recipes
from phonemes.errors import InputError
from phonemes.schema import Loader

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imported_files(path: Path) -> set[str]:
    """Return the project's modules that a module imports, themselves included, transitively."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        module = waiting.pop()
        name = module.relative_to(ROOT).as_posix()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
            else:
                continue
            for dotted in names:
                for candidate in (dotted, f"{dotted}.__init__"):
                    file = ROOT / (candidate.replace(".", "/") + ".py")
                    if dotted.split(".")[0] in ("phonemes", "stages") and file.exists():
                        waiting.append(file)
    return found - {"phonemes/__init__.py"}  # a docstring


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_code_it_runs(stage):
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("phonemes/", "stages/"))}
    folders = {dep for dep in declared if not dep.endswith(".py")}
    code = imported_files(ROOT / f"stages/{stage}.py")
    within = {name for name in code if any(name.startswith(f"{folder}/") for folder in folders)}
    assert code - within == declared - folders
    assert all(any(name.startswith(folder) for name in within) for folder in folders)


def test_every_stage_says_what_it_does():
    assert all(stage["desc"] for stage in STAGES.values())


RECIPES = [path.stem for path in (ROOT / "recipes").glob("*.yaml")]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_on_top_of_the_parameters(name):
    values = yaml.load((ROOT / "params.yaml").read_text("utf-8"), Loader)
    for override in recipes.overrides(recipes.read_recipe(name)):
        key, value = override.split("=")
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place[section]
        assert last in place
        place[last] = yaml.load(value, Loader)
    params.parse(yaml.safe_dump(values))


NETWORKS = [name for name in RECIPES if "train" in recipes.read_recipe(name)]


def test_recipes_are_of_networks_or_of_what_is_added_to_one():
    assert sorted({*RECIPES} - {*NETWORKS}) == ["refined", "smoothed"]
    for name, section in (("refined", "refine"), ("smoothed", "smooth")):
        shipped = yaml.load((ROOT / "params.yaml").read_text("utf-8"), Loader)[section]
        assert {section: set(shipped)} == {
            key: set(value) for key, value in recipes.read_recipe(name).items()
        }


def test_of_several_recipes_each_adds_to_those_before_it():
    course, masks = recipes.read_recipe("course"), recipes.read_recipe("masks")
    both = recipes.read_recipe("course", "masks", "smoothed")
    assert both["train"] == recipes.merged(course["train"], masks["train"])
    assert both["data"] == masks["data"] != course["data"]
    assert both["smooth"] == recipes.read_recipe("smoothed")["smooth"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_leaves_nothing_of_the_network_to_the_shipped_values(name):
    values = yaml.load((ROOT / "params.yaml").read_text("utf-8"), Loader)
    left = set(values["train"]) - set(recipes.read_recipe(name)["train"])
    # of other optimizers and schedules, and what is the user's to choose
    assert left <= {
        "momentum", "gamma", "step_epochs", "patience", "precision", "shuffle", "fused", "seed"
    }  # fmt: skip


def test_a_recipe_prints_as_arguments_of_an_experiment():
    printed = list(recipes.overrides({"data": {"k": 3}, "train": {"hidden": [2, 2], "lr": 1e-5}}))
    assert printed == ["data.k=3", "train.hidden=[2,2]", "train.lr=1e-05"]


def test_an_unknown_recipe_is_answered_with_those_there_are():
    with pytest.raises(InputError, match="no recipe 'corse'; did you mean course\\?; there are "):
        recipes.read_recipe("corse")
    with pytest.raises(InputError, match="no recipe ''; there are course, "):
        recipes.read_recipe()
