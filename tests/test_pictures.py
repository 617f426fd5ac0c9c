"""A picture is the project's: the same bytes at any time, for every user."""

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phonemes.pictures import FONT, STYLE, save_png

SETTINGS = [
    {"savefig.dpi": 30, "savefig.bbox": "tight", "savefig.transparent": True},
    {"text.usetex": True, "path.sketch": (1, 100, 2)},
]


def png(path):
    """Write a picture and return its bytes."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1, 1), dpi=50)
        FigureCanvasAgg(figure)
        figure.add_axes((0, 0, 1, 1)).text(0.5, 0.5, r"$\frac$")  # a name, and no formula
    save_png(figure, path)
    return path.read_bytes()


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_picture_is_the_same_bytes_whatever_the_users_settings(tmp_path, settings):
    expected = png(tmp_path / "one.png")
    assert b"matplotlib" not in expected.lower()
    with matplotlib.rc_context(settings):
        before = dict(matplotlib.rcParams)
        assert png(tmp_path / "two.png") == expected
        assert dict(matplotlib.rcParams) == before


def test_the_font_comes_with_matplotlib():
    assert FONT.is_file()
