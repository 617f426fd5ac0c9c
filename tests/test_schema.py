"""Values that do not fit their section are refused: every problem, its key and what is allowed."""

import math
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from phonemes.schema import Choice, Items, Loader, Number, Text, build, unusual


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Number(0, 1, usual=(0.1, 0.5))]


@dataclass(frozen=True)
class Section:
    count: Annotated[int, Number(1, 10_000, usual=(2, 100))]
    rate: Annotated[float, Number(0, 100, above=True)]
    kind: Annotated[str, Choice(("sgd", "adam", "adamw"))]
    name: Annotated[str, Text()]
    folder: Annotated[str, Text(empty="next to the files")]
    widths: Annotated[tuple[int, ...], Items(2, 4, Number(1, 1024))]
    on: bool
    inner: Inner


VALUES = {
    "count": 3,
    "rate": 0.5,
    "kind": "adam",
    "name": "phones",
    "folder": "",
    "widths": [512, 64],
    "on": True,
    "inner": {"share": 0.2},
}
EXPECTED = {
    "count": "a whole number from 1 to 10,000",
    "rate": "a number above 0 to 100",
    "kind": "one of sgd, adam, adamw",
    "name": "a text",
    "folder": "a text, or an empty one for next to the files",
    "widths": "a list of 2 to 4 items, each a whole number from 1 to 1,024",
    "on": "true or false",
    "inner": "the section with share",
}
NO_NUMBERS = ["fast", "", True, None, [1], {"a": 1}, math.nan, math.inf, -math.inf]
WRONG = {  # of a type or size that a key does not take
    "count": [*NO_NUMBERS, 1.5, 8.0, 0, 10_001],
    "rate": [*NO_NUMBERS, 0, 0.0, -1, 100.5],
    "kind": ["", "SGD", "rmsprop", 1, True, None, ["adam"], {"a": 1}],
    "name": ["", " ", 1, True, None, ["a"], {"a": 1}],
    "folder": [1, True, None, ["a"], {"a": 1}],
    "widths": [
        512, "512", None, {"a": 1}, [512], [512] * 5,
        ["512", 512], [True, 512], [512, 0.5], [512, 0],
    ],
    "on": ["true", "", 1, 0, None, [True], {"a": 1}],
}  # fmt: skip


def problems_of(changes):
    """Return the problems of the values with some changed."""
    built, problems = build(Section, VALUES | changes)
    assert (built is None) == bool(problems)
    return problems


def test_every_value_arrives_where_its_key_says():
    built, problems = build(Section, VALUES)
    assert problems == []
    assert built == Section(3, 0.5, "adam", "phones", "", (512, 64), True, Inner(0.2))


def test_a_whole_number_where_a_fraction_is_allowed_becomes_one():
    built, _ = build(Section, VALUES | {"rate": 2})
    assert (built.rate, type(built.rate)) == (2.0, float)


# --- numbers


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-3", 1e-3),
        ("1e-05", 1e-5),
        ("1.0e-3", 1e-3),
        ("1E-3", 1e-3),
        ("1e+1", 10.0),
        (".5", 0.5),
        ("+.5", 0.5),
        ("5.", 5.0),
    ],
)
def test_every_usual_way_to_write_a_fraction_is_one(written, read):
    value = yaml.load(written, Loader)
    assert (value, type(value)) == (read, float)


@given(
    st.floats(0, 100, exclude_min=True),
    st.sampled_from(["{!r}", "{:.17e}", "{:.17E}", "{:.17g}", "+{!r}"]),
)
def test_a_number_is_read_as_python_writes_it(number, how):
    assert yaml.load(how.format(number), Loader) == number


@pytest.mark.parametrize("written", ["1e", "e3", ".", "1e-3s", "1.2.3", "--1", "'1e-3'", "1,5"])
def test_what_only_resembles_a_number_is_text(written):
    assert isinstance(yaml.load(written, Loader), str)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (int, Number(1, 10_000)),
        (float, Number(0, 0.95)),
        (float, Number(0, 100, above=True)),
        (float, Number(0, 1_000_000_000)),
    ],
)
def test_both_ends_of_a_range_are_allowed_and_nothing_beyond(kind, rule):
    section = dataclass(type("Alone", (), {"__annotations__": {"x": Annotated[kind, rule]}}))

    def allowed(value):
        return build(section, {"x": value})[1] == []

    below = rule.low - 1 if kind is int else math.nextafter(rule.low, -math.inf)
    above = rule.high + 1 if kind is int else math.nextafter(rule.high, math.inf)
    assert allowed(rule.low) is not rule.above
    assert allowed(rule.high)
    for beyond in (below, above, 10**400, -(10**400)):
        assert not allowed(beyond)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Number(0, 2**31 - 1), "0 to 2,147,483,647"),
        (Number(0, 0.95), "0 to 0.95"),
        (Number(0, 100_000, above=True), "above 0 to 100,000"),
    ],
)
def test_a_range_is_written_as_in_the_comments(rule, text):
    assert rule.range() == text


# --- wrong, misspelt and missing keys


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in WRONG for value in WRONG[key]])
def test_a_value_that_does_not_fit_is_named_with_what_is_allowed(key, value):
    assert problems_of({key: value}) == [f"{key} is {value!r}; expected {EXPECTED[key]}"]


@pytest.mark.parametrize("value", [None, 3, "x", [1], True])
def test_a_section_that_is_no_mapping_is_named(value):
    assert problems_of({"inner": value}) == [f"inner is {value!r}; expected keys and values"]


def test_a_value_of_an_inner_section_is_named_by_its_path():
    assert problems_of({"inner": {"share": 2}}) == [
        "inner.share is 2; expected a number from 0 to 1"
    ]


@pytest.mark.parametrize("key", VALUES)
def test_a_misspelt_key_is_named_with_the_one_meant(key):
    values = {name: value for name, value in VALUES.items() if name != key}
    _, problems = build(Section, values | {f"{key}z": VALUES[key]})
    assert problems == [
        f"{key}z is not a parameter; did you mean {key}?",
        f"{key} is missing; expected {EXPECTED[key]}",
    ]


def test_a_key_without_any_resemblance_gets_no_suggestion():
    assert problems_of({"qqqq": 1}) == ["qqqq is not a parameter"]


@pytest.mark.parametrize("key", [1, None, 2.5, True])
def test_a_key_that_is_no_word_is_not_a_parameter(key):
    (problem,) = problems_of({key: 1})
    assert problem.startswith(f"{key} is not a parameter")


def test_a_key_given_twice_is_an_error():
    with pytest.raises(yaml.YAMLError, match="'lr' is given twice") as refused:
        yaml.load("train:\n  lr: 1\n  epochs: 2\n  lr: 3", Loader)
    assert "line 4" in str(refused.value)


@given(st.lists(st.sampled_from([field.name for field in fields(Section)]), unique=True))
def test_all_problems_are_listed_at_once(broken):
    problems = problems_of({key: {"a": 1} for key in broken})
    assert {problem.split()[0].split(".")[0] for problem in problems} == set(broken)


def test_a_value_is_cut_short_where_it_would_fill_the_screen():
    (problem,) = problems_of({"count": ["x" * 5000] * 5000})
    assert len(problem) < 10_000
    (problem,) = problems_of({"count": -int("f" * 5000, 16)})
    assert problem.startswith("count is a number of thousands of digits; expected")


# --- unusual values


def test_an_unusual_value_is_warned_of_by_its_path_with_the_usual_ones():
    built, _ = build(Section, VALUES | {"count": 101, "inner": {"share": 0.01}})
    assert unusual(built, "data") == [
        "data.count is 101; usual are values from 2 to 100",
        "data.inner.share is 0.01; usual are values from 0.1 to 0.5",
    ]


@pytest.mark.parametrize("changes", [{}, {"count": 2}, {"count": 100}, {"rate": 100}])
def test_usual_values_and_those_without_a_usual_range_are_not_warned_of(changes):
    built, _ = build(Section, VALUES | changes)
    assert unusual(built, "data") == []
