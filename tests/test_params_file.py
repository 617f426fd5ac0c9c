"""The shipped params.yaml has every key, each with a comment that says what is checked.

Its values are the user's: only keys and comments are read here.
"""

import re

import pytest
from helpers import PARAMS, ROOT
from params_rules import RULES
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode

from phonemes.schema import AutoOr, Choice, Items, Number

LINES = (ROOT / "params.yaml").read_text("utf-8").splitlines()


def keys(text):
    """Return the line of every key, sections included, of a YAML text."""
    found = {}

    def walk(node, prefix):
        for key, value in node.value:
            found[prefix + key.value] = key.start_mark.line
            if isinstance(value, MappingNode):
                walk(value, f"{prefix}{key.value}.")

    walk(YAML(typ="safe").compose(text), "")
    return found


KEYS = keys("\n".join(LINES))
COMMENTS = {key: LINES[number].partition(" # ")[2] for key, number in KEYS.items()}


def ranges(rule):
    """Return the range that a rule checks, as a comment has it."""
    if isinstance(rule, Items):
        return f"{rule.least} to {rule.most} items, each {rule.each.range()}"
    return rule.range()


def test_it_has_the_sections_and_keys_that_the_tests_start_from():
    assert set(KEYS) == set(keys(PARAMS.read_text("utf-8")))
    assert set(RULES) <= set(KEYS)


def test_every_key_is_on_a_line_of_its_own_of_at_most_100_characters():
    assert len(set(KEYS.values())) == len(KEYS)
    assert [line for line in LINES if len(line) > 100] == []


def test_every_comment_is_one_line_next_to_its_key():
    first = min(KEYS.values())
    assert [line for line in LINES[first:] if line.lstrip().startswith("#")] == []
    assert [key for key in RULES if not re.search(r"\w{2}", COMMENTS[key])] == []


@pytest.mark.parametrize(
    "key", [key for key, (_, rule) in RULES.items() if isinstance(rule, Number | Items)]
)
def test_the_comment_of_a_number_or_list_ends_with_the_range_that_is_checked(key):
    assert COMMENTS[key].split("; ")[-1] == ranges(RULES[key][1])


@pytest.mark.parametrize(
    "key", [key for key, (_, rule) in RULES.items() if isinstance(rule, AutoOr)]
)
def test_the_comment_of_auto_or_a_number_says_both(key):
    assert re.search(r"\bauto\b", COMMENTS[key])
    assert COMMENTS[key].split(" | ")[-1] == RULES[key][1].number.range()


@pytest.mark.parametrize(
    "key", [key for key, (_, rule) in RULES.items() if isinstance(rule, Choice)]
)
def test_the_comment_of_a_choice_lists_exactly_what_is_allowed(key):
    listed = re.sub(r"\(.*?\)", "", COMMENTS[key]).split("|")
    for word, alternative in zip(RULES[key][1].words, listed, strict=True):
        assert word in re.findall(r"[\w-]+", alternative)
