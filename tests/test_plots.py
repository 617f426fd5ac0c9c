"""Plots show every phoneme and every kind of mistake, however many frames were scored."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dvc_render.vega import VegaRenderer

from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, TIMIT
from phonemes.plots import (
    PLACES,
    confused_pairs_table,
    confusion_figure,
    confusion_table,
    phoneme_table,
    phonetic_order,
    save_png,
    shares_of_actual,
)
from phonemes.range_test import sweep

TEMPLATES = Path(__file__).parents[1] / ".dvc" / "plots"
NAMES = ("SIL", "T", "D", "AH0")


@pytest.fixture
def counts():
    """Frames of the phonemes NAMES; nobody said T."""
    return np.array([[90, 0, 0, 10], [0, 0, 0, 0], [5, 15, 60, 0], [20, 0, 1, 79]])


def random_counts(classes, frames):
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.ones(classes**2))
    return rng.multinomial(frames, shares).reshape(classes, classes)


def history_table(epochs):
    columns = "epoch train_loss dev_loss train_accuracy dev_accuracy lr".split()
    return [dict.fromkeys(columns, str(1 + epoch)) for epoch in range(epochs)]


def in_order(phonemes):
    return [phonemes[label] for label in phonetic_order(phonemes)]


# --- phonetic order ---


@pytest.mark.parametrize("inventory", [ARPABET_STRESS, ARPABET_PLAIN, TIMIT])
def test_every_phoneme_of_an_inventory_has_a_place(inventory):
    assert sorted(phonetic_order(inventory)) == list(range(len(inventory)))
    assert all(name.upper().rstrip("012") in PLACES for name in inventory)


def test_silence_and_noise_come_last_after_vowels_and_consonants():
    order = in_order(ARPABET_STRESS)
    assert order[:3] == ["IY0", "IY1", "IY2"]
    assert order[-2:] == ["SIL", "SPN"]
    assert order.index("OY2") < order.index("P") < order.index("S") < order.index("M")


def test_phonemes_that_sound_alike_are_neighbours():
    assert " ".join(in_order(ARPABET_PLAIN)).endswith("S Z SH ZH HH M N NG L R W Y SIL")
    assert in_order(("z", "sh", "ix", "s", "iy")) == ["iy", "ix", "s", "z", "sh"]


def test_unknown_names_keep_their_own_order_after_the_known_ones():
    assert in_order(("9", "T", "10", "2", "AA1")) == ["AA1", "T", "9", "10", "2"]


# --- tables ---


def test_shares_of_a_row_add_up_to_one_and_a_row_without_frames_is_zero(counts):
    assert shares_of_actual(counts).sum(axis=1) == pytest.approx([1, 0, 1, 1])


def test_the_confusion_table_holds_every_frame_and_the_whole_diagonal(counts):
    table = confusion_table(counts, NAMES)
    assert table["count"].sum() == counts.sum()
    assert set(table.query("actual == predicted")["actual"]) == set(NAMES)
    assert len(table) == len(NAMES) + 5


def test_a_cell_of_the_confusion_table_names_its_phonemes_and_its_share(counts):
    table = confusion_table(counts, NAMES)
    cell = table.query("actual == 'D' and predicted == 'T'").iloc[0]
    assert cell["count"] == 15
    assert cell["share"] == pytest.approx(15 / 80)
    assert in_order(NAMES)[cell["actual_order"]] == "D"
    assert in_order(NAMES)[cell["predicted_order"]] == "T"


def test_a_phoneme_without_frames_has_a_share_of_zero_and_not_nan(counts):
    table = confusion_table(counts, NAMES)
    assert table.query("actual == 'T'")[["count", "share"]].values.tolist() == [[0, 0]]


def test_the_confusion_table_is_no_larger_with_a_thousand_times_the_frames():
    sizes = [len(confusion_table(random_counts(71, 10**n), ARPABET_STRESS)) for n in (6, 9)]
    assert sizes[0] <= sizes[1] <= 71 * 71


def test_the_phoneme_table_keeps_the_order_of_the_labels():
    scores = np.array([0.5, np.nan, 1 / 3, 1])
    table = phoneme_table(NAMES, scores, scores, scores, np.arange(4))
    assert table.to_csv(index=False, lineterminator="\n").splitlines() == [
        "phoneme,precision,recall,f1,support",
        "SIL,0.5,0.5,0.5,0",
        "T,,,,1",  # no score, and no NaN that a plot would trip over
        "D,0.333333,0.333333,0.333333,2",
        "AH0,1.0,1.0,1.0,3",
    ]


def test_the_most_frequent_mistake_is_the_first_pair(counts):
    table = confused_pairs_table(counts, NAMES, pairs=3)
    assert table["pair"].tolist() == ["AH0 → SIL", "D → T", "SIL → AH0"]
    assert table["count"].tolist() == [20, 15, 10]
    assert table["share"].tolist() == [0.2, 0.1875, 0.1]


def test_pairs_are_mistakes_that_were_made(counts):
    assert len(confused_pairs_table(counts, NAMES, pairs=30)) == 5
    assert confused_pairs_table(np.diag([3, 2]), ("A", "B"), pairs=30).empty


def test_equally_frequent_pairs_are_in_the_order_of_their_labels():
    pairs = confused_pairs_table(np.ones((3, 3), dtype=np.int64), ("A", "B", "C"), pairs=4)["pair"]
    assert pairs.tolist() == ["A → B", "A → C", "B → A", "B → C"]


def test_tables_leave_the_counts_as_they_were(counts):
    before = counts.copy()
    confused_pairs_table(counts, NAMES, 3)
    confusion_table(counts, NAMES)
    assert np.array_equal(counts, before)


# --- picture ---


def test_the_picture_names_every_phoneme_on_all_four_sides():
    axes = confusion_figure(random_counts(71, 10**5), ARPABET_STRESS, "dev").axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == 2 * in_order(ARPABET_STRESS)


def test_names_in_the_picture_do_not_overlap():
    for classes in (71, 346):
        figure = confusion_figure(
            random_counts(classes, 10**5), tuple(map(str, range(classes))), ""
        )
        axes = figure.axes[0]
        row = axes.get_position().height * figure.get_figheight() * 72 / classes  # points
        assert axes.get_yticklabels()[0].get_fontsize() < row


@pytest.mark.parametrize("classes", [2, 71])
def test_the_picture_shows_each_share_in_its_cell(classes):
    counts = random_counts(classes, 10**4)
    shown = confusion_figure(counts, tuple(map(str, range(classes))), "").axes[0].images[0]
    np.testing.assert_allclose(shown.get_array(), shares_of_actual(counts))


def test_the_row_of_a_phoneme_without_frames_is_empty_and_its_name_grey(counts):
    axes = confusion_figure(counts, NAMES, "").axes[0]
    row = in_order(NAMES).index("T")
    assert axes.images[0].get_array()[row].tolist() == [0, 0, 0, 0]
    grey = {tick.get_text() for tick in axes.get_yticklabels() if tick.get_color() == "0.6"}
    assert grey == {"T"}


def test_the_picture_is_small_and_the_same_bytes_each_time(tmp_path):
    pictures = []
    for name in ("one.png", "two.png"):
        figure = confusion_figure(random_counts(71, 10**6), ARPABET_STRESS, "dev")
        save_png(figure, tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) < 600_000
    assert b"matplotlib" not in pictures[0].lower()


# --- DVC templates ---


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
    spec = filled("curves", history_table(epochs=3), "epoch", "lr")
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
