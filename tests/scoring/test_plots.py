"""DVC fills the templates of the plots with the tables that stages write, offline too."""

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from colours import nearest
from dvc_render.vega import VegaRenderer
from helpers import ROOT
from pages.browser import launched, program

from phonemes.inventory import (
    ARPABET_PLAIN,
    ARPABET_STRESS,
    TIMIT,
    phonetic_classes,
    phonetic_order,
)
from phonemes.scoring.tables import confused_pairs_table, confusion_table, phoneme_table
from phonemes.training.range_test import marks, rising, suggest, sweep

TEMPLATES = ROOT / ".dvc/plots"
NAMES = ("SIL", "T", "D", "AH0")


@pytest.fixture
def counts():
    """Return frames by actual and predicted phoneme of NAMES; T never occurs."""
    return np.array([[90, 0, 0, 10], [0, 0, 0, 0], [5, 15, 60, 0], [20, 0, 1, 79]])


def curve(rates, losses):
    """Return the table of a range test."""
    points = sweep(rates, losses)
    return pd.DataFrame(points).assign(mark=marks(points))


def rows(name, counts):
    """Return the rows that DVC would read from a template's CSV, values as text, and x and y."""
    table, x, y = {
        "confusion_matrix": (confusion_table(counts, NAMES), "predicted", "actual"),
        "pair_bars": (confused_pairs_table(counts, NAMES, 30), "count", "pair"),
        "phoneme_bars": (phoneme_table(counts, NAMES), "phoneme", "f1"),
        "rate": (curve([1e-3, 1e-2], [4.0, 3.0]), "lr", "smoothed"),
    }[name]
    return table.astype(str).to_dict("records"), x, y


def filled(name, records, x, y):
    """Return the Vega-Lite specification that DVC makes of a template."""
    records = [row | {"rev": rev} for rev in ("workspace", "HEAD") for row in records]
    renderer = VegaRenderer(records, name, template=name, template_dir=str(TEMPLATES), x=x, y=y)
    return renderer.get_filled_template()


def at_each_revision(tables, name, x, y):
    """Return the Vega-Lite specification of tables by their revision."""
    records = []
    for rev, table in tables.items():
        text = table.to_csv(index=False)
        records += [row | {"rev": rev} for row in csv.DictReader(text.splitlines())]
    renderer = VegaRenderer(records, name, template=name, template_dir=str(TEMPLATES), x=x, y=y)
    return renderer.get_filled_template()


# Prints the data that a specification shows: those of its first mark of type argv[1].
SHOWN = """
const fs = require('fs');
global.self = global;
const page = fs.readFileSync(process.argv[1], 'utf8');
const library = (name, needed) => {
  const start = page.indexOf(`<!-- ${name} `), first = page.indexOf('<script>', start) + 8;
  const module = {exports: {}};
  new Function('module', 'exports', 'require', page.slice(first, page.indexOf('</script>', first)))(
    module, module.exports, () => needed);
  return module.exports;
};
const vega = library('Vega'), lite = library('Vega-Lite', vega);
const spec = lite.compile(JSON.parse(fs.readFileSync(0, 'utf8'))).spec;
const view = new vega.View(vega.parse(spec), {renderer: 'none'});
view.toSVG().then(() => {
  const marks = [], collect = item => {
    if (item.marktype && item.name && /marks$/.test(item.name))
      marks.push([item.marktype, item.items.map(each => ({...each.datum, size: each.size,
        text: each.text, width: each.width, height: each.height}))]);
    (item.items || []).forEach(collect);
  };
  collect(view.scenegraph().root);
  console.log(JSON.stringify(marks));
});
"""


def shown(spec):
    """Return what the page's own Vega draws of a specification: items by the type of mark."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    result = subprocess.run(
        [node, "-e", SHOWN, str(TEMPLATES / "offline.html")],
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(result.stdout))


@pytest.mark.heavy
def test_a_phoneme_without_frames_and_one_never_found_look_different(counts):
    counts[2, 2] = 0  # D is never found, T never occurs
    spec = at_each_revision({"HEAD": phoneme_table(counts, NAMES)}, "phoneme_bars", "phoneme", "f1")
    drawn = shown(spec)
    assert {item["phoneme"]: item["text"] for item in drawn["text"]} == {
        "SIL": "", "T": "absent", "D": "", "AH0": ""
    }  # fmt: skip
    assert {item["phoneme"]: item["size"] for item in drawn["symbol"]} == {
        "SIL": 0, "T": 0, "D": 30, "AH0": 0
    }  # fmt: skip
    heights = {item["phoneme"]: item["height"] for item in drawn["rect"]}
    assert heights["T"] == heights["D"] == 0 < heights["SIL"]


@pytest.mark.heavy
def test_the_suggested_rate_and_what_it_lies_between_are_marked():
    rates = rising(1e-4, 1.0, 40)
    losses = [4 - 3 / (1 + (1e-2 / rate) ** 2) for rate in rates]
    table = curve(rates, losses)
    drawn = shown(at_each_revision({"workspace": table}, "rate", "lr", "smoothed"))
    suggested = suggest(sweep(rates, losses))
    said = [
        f"fastest fall: {suggested.fastest:.2g}",
        f"suggested: {suggested.lr:.2g}",
        f"90 % of the fall: {suggested.fallen:.2g}",
    ]
    assert [item["text"] for item in drawn["text"]] == said
    assert [item["mark"] for item in drawn["symbol"]] == said  # the last of points: those marked
    assert [float(item["lr"]) for item in drawn["rule"]] == pytest.approx(
        [suggested.fastest, suggested.lr, suggested.fallen], rel=0.15
    )


@pytest.mark.heavy
def test_a_pair_is_shown_with_its_frames_in_all_revisions_once_it_is_frequent_in_one(counts):
    other = counts.copy()
    other[3, 0], other[2, 1], other[2, 3], other[0, 3] = 2, 1, 9, 0
    tables = {
        "HEAD": confused_pairs_table(counts, NAMES, 2), "new": confused_pairs_table(other, NAMES, 1)
    }  # fmt: skip
    drawn = shown(at_each_revision(tables, "pair_bars", "count", "pair"))
    assert {(bar["rev"], bar["pair"], int(bar["count"])) for bar in drawn["rect"]} == {
        ("HEAD", "AH0 → SIL", 20),
        ("HEAD", "D → T", 15),
        ("new", "AH0 → SIL", 2),  # beyond its own first pair
        ("new", "D → T", 1),
        ("new", "D → AH0", 9),  # HEAD never made this mistake
    }


@pytest.mark.heavy
def test_pairs_of_revisions_that_list_the_most_frequent_alone_are_shown(counts):
    old = confused_pairs_table(counts, NAMES, 2).head(2).drop(columns="top")
    new = confused_pairs_table(counts, NAMES, 1)
    drawn = shown(at_each_revision({"old": old, "new": new}, "pair_bars", "count", "pair"))
    assert {(bar["rev"], bar["pair"]) for bar in drawn["rect"]} == {
        (rev, pair) for rev in ("old", "new") for pair in ("AH0 → SIL", "D → T")
    }


@pytest.mark.heavy
@pytest.mark.parametrize("phonemes", [ARPABET_STRESS, ARPABET_PLAIN, TIMIT])
def test_the_confusion_matrix_names_phonetic_classes_where_they_are(phonemes):
    table = confusion_table(np.ones((len(phonemes), len(phonemes)), int), phonemes)
    spec = at_each_revision({"HEAD": table}, "confusion_matrix", "predicted", "actual")
    drawn = shown(spec)
    ordered = [phonemes[label] for label in phonetic_order(phonemes)]
    classes = phonetic_classes(ordered)
    assert {cell["actual"]: cell["class"] for cell in drawn["rect"]} == dict(
        zip(ordered, classes, strict=True)
    )
    starts = [place for place, name in enumerate(classes) if name not in classes[:place]]
    assert [line["row"] for line in drawn["rule"]] == starts[1:]
    assert [text["text"] for text in drawn["text"]] == [classes[place] for place in starts]


@pytest.mark.heavy
def test_phonemes_of_no_known_inventory_have_no_classes():
    names = ("SIL", "T", "@", "AH0")
    table = confusion_table(np.ones((4, 4), int), names)
    spec = at_each_revision({"HEAD": table}, "confusion_matrix", "predicted", "actual")
    drawn = shown(spec)
    assert len(drawn["rect"]) == 16
    assert not drawn.get("text") and not drawn.get("rule")


@pytest.mark.parametrize("name", ["curves", "pair_bars", "phoneme_bars", "rate"])
def test_revisions_have_colours_that_everybody_can_tell_apart(name):
    template = (TEMPLATES / f"{name}.json").read_text("utf-8")
    found = [json.loads(each) for each in re.findall(r'"range": (\[[^\]]+\])', template)]
    assert found and all(each == found[0] for each in found)
    assert nearest(found[0][:3]) > 40
    assert nearest(found[0]) > 20


def fields(spec):
    """Return the names that a specification reads from its rows, and those it calculates."""
    text = json.dumps({key: value for key, value in spec.items() if key != "data"})
    read = set(re.findall(r'"field": "(\w+)"', text)) | set(re.findall(r"datum\.(\w+)", text))
    read |= set(re.findall(r"datum\['(\w+)'\]", text))
    looked_up = {
        name for found in re.findall(r'"fields": (\[[^\]]+\])', text) for name in json.loads(found)
    }
    return read, {*re.findall(r'"as": "(\w+)"', text), *looked_up, "value"}  # of a legend's label


@pytest.mark.parametrize("name", ["confusion_matrix", "pair_bars", "phoneme_bars", "rate"])
def test_a_template_reads_only_columns_that_its_table_has(name, counts):
    records, x, y = rows(name, counts)
    read, calculated = fields(filled(name, records, x, y))
    assert read - calculated <= {*records[0], "rev"}


@pytest.mark.parametrize("name", ["confusion_matrix", "pair_bars", "phoneme_bars", "rate"])
def test_dvc_fills_every_anchor_of_a_template(name, counts):
    records, x, y = rows(name, counts)
    spec = filled(name, records, x, y)
    assert "<DVC_METRIC" not in json.dumps(spec)
    assert len(spec["data"]["values"]) == 2 * len(records)


def test_dvc_fills_every_anchor_of_the_curves():
    columns = "epoch train_loss dev_loss train_accuracy dev_accuracy lr".split()
    history = [dict.fromkeys(columns, str(epoch)) for epoch in (1, 2, 3)]
    spec = filled("curves", history, "epoch", "lr")
    assert "<DVC_METRIC" not in json.dumps(spec)


def test_every_template_is_a_vega_lite_chart_with_data_title_and_both_axes():
    templates = sorted(TEMPLATES.glob("*.json"))
    assert [path.stem for path in templates] == [
        "confusion_matrix",
        "curves",
        "pair_bars",
        "phoneme_bars",
        "rate",
    ]
    for path in templates:
        text = path.read_text()
        assert json.loads(text)["$schema"].endswith("/vega-lite/v5.json")
        for anchor in ("DATA", "TITLE", "X", "Y", "X_LABEL", "Y_LABEL"):
            assert f"<DVC_METRIC_{anchor}>" in text


def test_the_page_of_a_71_phoneme_confusion_matrix_in_two_revisions_is_below_3_mb():
    table = confusion_table(np.full((71, 71), 10**5), ARPABET_STRESS)  # not one cell is empty
    records = table.astype(str).to_dict("records")
    spec = json.dumps(filled("confusion_matrix", records, "predicted", "actual"))
    assert len(spec) + (TEMPLATES / "offline.html").stat().st_size < 3_000_000


class Loads(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found += [(tag, *pair) for pair in attributes if pair[0] in {"src", "href"}]


def test_the_offline_page_loads_nothing():
    page = (TEMPLATES / "offline.html").read_text(encoding="utf8")
    assert Loads(page).found == []
    assert not any(load in page for load in ("@import", "cdn.", "//# sourceMappingURL="))


# Returns the texts that the page's own Vega draws of a specification.
TEXTS = """(async (spec) => {
  const svg = await new vega.View(vega.parse(vegaLite.compile(spec).spec)).toSVG();
  return [...svg.matchAll(/<text[^>]*>([^<]+)</g)].map((found) => found[1]);
})"""


@pytest.mark.heavy
@pytest.mark.skipif(not program(), reason="needs Chromium")
def test_the_axis_of_a_single_epoch_has_its_value_and_not_a_whole_number():
    columns = "epoch train_loss dev_loss train_accuracy dev_accuracy lr".split()
    history = [dict.fromkeys(columns, "1") | {"lr": "0.0015"}]
    spec = filled("curves", history, "epoch", "lr")
    with launched() as browser:
        page = browser.open(TEMPLATES / "offline.html")
        texts = page.evaluate(f"{TEXTS}({json.dumps(spec)})")
    assert "0.0015" in texts
    assert "0" not in texts


@pytest.mark.heavy
@pytest.mark.skipif(not program(), reason="needs Chromium")
def test_a_plot_without_data_says_how_to_make_them(tmp_path):
    page = tmp_path / "index.html"
    empty = VegaRenderer([], "Most confused pairs").generate_html()
    text = (TEMPLATES / "offline.html").read_text("utf-8").replace("{plot_divs}", empty)
    page.write_text(text, "utf-8")
    with launched() as browser:
        shown = browser.open(page).evaluate("document.querySelector('main').innerText")
    assert shown.strip() == "Most confused pairs: nothing here yet; dvc repro makes it"


def test_the_offline_page_carries_vega_and_its_notices():
    page = (TEMPLATES / "offline.html").read_text(encoding="utf8")
    for name in ("Vega 5.20.2", "Vega-Lite 5.2.0", "Vega-Embed 6.18.2"):
        assert f"<!-- {name} -->\n<script>\n" in page
    assert page.count("Redistributions in binary form must reproduce") >= 2
    assert "University of Washington Interactive Data Lab" in page


def test_dvc_can_fill_the_offline_page_and_leaves_its_own_scripts_out():
    page = (TEMPLATES / "offline.html").read_text(encoding="utf8")
    assert page.count("{plot_divs}") == 1
    assert "{scripts}" not in page  # DVC would put its scripts from the network there
