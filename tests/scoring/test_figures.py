"""The picture of a confusion matrix names every phoneme and shows every share."""

import numpy as np
import pytest

from phonemes.inventory import ARPABET_STRESS, phonetic_order
from phonemes.scoring.figures import confusion_figure, save_png
from phonemes.scoring.tables import shares_of_actual

NAMES = ("SIL", "T", "D", "AH0")


@pytest.fixture
def counts():
    """Return frames by actual and predicted phoneme of NAMES; T never occurs."""
    return np.array([[90, 0, 0, 10], [0, 0, 0, 0], [5, 15, 60, 0], [20, 0, 1, 79]])


def random_counts(classes, frames):
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.ones(classes**2))
    return rng.multinomial(frames, shares).reshape(classes, classes)


def in_order(phonemes):
    return [phonemes[label] for label in phonetic_order(phonemes)]


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
