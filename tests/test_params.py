"""A params.yaml that cannot run is refused whole: every problem, its key and what is allowed."""

import copy
import dataclasses
import math
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.params import Params, load, parse
from phonemes.schema import Choice, Items, Loader, Number, build

SHIPPED = Path(__file__).parent.parent / "params.yaml"
TEXT = SHIPPED.read_text("utf-8")
VALUES = yaml.load(TEXT, Loader)


def rules(section=Params, prefix=""):
    """Yield every leaf as ("train.lr", float, Number(...)); a bool has no rule."""
    for name, hint in get_type_hints(section, include_extras=True).items():
        if is_dataclass(hint):
            yield from rules(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, *(get_args(hint) or (hint, None))


def nodes(node, prefix=""):
    """Yield every key of a composed YAML text as ("train.lr", key node, value node)."""
    for key, value in node.value:
        yield prefix + key.value, key, value
        if isinstance(value, yaml.MappingNode):
            yield from nodes(value, f"{prefix}{key.value}.")


def comment_of(key):
    """Return the comment beside a key of params.yaml."""
    line = TEXT.splitlines()[NODES[key][0].start_mark.line]
    return line.partition(" # ")[2]


RULES = {key: (kind, rule) for key, kind, rule in rules()}
NODES = {key: (name, value) for key, name, value in nodes(yaml.compose(TEXT, Loader))}
NUMBERS = [key for key, (_, rule) in RULES.items() if isinstance(rule, Number)]
CHOICES = [key for key, (_, rule) in RULES.items() if isinstance(rule, Choice)]
LISTS = [key for key, (_, rule) in RULES.items() if isinstance(rule, Items)]


def holder(values, key):
    """Return the section of `values` that holds a dotted key, and the key's last part."""
    *sections, last = key.split(".")
    for section in sections:
        values = values[section]
    return values, last


def value_of(values, key):
    """Return what stands at a dotted key."""
    section, last = holder(values, key)
    return section[last]


def changed(changes):
    """Return params.yaml's values with {"train.lr": value} put in."""
    values = copy.deepcopy(VALUES)
    for key, value in changes.items():
        section, last = holder(values, key)
        section[last] = value
    return values


def parsed(changes):
    """Parse params.yaml with changes, written out as YAML again."""
    return parse(yaml.safe_dump(changed(changes)))


def complaint(text):
    """Return the message that refuses a text."""
    with pytest.raises(InputError) as refused:
        parse(text)
    return str(refused.value)


def problems_of(values):
    """Return what is wrong with values, none of which contradicts another."""
    built, problems = build(Params, values)
    assert (built is None) == bool(problems)
    return problems


def wrong_values(kind, rule):
    """Return values of types that a leaf does not take."""
    number = ["fast", "", True, None, [1], {"a": 1}, math.nan, math.inf, -math.inf]
    match rule:
        case Number():
            return [*number, 1.5] if kind is int else number
        case Choice():
            return ["", "SGD?", 1, True, None, ["adam"], {"a": 1}]
        case Items():
            return [512, "512", None, {"a": 1}, ["512", 512], [True, 512], [512, 0.5]]
        case None:
            return ["true", "", 1, 0, None, [True], {"a": 1}]
    return [1, True, None, ["a"], {"a": 1}]


# --- the shipped file


def test_the_shipped_file_is_valid():
    assert isinstance(load(SHIPPED), Params)


def test_every_value_of_the_file_arrives_where_its_key_says():
    built = dataclasses.asdict(load(SHIPPED))
    for key in RULES:
        value = value_of(built, key)
        assert (list(value) if isinstance(value, tuple) else value) == value_of(VALUES, key), key


@pytest.mark.parametrize("key", RULES)
def test_every_value_of_the_file_has_a_comment(key):
    assert re.search(r"\w{2}", comment_of(key)), f"{key} stands there without a word"


@pytest.mark.parametrize("key", CHOICES)
def test_the_comment_of_a_choice_lists_exactly_what_is_allowed(key):
    listed = re.sub(r"\(.*?\)", "", comment_of(key)).split("|")
    for word, alternative in zip(RULES[key][1].words, listed, strict=True):
        assert word in re.findall(r"[\w-]+", alternative)


@pytest.mark.parametrize("key", NUMBERS + LISTS)
def test_the_range_that_a_comment_names_is_allowed(key):
    for ends in re.findall(r"([\d.e-]*\d) to (\d[\d.e-]*)", comment_of(key)):
        for end in ends:
            value = yaml.load(end, Loader)
            value = [64] * value if key in LISTS else value
            assert problems_of(changed({key: value})) == []


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(("\ufeff" + TEXT.replace("\n", "\r\n")).encode())
    assert load(path) == load(SHIPPED)


def test_parameters_cannot_be_changed_after_the_check():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(SHIPPED).train.lr = 1.0


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
        ("3", 3.0),
    ],
)
def test_every_usual_way_to_write_a_number_is_one(written, read):
    lr = parse(re.sub(r"lr: \S+", f"lr: {written}", TEXT)).train.lr
    assert (lr, type(lr)) == (read, float)


@given(
    st.floats(0, 100, exclude_min=True),
    st.sampled_from(["{!r}", "{:.17e}", "{:.17E}", "{:.17g}", "+{!r}"]),
)
def test_a_number_is_read_as_python_writes_it(number, how):
    assert parse(re.sub(r"lr: \S+", f"lr: {how.format(number)}", TEXT)).train.lr == number


@pytest.mark.parametrize("written", ["1e", "e3", ".", "1e-3s", "1.2.3", "--1", "'1e-3'", "1,5"])
def test_what_only_resembles_a_number_is_text(written):
    text = re.sub(r"lr: \S+", f"lr: {written}", TEXT)
    assert "train.lr is " in complaint(text) and "expected a number above 0" in complaint(text)


@pytest.mark.parametrize("key", NUMBERS)
def test_both_ends_of_a_range_are_allowed_and_nothing_beyond(key):
    kind, rule = RULES[key]

    def allowed(value):
        problems = problems_of(changed({key: value}))
        expected = f"expected {rule.expected('whole number' if kind is int else 'number')}"
        for problem in problems:
            assert problem.startswith(f"{key} is ") and problem.endswith(f"; {expected}")
        return not problems

    below = rule.low - 1 if kind is int else math.nextafter(rule.low, -math.inf)
    above = rule.high + 1 if kind is int else math.nextafter(rule.high, math.inf)
    assert allowed(rule.low) is not rule.above
    assert allowed(rule.high)
    assert not allowed(below)
    assert not allowed(above)
    assert not allowed(10**400)
    assert not allowed(-(10**400))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.lr", 0),  # nothing would be learnt
        ("train.dropout", 1),  # nothing would pass
        ("train.batch_size", 0),
        ("train.epochs", 0),
        ("train.momentum", 1),
        ("train.label_smoothing", 1),
        ("train.hidden", [512]),
        ("train.hidden", [512] * 13),
        ("train.hidden", [512, 0]),
        ("data.k", -1),
        ("features.floor", 0),  # the logarithm of silence
        ("corpus.audio.dev_share", -0.1),
        ("corpus.audio.test_share", 1.1),
        ("runtime.jobs", -1),
    ],
)
def test_values_that_could_not_run_are_out_of_range(key, value):
    assert f"{key} is {value!r}; expected" in complaint(yaml.safe_dump(changed({key: value})))


def test_a_whole_number_where_a_fraction_is_allowed_becomes_one():
    assert type(parsed({"train.dropout": 0}).train.dropout) is float


def test_a_fraction_where_a_whole_number_is_needed_is_refused():
    assert "train.epochs is 8.0; expected a whole number from 1 to 10000" in complaint(
        yaml.safe_dump(changed({"train.epochs": 8.0}))
    )


# --- wrong, misspelt and missing keys


@pytest.mark.parametrize("key", RULES)
def test_a_value_of_the_wrong_type_is_named_with_what_is_allowed(key):
    for value in wrong_values(*RULES[key]):
        (problem,) = problems_of(changed({key: value}))
        assert problem.startswith(f"{key} is {value!r}; expected ")


@pytest.mark.parametrize("key", NODES)
def test_a_misspelt_key_is_named_with_the_one_meant(key):
    values = changed({})
    section, last = holder(values, key)
    section[last + "z"] = section.pop(last)
    unknown, missing = problems_of(values)
    assert unknown == f"{key}z is not a parameter; did you mean {last}?"
    assert missing.startswith(f"{key} is missing; expected ")


@pytest.mark.parametrize("key", NODES)
def test_a_missing_key_is_named_with_what_is_allowed(key):
    values = changed({})
    section, last = holder(values, key)
    del section[last]
    (problem,) = problems_of(values)
    assert problem.startswith(f"{key} is missing; expected ")


@pytest.mark.parametrize("key", [key for key in NODES if key not in RULES])
@pytest.mark.parametrize("value", [None, 3, "x", [1], True])
def test_a_section_that_is_no_mapping_is_named(key, value):
    assert problems_of(changed({key: value})) == [f"{key} is {value!r}; expected keys and values"]


def test_a_choice_is_refused_with_all_its_words():
    message = complaint(yaml.safe_dump(changed({"train.optimizer": "rmsprop"})))
    assert "train.optimizer is 'rmsprop'; expected one of sgd, adam, adamw" in message


@given(st.data())
def test_all_problems_are_listed_at_once(data):
    broken = data.draw(st.lists(st.sampled_from(list(RULES)), min_size=1, unique=True))
    message = complaint(yaml.safe_dump(changed({key: {"a": 1} for key in broken})))
    plural = "s" if len(broken) > 1 else ""
    assert message.startswith(f"params.yaml has {len(broken)} problem{plural}:\n")
    assert {line.split()[0] for line in message.splitlines()[1:]} == set(broken)
    assert len(message.splitlines()) == 1 + len(broken)


def test_a_key_without_any_resemblance_gets_no_suggestion():
    values = changed({}) | {"qqqq": 1}
    assert complaint(yaml.safe_dump(values)).endswith("qqqq is not a parameter")


@pytest.mark.parametrize("key", [1, None, 2.5, True])
def test_a_key_that_is_no_word_is_not_a_parameter(key):
    values = changed({}) | {key: 1}
    assert f"{key} is not a parameter" in complaint(yaml.safe_dump(values))


# --- contradictions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features.sample_rate": 8000},
            "features.high is 8000 Hz; expected at most half of features.sample_rate, 4000",
        ),
        (
            {"features.high": 8000.5},
            "features.high is 8000.5 Hz; expected at most half of features.sample_rate, 8000",
        ),
        (
            {"features.low": 500, "features.high": 500},
            "features.low is 500 Hz; expected less than features.high, 500",
        ),
        (
            {"features.frame_width": 40},
            "features.fft is 512; expected at least the 640 samples of a frame",
        ),
        (
            {"train.warmup_epochs": 3, "train.epochs": 3},
            "train.warmup_epochs is 3; expected less than train.epochs, 3",
        ),
        ({"refine.folds": 1}, "refine.folds is 1; expected 0, which is off, or at least 2"),
        (
            {"refine.folds": 2, "refine.epochs": 2, "train.warmup_epochs": 2, "train.epochs": 3},
            "train.warmup_epochs is 2; expected less than refine.epochs, 2",
        ),
        (
            {"train.batch_size": 1},
            "train.batch_size is 1; batch normalization needs at least 2 frames",
        ),
        (
            {"train.residual": True, "train.hidden": [64, 64, 32]},
            "train.hidden is [64, 64, 32]; with train.residual expected an odd number of equal",
        ),
        (
            {"train.residual": True, "train.hidden": [64, 64]},
            "train.hidden is [64, 64]; with train.residual expected an odd number of equal",
        ),
        (
            {"train.residual": True, "train.normalize": "after"},
            "train.normalize is after; with train.residual expected before",
        ),
        (
            {"corpus.audio.dev_share": 0.6, "corpus.audio.test_share": 0.5},
            "corpus.audio.dev_share + test_share is 1.1; expected less than 1",
        ),
        (
            {"corpus.source": "audio", "corpus.audio.split": "list"},
            "corpus.audio.speakers is empty; corpus.audio.split: list needs a CSV",
        ),
    ],
)
def test_values_that_contradict_each_other_are_named(changes, message):
    assert message in complaint(yaml.safe_dump(changed(changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"features.sample_rate": 16000, "features.high": 8000},
        {"features.frame_width": 32, "features.fft": 512},
        {"train.warmup_epochs": 2.5, "train.epochs": 3},
        {"refine.folds": 2, "refine.epochs": 3, "train.warmup_epochs": 2},
        {"refine.folds": 0, "refine.epochs": 2, "train.warmup_epochs": 2},
        {"data.k": 6, "train.whole": 8},
        {"train.residual": True, "train.hidden": (64, 64, 64)},
        {"train.batch_size": 1, "train.normalization": "layer"},
        {"train.batch_size": 2, "train.normalization": "batch"},
        {"corpus.audio.dev_share": 0.5, "corpus.audio.test_share": 0.4},
        {"corpus.source": "synthetic", "corpus.audio.split": "list"},
        {"corpus.source": "audio", "corpus.audio.split": "list", "corpus.audio.speakers": "a.csv"},
    ],
)
def test_values_at_the_edge_of_a_contradiction_are_accepted(changes):
    built = dataclasses.asdict(parsed(changes))
    assert {key: value_of(built, key) for key in changes} == changes


def test_all_contradictions_are_listed_at_once():
    changes = {"features.high": 9000, "features.fft": 256, "train.warmup_epochs": 9000}
    assert complaint(yaml.safe_dump(changed(changes))).startswith("params.yaml has 3 problems:")


# --- what is not even parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"params.yaml is None; expected keys and values"),
        ("# all commented out", r"params.yaml is None; expected keys and values"),
        ("- a\n- b", r"params.yaml is \['a', 'b'\]; expected keys and values"),
        ("train", r"params.yaml is 'train'; expected keys and values"),
        ("train:\n\tlr: 1", r"params.yaml is not YAML.*cannot start any token"),
        ("train: [1, 2", r"params.yaml is not YAML"),
        ("train: {lr: 1}\ntrain: {lr: 2}", r"'train' is given twice"),
        ("train:\n  lr: 1\n  epochs: 2\n  lr: 3", r"'lr' is given twice(.|\n)*line 4"),
        ("a: 1\n---\nb: 2", r"params.yaml is not YAML"),
        ("!!python/object/apply:os.getcwd []", r"params.yaml is not YAML"),
        ("[" * 100_000, r"params.yaml is not YAML"),
        ("- " * 100_000, r"params.yaml is not YAML"),
        ("a: \x00", r"params.yaml is not YAML"),
        ("a: 2001-99-99", r"params.yaml is not YAML"),
    ],
)
def test_a_text_that_holds_no_parameters_is_refused(text, message):
    assert re.search(message, complaint(text), re.DOTALL)


@given(st.text())
@example("[a]: 1")  # a key that cannot be looked up
@example("? {a: 1}\n: 2")
@example("!!map [1, 2]")  # tags that do not fit
@example("!!int ''")
@example("!!float ''")
@example("!!bool x")
@example("!!timestamp x")
@example("!!set [a]")
@example("train: &train\n  lr: *train")
@example("train: 0x" + "f" * 5000)  # too long for Python to print
@example("\ud800")
def test_no_text_brings_down_the_check(text):
    with pytest.raises(InputError):
        parse(text)


@given(st.text("{}[]:,&*!?|>-%@#'\"~=<.\n\t ab01é", max_size=40))
def test_no_yaml_brings_down_the_check(text):
    with pytest.raises(InputError):
        parse(text)


@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 8),
    st.text("{}[]:,&*!?|>-%@#'\"~=<.\n\t ab01é", max_size=8),
)
def test_no_slip_of_the_hand_in_the_shipped_file_brings_down_the_check(place, removed, typed):
    try:
        assert isinstance(parse(TEXT[:place] + typed + TEXT[place + removed :]), Params)
    except InputError as error:
        assert str(error).startswith("params.yaml ")


def test_a_message_stays_readable_however_much_stands_in_the_wrong_place():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 16)]
    assert len(complaint("\n".join(lines) + "\ntrain: *a15\n")) < 10_000


# --- the file


def test_a_message_names_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("train: 3")
    with pytest.raises(InputError, match=r"mine\.yaml has 10 problems:"):
        load(tmp_path / "mine.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*params\.yaml: .*No such file"):
        load(tmp_path / "params.yaml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match=r"cannot read .*can't decode"):
        load(tmp_path / "params.yaml")


def test_a_rule_is_needed_for_every_field():
    @dataclasses.dataclass(frozen=True)
    class Unruled:
        name: str

    assert [field.name for field in fields(Unruled)] == ["name"]
    with pytest.raises(TypeError, match="no rule for <class 'str'>"):
        build(Unruled, {"name": "x"})
