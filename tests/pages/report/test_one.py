"""The page about a run needs nothing else, escapes names, and shows what there is."""

import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from pages.report.made import Made, here, write_run

from phonemes.inventory import ARPABET_PLAIN, TIMIT
from phonemes.pages.report.matrix import confusion_matrix
from phonemes.pages.report.one import (
    changed_later,
    mistakes,
    phoneme_groups,
    report,
    score_rows,
    speakers,
)
from phonemes.storage.layout import HISTORY, TABLES

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Parsed(HTMLParser):
    """The tags of a page, which must be closed in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def page(run):
    return report(run)


def test_the_page_loads_nothing_from_elsewhere(page):
    for _, attributes in Parsed(page).tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes
    assert "url(" not in page and "@import" not in page and "http" not in page


def test_every_link_leads_to_a_heading_and_no_id_is_there_twice(page):
    parsed = Parsed(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for attributes in parsed.of("a")} <= set(ids)
    assert {each["aria-labelledby"] for each in parsed.of("section")} <= set(ids)


def test_what_is_seen_has_a_name_for_those_who_do_not_see_it(page):
    parsed = Parsed(page)
    assert all(image["alt"] for image in parsed.of("img"))
    for drawing in parsed.of("svg"):
        assert drawing.get("aria-label") or drawing.get("aria-hidden") == "true"
    assert all(region["aria-label"] for _, region in parsed.tags if region.get("role") == "region")
    assert all(header.get("scope") in ("col", "row") for header in parsed.of("th"))


def test_the_page_is_the_same_each_time_and_small(run, page):
    assert report(run) == page
    assert len(page) < 1_000_000


def test_the_page_has_the_figures_of_the_tables(run, page):
    text = Parsed(page).text()
    for value in run.dev["scores"]["value"]:
        assert f"{value:.3f}" in text
    for name in ("By phonetic class", "By distance from a phoneme boundary", "Vowels by stress"):
        assert name in text
    assert "The mean accuracy of 4 speakers is" in text


HOSTILE = '<script>alert("1")</script>&amp;\''


def test_names_are_text_whatever_they_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Made(phonemes=("SIL", HOSTILE, "</script>"), speakers=(HOSTILE, "b", "c")))
    table = TABLES / "dev/utterances.csv"
    table.write_text(table.read_text().replace("u/", "<b>u</b>/"))
    page = report(here())
    assert "<script>alert" not in page and "<b>u" not in page
    parsed = Parsed(page)
    assert len(parsed.of("script")) == 2  # the matrix's data, and the page's
    assert HOSTILE in "".join(parsed.texts)


@pytest.mark.parametrize(
    "phonemes", [ARPABET_PLAIN, TIMIT, tuple("0123456"), tuple(map(str, range(346)))]
)
def test_every_inventory_has_a_page_below_3_mb(tmp_path, monkeypatch, phonemes):
    monkeypatch.chdir(tmp_path)
    write_run(Made(phonemes=phonemes, skill=0.2, utterances=400))
    page = report(here())
    Parsed(page)
    assert len(page.encode()) < 3_000_000
    assert ("By phonetic class" in page) == (not phonemes[0].isdigit())
    assert "Vowels by stress" not in page


def test_a_run_of_an_older_version_has_a_page_that_says_what_it_lacks(folder):
    for path in (TABLES / "dev").iterdir():
        if path.stem not in ("scores", "confusion", "phonemes"):
            path.unlink()
    HISTORY.unlink()
    shutil.rmtree(TABLES / "test")
    text = Parsed(report(here())).text()
    assert "workspace has no tables of phonetic classes, boundaries, stress" in text
    assert "This run has no table of utterances: run dvc repro ." in text
    assert "By distance" not in text and "Training" not in text


def test_speakers_that_are_unknown_have_no_section(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Made(speakers=("",)))
    assert 'id="speakers"' not in report(here())


# Its parts


def test_scores_have_a_cell_for_each_split(run):
    rows = dict(score_rows(run))
    assert list(rows)[:2] == ["Accuracy", "Accuracy without silence"]
    dev, test = rows["Accuracy"]
    assert dev == test and dev["low"] < dev["value"] < dev["high"]
    assert len(rows) == len(run.dev["scores"])


def test_mistakes_are_in_the_order_of_their_frames(run):
    found = mistakes(run.dev["confusion"])
    assert all(row["actual"] != row["predicted"] for row in found)
    frames = [row["frames"] for row in found]
    assert frames == sorted(frames, reverse=True) and len(found) == 15
    support = run.dev["phonemes"].set_index("phoneme")["support"]
    for row in found:
        assert row["share"] == pytest.approx(row["frames"] / support[row["actual"]])


def test_phonemes_are_listed_by_class_once_each(run):
    groups = phoneme_groups(run)
    assert [group["name"] for group in groups][:2] == ["front vowels", "central vowels"]
    names = [row["phoneme"] for group in groups for row in group["rows"]]
    assert sorted(names) == sorted(run.phonemes)


def test_of_many_speakers_the_least_and_the_most_accurate_are_listed(run):
    table = run.dev["speakers"].iloc[[0] * 100].reset_index(drop=True)
    table["accuracy"] = np.linspace(0.5, 0.9, 100)[::-1]
    found = speakers(table)
    assert (found.number, found.cut, len(found.rows)) == (100, 60, 40)
    assert found.mean == pytest.approx(0.7)
    accuracies = [row["accuracy"] for row in found.rows]
    assert accuracies == sorted(accuracies)
    assert (accuracies[0], accuracies[-1]) == (0.5, 0.9)
    assert found.largest == pytest.approx(0.2)


# Its script


# Runs report.js on a stand-in of one matrix, points at a cell, presses a key; prints what it says.
POINTED = """
const fs = require('fs');
const [script, data] = [fs.readFileSync(process.argv[1], 'utf8'), fs.readFileSync(0, 'utf8')];
const element = () => ({ handlers: {}, attributes: {}, parts: [],
  addEventListener(name, handler) { this.handlers[name] = handler; },
  setAttribute(name, value) { this.attributes[name] = value; },
  append(part) { this.parts.push(part); },
  set textContent(text) { this.said = text; this.parts = []; },
  get textContent() { return this.said; },
  getBoundingClientRect: () => ({ left: 100, top: 50, width: 400, height: 400 }) });
const parts = { script: { textContent: data }, '.readout': element(), svg: element(),
  '.field': element(), '.cursor': element() };
global.document = { createElement: element, querySelectorAll: name =>
  name === '[data-matrix]' ? [{ querySelector: name => parts[name] }] : [] };
new Function(script)();
const said = () => [parts['.readout'].said, ...parts['.readout'].parts.map(part => part.said)];
const [x, y] = [process.argv[2], process.argv[3]].map(Number);
parts.svg.handlers.pointermove({ clientX: x, clientY: y });
const pointed = said();
parts.svg.handlers.keydown({ key: 'ArrowRight', preventDefault() {} });
console.log(JSON.stringify([pointed, said(), parts['.cursor'].attributes]));
"""


@pytest.mark.heavy
def test_the_script_tells_what_is_under_the_pointer_and_next_to_it():
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    counts = np.array([[90, 0, 0, 10], [0, 0, 0, 0], [5, 15, 60, 0], [20, 0, 1, 79]])
    matrix = confusion_matrix(counts, ("SIL", "T", "D", "AH0"))  # AH0 T D SIL along the axes
    script = str(files("phonemes.pages").joinpath("report.js"))
    result = subprocess.run(
        [node, "-e", POINTED, script, "250", "260"],  # the second column of the third row
        input=json.dumps(matrix.data),
        capture_output=True,
        text=True,
        check=True,
    )
    pointed, after, cursor = json.loads(result.stdout)
    assert pointed == ["D → T: 15 frames, 18.8 % of D", "stops → stops: 75 frames, 93.8 % of stops"]
    assert after[0] == "D → D: 60 frames, 75.0 % of D"
    assert cursor == {"x": 2, "y": 2, "visibility": "visible"}


@pytest.mark.parametrize(
    ("folds", "scales", "text"),
    [
        (0, (0, 0), ""),
        (3, (0, 0), "stacking"),
        (0, (1, 0), "smoothing over time"),
        (3, (0, 0.2), "stacking and division by the prior"),
    ],
)
def test_the_page_says_what_the_curves_of_training_lack(run, folds, scales, text):
    smooth = dict(zip(("lm_scale", "prior_scale"), scales, strict=True))
    params = run.params | {"stacking": {"folds": folds}, "smooth": smooth}
    run = replace(run, params=params)
    assert changed_later(run) == text
    assert ("The curves are without" in report(run)) == bool(text)
