"""The page of parameters is what the code makes of params.yaml and its own definitions."""

import re

import pytest
from helpers import ROOT
from ruamel.yaml import YAML

from docs.generate.parameters import PAGE, comments, declared, page, parameters, rules, sections

VALUE = re.compile(r"^(\| `\w+` \|) `.*?` \|", re.M)


def without_values(text):
    """Return the page without the values, which are the user's."""
    return VALUE.sub(r"\1", text)


def test_the_page_in_git_is_what_the_code_makes():
    assert without_values(PAGE.read_text("utf-8")) == without_values(page()), "run `make docs`"


def test_the_page_has_a_row_for_every_parameter_and_no_other():
    found = [line.split("`")[1] for line in page().splitlines() if VALUE.match(line)]
    assert found == [
        key.rpartition(".")[2]
        for section, _ in sections()
        for key, *_ in rules()
        if key.rpartition(".")[0] == section
    ]
    assert len(found) == len({key for key, *_ in rules()}) > 80


@pytest.mark.parametrize(
    ("key", "stages"),
    [
        ("corpus.audio.map", ("corpus",)),
        ("features.bands", ("corpus",)),
        ("features.stride", ("corpus", "context")),
        ("data.k", ("context", "train", "evaluate", "predict")),
        ("model.precision", ("train", "evaluate", "predict")),
        ("model.hidden", ("train",)),
        ("smooth.lm_scale", ("evaluate", "predict")),
        ("runtime.jobs", ()),
    ],
)
def test_a_parameter_has_the_stages_that_dvc_reruns_for_it(key, stages):
    assert parameters()[key].stages == stages
    assert set(stages) <= set(declared())


def test_a_stage_of_ones_own_may_depend_on_no_parameter(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text("stages: {count: {cmd: wc}, fit: {cmd: fit, params: [a]}}")
    monkeypatch.setattr("docs.generate.parameters.ROOT", tmp_path)
    assert declared() == {"count": (), "fit": ("a",)}


def test_a_row_says_value_range_usual_range_and_meaning():
    row = next(line for line in page().splitlines() if line.startswith("| `label_smoothing`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == "number, 0 to 0.99; usual 0 to 0.3"
    assert cells[3] == "share of a target that goes to all phonemes evenly"
    assert cells[4] == "train"


def test_comments_are_found_by_key_in_sections_of_any_depth():
    text = "a:  # one\n  b: 1  # two # three\n  c:\n    d: '#'  # four\n"
    assert YAML(typ="safe").load(text)["a"]["c"]["d"] == "#"
    assert comments(text) == {"a": "one", "a.b": "two # three", "a.c": "", "a.c.d": "four"}


def test_every_section_is_defined_in_a_file_of_the_project():
    for name, section in sections():
        assert (ROOT / (section.__module__.replace(".", "/") + ".py")).exists(), name
