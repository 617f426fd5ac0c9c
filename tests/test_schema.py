"""Values that do not fit their section are refused: every problem, its key and what is allowed."""

import math
import re
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
from dvc.utils.serialize import ParseError, dumps_yaml, parse_yaml
from hypothesis import example, given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.schema import Choice, Items, Number, Text, build, read_yaml, read_yaml_file, unusual


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
    "name": "a text on one line of at most 1,000 characters",
    "folder": (
        "a text on one line of at most 1,000 characters, or an empty one for next to the files"
    ),
    "widths": "a list of 2 to 4 items, each a whole number from 1 to 1,024",
    "on": "true or false",
    "inner": "the section with share",
}
NO_NUMBERS = ["fast", "", True, None, [1], {"a": 1}, math.nan, math.inf, -math.inf]
WRONG = {  # of a type or size that a key does not take
    "count": [*NO_NUMBERS, 1.5, 8.0, 0, 10_001],
    "rate": [*NO_NUMBERS, 0, 0.0, -1, 100.5],
    "kind": ["", "SGD", "rmsprop", 1, True, None, ["adam"], {"a": 1}],
    "name": ["", " ", "a\nb", "a\0b", "a\ud800", 1, True, None, ["a"], {"a": 1}],
    "folder": [" ", "a\r", 1, True, None, ["a"], {"a": 1}],
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


def test_a_text_is_bounded():
    assert problems_of({"name": "x" * 1_000}) == []
    (problem,) = problems_of({"name": "x" * 1_001})
    assert problem.endswith("; expected a text on one line of at most 1,000 characters")


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
    value = read_yaml(written, "params.yaml")
    assert (value, type(value)) == (read, float)


@given(
    st.floats(0, 100, exclude_min=True),
    st.sampled_from(["{!r}", "{:.17e}", "{:.17E}", "{:.17g}", "+{!r}"]),
)
def test_a_number_is_read_as_python_writes_it(number, how):
    assert read_yaml(how.format(number), "params.yaml") == number


@pytest.mark.parametrize("written", ["1e", "e3", ".", "1e-3s", "1.2.3", "--1", "'1e-3'", "1,5"])
def test_what_only_resembles_a_number_is_text(written):
    assert isinstance(read_yaml(written, "params.yaml"), str)


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


# --- YAML as DVC reads it


def for_dvc(text):
    """Return what DVC reads; None where it refuses."""
    try:
        return parse_yaml(text, "params.yaml")
    except (ParseError, ValueError, LookupError, AttributeError, TypeError, OverflowError):
        return None


def same(value, other):
    """Return whether two values are of the same type and equal; NaN equals NaN."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return len(value) == len(other) and all(same(each, other[key]) for key, each in pairs)
    return type(value) is type(other) and (value == other or value != value)


def check_that_dvc_reads_the_same(text):
    """Check that a text is refused or has the value that DVC reads, also from what it records."""
    try:
        values = read_yaml(text, "params.yaml")
    except InputError as error:
        assert str(error).startswith("params.yaml")
        assert "\n" not in str(error)
        return
    assert same({"a": values}, {"a": for_dvc(text) or values})
    if isinstance(values, dict) and not build(Alone, values)[1]:
        assert same(values, parse_yaml(dumps_yaml(values), "dvc.lock"))


@dataclass(frozen=True)
class Alone:
    a: Annotated[str, Text()]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", 0), ("0.10", 0.1), ("0o10", 8), ("0x1f", 31), ("0b11", 3), ("1_000", 1000), ("+1", 1),
        ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("yes", "yes"), ("no", "no"), ("on", "on"),
        ("True", True), ("~", None), ("Null", None), ("", None), ("NaN", "NaN"), ("inf", "inf"),
        (".5", 0.5), ("1e3", 1000.0), ("1e-3", 0.001), ("0.1_2", 0.12), (".inf", math.inf),
        ("'010'", "010"), ("!!str 010", "010"), ("!!int 010", 10),
    ],
)  # fmt: skip
def test_a_value_is_what_yaml_1_2_makes_of_it(written, read):
    assert same(read_yaml(f"a: {written}", "params.yaml"), {"a": read})
    check_that_dvc_reads_the_same(f"a: {written}")


@pytest.mark.parametrize("written", ["010", "08", "-010", "+0_10", "0_1", "00"])
def test_a_number_that_some_would_read_as_octal_is_refused(written):
    message = f"^params.yaml, line 2: {re.escape(written)} would be octal to some; write it without"
    with pytest.raises(InputError, match=message):
        read_yaml(f"b: 1\na: {written}", "params.yaml")


SCALARS = st.one_of(
    st.from_regex(r"[-+]?(0[box]?)?[0-9a-f_]{1,6}", fullmatch=True),
    st.from_regex(r"[-+]?[0-9_]{0,3}[.:]?[0-9_]{0,3}([eE][-+]?[0-9_]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9:.]{1,8}Z?)?", fullmatch=True),
    st.from_regex(
        r"(?i)(y|n|yes|no|on|off|true|false|null|nan|[-+]?\.inf|\.nan|~)", fullmatch=True
    ),
    st.text("019_+-.:eExob~!#&*%@`'\"{}[],|>?=< yn", max_size=8),
    st.text(max_size=8),
)


@given(SCALARS, st.sampled_from(["a: {}", "a: '{}'", 'a: "{}"', "a: [{}]", "{}: a", "a: !!int {}"]))
@example("010", "%YAML 1.1\n---\na: {}")
def test_a_value_is_what_dvc_reads_and_records_or_it_is_refused(scalar, how):
    check_that_dvc_reads_the_same(how.format(scalar))


def test_a_key_given_twice_is_an_error():
    message = 'params.yaml is not YAML: line 4, column 3: found duplicate key "lr"'
    with pytest.raises(InputError, match=f"^{message}$"):
        read_yaml("train:\n  lr: 1\n  epochs: 2\n  lr: 3", "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a 1\nb: *a", ", line 1: & and \\* are not read here; write the value out"),
        ("a: {k: 1}\nb: {<<: *a}", ", line 2: & and \\* are not read here"),
        (
            "a: 1\n? 0x" + "f" * 5_000 + "\n: 1",
            ", line 2: a key or value of more than 2,000 characters",
        ),
        ("a: " + "9" * 2_001, ", line 1: a key or value of more than 2,000 characters"),
        ("a: " + "{b: " * 21, ", line 1: more than 20 levels of sections or lists"),
        ("#" * 100_001, " has more than 100,000 characters; keep values only"),
        ("a: !" + "x" * 90_000 + " 1", " is not YAML: line 1, column 4: could not determine a con"),
    ],
)
def test_what_would_grow_beyond_measure_is_refused_with_one_short_line(text, message):
    with pytest.raises(InputError, match=f"^params.yaml{message}") as refused:
        read_yaml(text, "params.yaml")
    assert len(str(refused.value)) < 400


def test_aliases_that_multiply_are_refused_at_once():
    merges = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)]
    with pytest.raises(InputError, match="line 1: & and"):
        read_yaml("\n".join(["a0: &a0 {k: 1}", *merges]), "params.yaml")


def test_a_file_is_read_no_further_than_parameters_can_go(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"#" * 100_001 + b"\xff" * 1_000_000)
    with pytest.raises(InputError, match=r"params\.yaml (has more than|: .* decode)|cannot read"):
        read_yaml_file(path)
    path.write_bytes(b"a: \xff")
    with pytest.raises(InputError, match=r"cannot read .*params\.yaml: .*can't decode byte"):
        read_yaml_file(path)


def test_a_misspelt_key_of_any_length_and_kind_is_named_on_one_line():
    for key in ("x" * 90_000, "a\nb", 16**5_000, (1, 2)):
        (problem,) = problems_of({key: 1})
        assert len(problem) < 300
        assert "\n" not in problem


def test_of_a_part_of_the_values_only_those_given_are_checked():
    assert build(Section, {"count": 3, "inner": {}}, partly=True) == (None, [])
    assert build(Section, {"count": 0, "inner": {"chare": 1}}, partly=True)[1] == [
        "count is 0; expected a whole number from 1 to 10,000",
        "inner.chare is not a parameter; did you mean share?",
    ]
