"""A space says what is varied and how; what no training would take is refused before the first."""

import re
from dataclasses import asdict

import optuna
import pytest
from helpers import PARAMS, ROOT
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.params import checked
from phonemes.recipes import read_recipe
from phonemes.schema import read_yaml_file
from phonemes.search.journal import sampler
from phonemes.search.space import Choices, Widths, find_space, lookup, nested, read_space, suggest
from phonemes.training.planned import require_size

VALUES = read_yaml_file(PARAMS)
RECIPES = ROOT / "recipes"
SPACES = sorted(path.stem for path in (RECIPES / "spaces").glob("*.yaml"))


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a space from a text."""

    def read(text):
        path = tmp_path / "space.yaml"
        path.write_text(text)
        return read_space(path, VALUES, RECIPES)

    return read


def drawn(space, count=60):
    """Return values of some trials, drawn at random."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler("random", 1))
    return [suggest(space, study.ask()) for _ in range(count)]


# What is varied


def test_a_list_is_a_choice_and_all_of_it_is_drawn(read):
    space = read("model: {activation: [relu, gelu], residual: [true, false]}")
    values = drawn(space)
    assert {each["model.activation"] for each in values} == {"relu", "gelu"}
    assert {each["model.residual"] for each in values} == {True, False}


def test_lists_of_widths_are_choices_and_one_list_is_a_value(read):
    space = read("model: {hidden: [[8, 8], [16, 8, 4]]}\ndata: {k: 2}")
    assert {tuple(each["model.hidden"]) for each in drawn(space)} == {(8, 8), (16, 8, 4)}
    fixed = read("model: {hidden: [9, 9], dropout: [0.1, 0.2]}")
    assert lookup(fixed.base, "model.hidden") == [9, 9]
    assert [each.name for each in fixed.varied] == ["model.dropout"]


def test_a_range_is_of_whole_numbers_where_the_parameter_is(read):
    space = read("data: {k: {low: 2, high: 4}}\ntrain: {lr: {low: 1, high: 3}}")
    values = drawn(space)
    assert {each["data.k"] for each in values} == {2, 3, 4}
    assert all(1 <= each["train.lr"] <= 3 for each in values)
    assert any(each["train.lr"] % 1 for each in values)


def test_a_step_keeps_values_on_a_grid(read):
    space = read("train: {batch_size: {low: 2, high: 10, step: 4}}")
    assert {each["train.batch_size"] for each in drawn(space)} == {2, 6, 10}


def test_a_log_scale_draws_each_power_of_ten_as_often(read):
    space = read("train: {lr: {low: 1e-5, high: 1e-1, log: true}}")
    rates = [each["train.lr"] for each in drawn(space, 400)]
    assert 0.4 < sum(rate < 1e-3 for rate in rates) / len(rates) < 0.6
    assert all(len(f"{rate:.12g}".replace(".", "").lstrip("0")) < 14 for rate in rates)


def test_numbers_are_drawn_with_four_digits_within_the_range(read):
    space = read("train: {lr: {low: 0.123456, high: 0.123459}}")
    assert all(0.123456 <= each["train.lr"] <= 0.123459 for each in drawn(space))
    wide = read("train: {lr: {low: 0.1, high: 1}}")
    assert all(round(each["train.lr"], 4) == each["train.lr"] for each in drawn(wide))


def test_widths_narrow_evenly_to_a_share_of_the_first():
    widths = Widths(Choices((5,)), Choices((1024,)), Choices((0.25,)))
    assert widths.made(5, 1024, 0.25) == [1024, 728, 512, 360, 256]
    assert widths.made(3, 100, 1) == [100, 100, 100]
    assert widths.made(1, 64, 0.5) == [64]


@given(st.integers(1, 12), st.integers(8, 4096), st.floats(0.1, 2))
def test_narrowing_widths_are_multiples_of_eight(blocks, width, taper):
    made = Widths(Choices((1,)), Choices((1,)), Choices((1,))).made(blocks, width, taper)
    assert len(made) == blocks
    assert all(each >= 8 and each % 8 == 0 for each in made) or taper == 1


def test_blocks_widths_and_taper_are_drawn_on_their_own(read):
    space = read("model: {hidden: {blocks: {low: 2, high: 4}, width: [16, 32], taper: [0.5, 1]}}")
    found = {(len(v), v[0], v[-1] / v[0]) for v in (e["model.hidden"] for e in drawn(space, 200))}
    assert found == {(n, w, t) for n in (2, 3, 4) for w in (16, 32) for t in (0.5, 1)}


def test_a_parameter_with_a_condition_is_varied_only_where_it_holds(read):
    space = read(
        "train:\n  optimizer: [sgd, adam]\n"
        "  momentum: {low: 0.1, high: 0.9, if: {train.optimizer: sgd}}\n"
        "  weight_decay: {choices: [0.1, 0.2], if: {train.optimizer: [adam, adamw]}}"
    )
    for each in drawn(space):
        sgd = each["train.optimizer"] == "sgd"
        assert ("train.momentum" in each) == sgd
        assert ("train.weight_decay" in each) == (not sgd)


def test_a_condition_may_be_about_a_fixed_value(read):
    text = (
        "train:\n  optimizer: %s\n  momentum: {low: 0.1, high: 0.9, if: {train.optimizer: sgd}}\n"
    )
    text += "data: {k: [1, 2]}"
    assert "train.momentum" in drawn(read(text % "sgd"), 1)[0]
    assert "train.momentum" not in drawn(read(text % "adam"), 1)[0]


def test_a_space_starts_from_a_recipe_and_params_and_its_own_values_are_not_in_the_start(read):
    space = read("extends: pyramid\ntrain: {lr: [0.1, 0.2], epochs: 7}")
    recipe = read_recipe("pyramid", folder=RECIPES)
    assert space.base["train"] == VALUES["train"] | recipe["train"] | {"epochs": 7}
    assert space.start["train"] == VALUES["train"] | recipe["train"]
    assert space.base["smooth"] == VALUES["smooth"]


def test_the_parameters_of_a_trial_are_checked_as_those_of_a_stage(read):
    space = read("train: {warmup_epochs: [0, 9], epochs: 3}")
    assert asdict(space.params({"train.warmup_epochs": 0}, "t")) == asdict(
        checked(VALUES | {"train": VALUES["train"] | {"epochs": 3, "warmup_epochs": 0}}, "t")
    )
    with pytest.raises(InputError, match=r"^trial 4 has 1 problem:\n  train.warmup_epochs is 9; "):
        space.params({"train.warmup_epochs": 9}, "trial 4")


def test_the_largest_value_counts_ranges_choices_and_what_winners_get(read):
    space = read(
        "data: {k: {low: 1, high: 9}}\ntrain: {epochs: [2, 4]}\nretrain: {train: {epochs: 30}}"
    )
    assert space.largest("data.k") == 9
    assert space.largest("train.epochs") == 30
    assert space.largest("train.batch_size") == VALUES["train"]["batch_size"]


def test_names_in_full_become_sections():
    assert nested({"train.lr": 1, "train.epochs": 2, "data.k": 3}) == {
        "train": {"lr": 1, "epochs": 2}, "data": {"k": 3},
    }  # fmt: skip


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "holds no sections"),
        ("{}", "nothing is varied; give a parameter a list or a range"),
        ("train: {epochs: 3}", "nothing is varied"),
        ("extends: [a]\ntrain: {lr: [1, 2]}", "extends is ['a']; expected the name of a recipe"),
        ("extends: corse\ntrain: {lr: [1, 2]}", "no recipe 'corse'; did you mean course?"),
        ("corpus: {path: [a, b]}", "corpus is not searched; a search is over one packed corpus"),
        ("smooth: {lm_scale: [0, 1]}", "smooth is not searched; it trains nothing"),
        ("runtime: {device: [cpu]}", "runtime is not searched; no accuracy depends on it"),
        ("train: {seed: [1, 2]}", "train.seed is not searched; a lucky seed makes no better"),
        ("trian: {lr: [1, 2]}", "trian is no section of a space; did you mean train?"),
        ("train: 3", "train is 3; expected keys and values"),
        ("train: {rl: [1, 2]}", "train.rl is not a parameter; did you mean lr?"),
        ("train: {lr: []}", "train.lr: expected at least one choice"),
        ("train: {lr: [1, 1]}", "train.lr: a choice is there twice"),
        ("train: {lr: [1, fast]}", "train.lr is 'fast'; expected a number above 0 to 100"),
        ("train: {optimizer: [adam, lion]}", "train.optimizer is 'lion'; expected one of sgd"),
        ("train: {lr: {low: 1e-3, high: 1000}}", "train.lr is 1000; expected a number above 0"),
        ("data: {k: {low: 0.5, high: 3}}", "data.k: low is 0.5; expected a whole number"),
        ("data: {k: {low: true, high: 3}}", "data.k: low is True; expected a whole number"),
        ("data: {k: {high: 3}}", "data.k: low is None; expected a whole number"),
        ("data: {k: {low: 3, high: 3}}", "data.k: low is 3 and high is 3; expected low below"),
        ("data: {k: {low: 1, high: 3, step: 5}}", "data.k: step is 5; expected above 0 and at"),
        ("data: {k: {low: 1, high: 3, stop: 1}}", "data.k: stop is not known; expected low and"),
        ("train: {lr: {low: 0, high: 1, log: true}}", "train.lr: with log, expected low above 0"),
        (
            "train: {lr: {low: 1, high: 2, step: 0.5, log: true}}",
            "train.lr: with log, expected low above 0 and no step",
        ),
        ("train: {lr: {low: 1, high: 2, log: 3}}", "train.lr: log is 3; expected true or false"),
        ("train: {optimizer: {low: 1, high: 2}}", "train.optimizer is no number; expected a list"),
        ("train: {lr: {choices: 3}}", "train.lr: choices is 3; expected a list"),
        ("train: {lr: {choices: [1, 2], low: 1}}", "train.lr: expected choices alone, not low"),
        ("model: {hidden: {blocks: 3}}", "model.hidden: expected blocks, width and perhaps taper"),
        ("model: {hidden: {blocks: x, width: 8}}", "model.hidden.blocks is 'x'; expected a whole"),
        (
            "model: {hidden: {blocks: {low: 1, high: 3}, width: 8}}",
            "model.hidden is [8]; expected a list of 2 to 12 items",
        ),
        (
            "model: {hidden: {blocks: 3, width: 8, taper: [0, 1]}}",
            "model.hidden.taper is 0; expected a number above 0",
        ),
        ("train: {lr: {choices: [1, 2], if: sgd}}", "train.lr: if is 'sgd'; expected a parameter"),
        (
            "train: {lr: {choices: [1, 2], if: {train.opt: sgd}}}",
            "train.lr: if has train.opt, which is not a parameter",
        ),
        (
            "train: {lr: {choices: [1, 2], if: {train.optimizer: sgd}}, optimizer: [sgd, adam]}",
            "train.lr: if needs train.optimizer, which is varied later; put it first",
        ),
        (
            "train: {lr: [1, 2]}\nretrain: {train: {epochs: many}}",
            "retrain: train.epochs is 'many'; expected a whole number",
        ),
        ("train: {lr: [1, 2], batches: streamed}", "train.batches is streamed; a search keeps"),
    ],
)
def test_what_no_training_would_take_is_refused(read, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(text)


def test_all_problems_are_told_with_the_file(read, tmp_path):
    with pytest.raises(InputError) as caught:
        read("train: {lr: [fast, 1], rl: 2}\ndata: {k: {low: 5, high: 1}}")
    heading, *lines = str(caught.value).splitlines()
    assert heading == f"{tmp_path / 'space.yaml'} has 3 problems:"
    assert [line.split()[0] for line in lines] == ["train.lr", "train.rl", "data.k:"]


def test_an_unknown_space_is_answered_with_those_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"no space 'corse'; did you mean course.*course, legal, "):
        find_space("corse", RECIPES / "spaces")
    with pytest.raises(InputError, match=r"^there is no space mine\.yaml; see recipes/spaces"):
        find_space("mine.yaml")
    with pytest.raises(InputError, match="holds no spaces; run this in the project's folder"):
        find_space("course", tmp_path)


# The project's spaces


@pytest.mark.parametrize("name", SPACES)
def test_values_of_the_projects_spaces_can_be_trained_with(name):
    values = read_yaml_file(ROOT / "params.yaml")
    space = read_space(RECIPES / "spaces" / f"{name}.yaml", values, RECIPES)
    for each in drawn(space, 100):
        space.params(each, name)
    checked(space.start, name)


def test_course_varies_what_the_assignment_lets_vary_and_nothing_else():
    values = read_yaml_file(ROOT / "params.yaml")
    space = read_space(RECIPES / "spaces/course.yaml", values, RECIPES)
    recipe = read_recipe("course", folder=RECIPES)
    varied = {each.name for each in space.varied}
    assert {"data.k", "model.hidden", "model.activation", "model.norm", "model.dropout"} <= varied
    assert {"train.optimizer", "train.lr", "train.schedule", "train.batch_size"} <= varied
    assert space.base["augment"] == values["augment"] | recipe["augment"]
    assert space.base["train"]["epochs"] == 10
    assert {len(each["model.hidden"]) for each in drawn(space, 200)} == set(range(5, 11))


def test_legal_draws_networks_on_both_sides_of_its_limit():
    values = read_yaml_file(ROOT / "params.yaml")
    space = read_space(RECIPES / "spaces/legal.yaml", values, RECIPES)
    assert lookup(space.base, "model.max_parameters") < 20_000_000
    fitting = 0
    for each in drawn(space, 100):
        params = space.params(each, "legal")
        try:
            require_size(params.fit, params.stacking, 40, 71)
            fitting += 1
        except InputError:
            pass
    assert 20 < fitting < 100
