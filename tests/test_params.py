"""A params.yaml that cannot run is refused, with every problem at once."""

import copy
import json
import math
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, fields

import pytest
from helpers import PARAMS, ROOT, changed
from hypothesis import example, given, settings
from hypothesis import strategies as st
from params_rules import RULES

from phonemes.corpus.audio.recordings import LAYOUTS
from phonemes.errors import InputError
from phonemes.inventory import INVENTORIES
from phonemes.model.architecture import ACTIVATIONS, NORMS
from phonemes.params import Params, load, parse, warnings
from phonemes.schema import Items, Number, build, read_yaml

TEXT = PARAMS.read_text("utf-8")
VALUES = read_yaml(TEXT, "tests/params.yaml")


def holder(values, key):
    """Return the section of `values` that holds a dotted key, and the key's last part."""
    *sections, last = key.split(".")
    for section in sections:
        values = values[section]
    return values, last


def with_changes(changes):
    """Return all values with {"train.lr": value} put in."""
    values = copy.deepcopy(VALUES)
    for key, value in changes.items():
        section, last = holder(values, key)
        section[last] = value
    return values


def parsed(changes):
    """Parse the parameters with changes, written out as YAML again."""
    return parse(json.dumps(with_changes(changes)))


def complaint(text):
    """Return the message that refuses a text."""
    with pytest.raises(InputError) as refused:
        parse(text)
    return str(refused.value)


def plain(value):
    """Return nested values as YAML has them, tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


# --- what is valid


def test_every_value_of_a_file_arrives_where_its_key_says(params):
    assert plain(asdict(params)) == VALUES


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path, params):
    path = tmp_path / "params.yaml"
    path.write_bytes(("\ufeff" + TEXT.replace("\n", "\r\n")).encode())
    assert load(path) == params


def test_parameters_cannot_be_changed_after_the_check(params):
    with pytest.raises(FrozenInstanceError):
        params.train.lr = 1.0


def test_what_decides_a_network_is_four_sections(params):
    assert [*params.fit] == [params.data, params.model, params.augment, params.train]


# --- the rule of every key


@pytest.mark.parametrize("key", [key for key in RULES if isinstance(RULES[key][1], Number)])
def test_the_ends_of_every_range_are_of_its_type_and_allowed(key):
    kind, rule = RULES[key]
    lowest = rule.low
    if rule.above:
        lowest = rule.low + 1 if kind is int else math.nextafter(rule.low, math.inf)
    for value in (lowest, rule.high):
        assert build(Params, with_changes({key: value}))[1] == []
    low, high = rule.usual or (rule.low, rule.high)
    assert rule.low <= low < high <= rule.high


@pytest.mark.parametrize("key", [key for key in RULES if isinstance(RULES[key][1], Items)])
def test_the_shortest_and_longest_lists_are_allowed(key):
    rule = RULES[key][1]
    for length in (rule.least, rule.most):
        assert build(Params, with_changes({key: [64] * length}))[1] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.lr", 0),  # nothing would be learnt
        ("model.dropout", 1),  # nothing would pass
        ("train.batch_size", 0),
        ("train.epochs", 0),
        ("train.epochs", 8.0),
        ("train.momentum", 1),
        ("train.label_smoothing", 1),
        ("train.optimizer", "rmsprop"),
        ("model.hidden", [512]),
        ("model.hidden", [512] * 13),
        ("model.hidden", [512, 0]),
        ("data.k", -1),
        ("features.floor", 0),  # the logarithm of silence
        ("corpus.audio.dev_share", -0.1),
        ("corpus.audio.test_share", 1.1),
        ("runtime.jobs", -1),
    ],
)
def test_values_that_could_not_run_are_out_of_range(key, value):
    assert f"{key} is {value!r}; expected" in complaint(json.dumps(with_changes({key: value})))


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("corpus.audio.layout", LAYOUTS),
        ("corpus.audio.phonemes", INVENTORIES),
        ("model.activation", ACTIVATIONS),
        ("model.norm", NORMS),
    ],
)
def test_the_names_that_are_allowed_are_those_that_the_code_knows(key, known):
    assert RULES[key][1].words == tuple(known)


@pytest.mark.parametrize("key", RULES)
def test_every_key_is_checked_and_named_where_it_is_missing(key):
    _, (problem,) = build(Params, with_changes({key: {"a": 1}}))
    assert problem.startswith(f"{key} is {{'a': 1}}; expected ")
    values = with_changes({})
    section, last = holder(values, key)
    del section[last]
    _, (problem,) = build(Params, values)
    assert problem.startswith(f"{key} is missing; expected ")


@settings(max_examples=15)
@given(st.data())
def test_all_problems_are_listed_at_once(data):
    broken = data.draw(st.lists(st.sampled_from(list(RULES)), min_size=1, unique=True))
    message = complaint(json.dumps(with_changes({key: {"a": 1} for key in broken})))
    plural = "s" if len(broken) > 1 else ""
    assert message.startswith(f"params.yaml has {len(broken)} problem{plural}:\n")
    assert {line.split()[0] for line in message.splitlines()[1:]} == set(broken)
    assert len(message.splitlines()) == 1 + len(broken)


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
        ({"stacking.folds": 1}, "stacking.folds is 1; expected 0, which is off, or at least 2"),
        (
            {
                "stacking.folds": 2,
                "stacking.epochs": 2,
                "train.warmup_epochs": 2,
                "train.epochs": 3,
            },
            "train.warmup_epochs is 2; expected less than stacking.epochs, 2",
        ),
        (
            {"train.batch_size": 1, "model.norm": "batch"},
            "train.batch_size is 1; batch normalization needs at least 2 frames",
        ),
        (
            {"model.residual": True, "model.hidden": [64, 64, 32]},
            "model.hidden is [64, 64, 32]; with model.residual expected an odd number of equal",
        ),
        (
            {"model.residual": True, "model.hidden": [64, 64]},
            "model.hidden is [64, 64]; with model.residual expected an odd number of equal",
        ),
        (
            {"model.residual": True, "model.norm_position": "after"},
            "model.norm_position is after; with model.residual expected before",
        ),
        (
            {"corpus.audio.dev_share": 0.6, "corpus.audio.test_share": 0.5},
            "corpus.audio.dev_share + test_share is 1.1; expected less than 1",
        ),
        (
            {"corpus.source": "audio", "corpus.audio.split": "list"},
            "corpus.audio.speakers is empty; corpus.audio.split: list needs a CSV",
        ),
        (
            {
                "corpus.source": "audio",
                "corpus.audio.transcripts": "align",
                "corpus.audio.phonemes": "timit",
            },
            "corpus.audio.phonemes is timit; with corpus.audio.transcripts: align expected arpabet",
        ),
    ],
)
def test_values_that_contradict_each_other_are_named(changes, message):
    assert message in complaint(json.dumps(with_changes(changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"features.sample_rate": 16000, "features.high": 8000},
        {"features.frame_width": 32, "features.fft": 512},
        {"train.warmup_epochs": 2.5, "train.epochs": 3},
        {"stacking.folds": 2, "stacking.epochs": 3, "train.warmup_epochs": 2, "train.epochs": 3},
        {"stacking.folds": 0, "stacking.epochs": 2, "train.warmup_epochs": 2, "train.epochs": 3},
        {"data.k": 6, "model.full_rate_context": 8},
        {"model.residual": True, "model.hidden": [64, 64, 64]},
        {"train.batch_size": 1, "model.norm": "layer"},
        {"train.batch_size": 2, "model.norm": "batch"},
        {"corpus.audio.dev_share": 0.5, "corpus.audio.test_share": 0.4},
        {"corpus.source": "synthetic", "corpus.audio.split": "list"},
        {"corpus.source": "audio", "corpus.audio.split": "list", "corpus.audio.speakers": "a.csv"},
    ],
)
def test_values_at_the_edge_of_a_contradiction_are_accepted(changes):
    assert plain(asdict(parsed(changes))) == with_changes(changes)


def test_all_contradictions_are_listed_at_once():
    changes = {"features.high": 9000, "features.fft": 256, "train.warmup_epochs": 9000}
    assert complaint(json.dumps(with_changes(changes))).startswith("params.yaml has 3 problems:")


# --- unusual values


def test_a_value_that_is_hardly_meant_is_warned_of(params):
    unusual = changed(params, train={"lr": 3.0, "epochs": 500}, model={"dropout": 0.9})
    assert warnings(unusual, "model", "train") == [
        "model.dropout is 0.9; usual are values from 0 to 0.7",
        "train.lr is 3; usual are values from 1e-05 to 0.1",
        "train.epochs is 500; usual are values from 1 to 200",
        "train.batch_size is 16; usual are values from 32 to 65536",
    ]


def test_usual_values_and_other_sections_are_not_warned_of(params):
    usual = changed(params, train={"batch_size": 32}, model={"dropout": 0.9})
    assert warnings(usual, "train", "data", "augment", "stacking", "smooth", "normalize") == []


def test_balanced_class_weights_with_label_smoothing_are_warned_of(params):
    train = {"batch_size": 32, "class_weights": "balanced", "label_smoothing": 0.1}
    assert warnings(changed(params, train=train), "train") == [
        "train.class_weights is balanced and train.label_smoothing 0.1: rare phonemes weigh so "
        "much in the smoothed share that labels hardly count; set train.label_smoothing to 0, or "
        "train.class_weights to sqrt"
    ]
    assert warnings(changed(params, train=train), "model", "evaluate") == []
    for apart in ({"label_smoothing": 0.0}, {"class_weights": "sqrt"}, {"class_weights": "none"}):
        assert warnings(changed(params, train=train | apart), "train") == []


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
        (
            "train: {lr: 1}\ntrain: {lr: 2}",
            r"params.yaml is not YAML: line 2, column 1: found duplicate key \"train\"",
        ),
        ("a: 1\n---\nb: 2", r"params.yaml is not YAML"),
        ("!!python/object/apply:os.getcwd []", r"params.yaml is not YAML"),
        ("[" * 5_000, r"params.yaml, line 1: more than 20 levels of sections or lists"),
        ("- " * 5_000, r"params.yaml, line 1: more than 20 levels of sections or lists"),
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
def test_no_slip_of_the_hand_in_a_valid_file_brings_down_the_check(place, removed, typed):
    try:
        assert isinstance(parse(TEXT[:place] + typed + TEXT[place + removed :]), Params)
    except InputError as error:
        assert re.match("params.yaml[ ,]", str(error))


def test_a_message_stays_readable_however_much_stands_in_the_wrong_place():
    message = complaint("\n".join(f"a{number}: {[number] * 500}" for number in range(60)))
    assert len(message) < 20_000
    message = complaint("".join(f"k{number}: 1\n" for number in range(1_000)))
    assert message.startswith(f"params.yaml has {1_000 + len(fields(Params))} problems:\n")
    assert message.endswith(f"  and {800 + len(fields(Params))} more")


# --- the file and the module


def test_a_message_names_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("train: 3")
    with pytest.raises(InputError, match=rf"mine\.yaml has {len(fields(Params))} problems:"):
        load(tmp_path / "mine.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*params\.yaml: .*No such file"):
        load(tmp_path / "params.yaml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path)


@pytest.mark.heavy
def test_the_check_waits_for_no_large_library():
    command = [sys.executable, "-c", "import sys, phonemes.params; print(*sys.modules)"]
    loaded = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    assert "phonemes.training.params" in loaded.split()
    assert {"torch", "pandas", "matplotlib"}.isdisjoint(loaded.split())
