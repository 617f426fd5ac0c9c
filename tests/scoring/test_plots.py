"""DVC fills the templates of the plots with the tables that stages write, offline too."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from dvc_render.vega import VegaRenderer
from helpers import ROOT

from phonemes.inventory import ARPABET_STRESS
from phonemes.scoring.tables import confused_pairs_table, confusion_table, phoneme_table
from phonemes.training.range_test import sweep

TEMPLATES = ROOT / ".dvc/plots"
NAMES = ("SIL", "T", "D", "AH0")


@pytest.fixture
def counts():
    """Return frames by actual and predicted phoneme of NAMES; T never occurs."""
    return np.array([[90, 0, 0, 10], [0, 0, 0, 0], [5, 15, 60, 0], [20, 0, 1, 79]])


def rows(name, counts):
    """Return the rows that DVC would read from a template's CSV, values as text, and x and y."""
    scores = np.linspace(0, 1, len(NAMES))
    table, x, y = {
        "confusion_matrix": (confusion_table(counts, NAMES), "predicted", "actual"),
        "pair_bars": (confused_pairs_table(counts, NAMES, 30), "count", "pair"),
        "phoneme_bars": (
            phoneme_table(NAMES, scores, scores, scores, counts.sum(axis=1)),
            "phoneme",
            "f1",
        ),
        "rate": (pd.DataFrame(sweep([1e-3, 1e-2], [4.0, 3.0])), "lr", "smoothed"),
    }[name]
    return table.astype(str).to_dict("records"), x, y


def filled(name, records, x, y):
    """Return the Vega-Lite specification that DVC makes of a template."""
    records = [row | {"rev": rev} for rev in ("workspace", "HEAD") for row in records]
    renderer = VegaRenderer(records, name, template=name, template_dir=str(TEMPLATES), x=x, y=y)
    return renderer.get_filled_template()


def fields(spec):
    """Return the names that a specification reads from its rows, and those it calculates."""
    text = json.dumps({key: value for key, value in spec.items() if key != "data"})
    read = set(re.findall(r'"field": "(\w+)"', text)) | set(re.findall(r"datum\.(\w+)", text))
    read |= set(re.findall(r"datum\['(\w+)'\]", text))
    return read, set(re.findall(r'"as": "(\w+)"', text))


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
