"""The picture of a confusion matrix names every phoneme and shows every share, for every user."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from helpers import ROOT
from matplotlib import font_manager, style
from matplotlib.text import Text
from scoring.confusions import NAMES, in_order, random_counts

from phonemes.inventory import ARPABET_STRESS
from phonemes.scoring.figures import confusion_figure, save_png
from phonemes.scoring.tables import shares_of_actual

# of a user's matplotlibrc
SETTINGS = [
    {"savefig.dpi": 30, "figure.dpi": 30},
    {"text.usetex": True},
    {"font.family": "serif", "font.size": 30, "text.color": "red", "axes.facecolor": "black"},
    {"savefig.bbox": "tight", "savefig.transparent": True, "savefig.pad_inches": 3},
    {"image.origin": "lower", "image.aspect": "auto", "image.cmap": "jet", "axes.grid": True},
    {"path.sketch": (1, 100, 2), "text.hinting": "none", "figure.constrained_layout.use": True},
]


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


def png(counts, folder, names=NAMES):
    path = folder / "confusion.png"
    save_png(confusion_figure(counts, names, "dev"), path)
    return path.read_bytes()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_picture_is_the_same_whatever_the_users_settings(counts, tmp_path, settings):
    expected = png(counts, tmp_path)
    with matplotlib.rc_context(settings):
        before = dict(matplotlib.rcParams)
        assert png(counts, tmp_path) == expected
        assert dict(matplotlib.rcParams) == before


def test_the_picture_is_the_same_in_every_style(counts, tmp_path):
    expected = png(counts, tmp_path)
    for name in ("dark_background", "ggplot", "fivethirtyeight"):
        with style.context(name):
            assert png(counts, tmp_path) == expected


def test_every_text_is_in_the_font_that_comes_with_matplotlib(counts):
    for text in confusion_figure(counts, NAMES, "dev").findobj(Text):
        font = Path(font_manager.findfont(text.get_fontproperties()))
        assert font == Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")


def test_a_phonemes_name_is_no_formula(counts, tmp_path):
    assert png(counts, tmp_path, ("SIL", r"$\frac$", "$T", "a_0^"))  # is not parsed


@pytest.mark.heavy
@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_the_backend_of_a_notebook_that_starts_the_stage_does_not_matter(backend):
    command = [sys.executable, "-c", "import phonemes.scoring.figures"]
    environment = os.environ | {"MPLBACKEND": backend}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
