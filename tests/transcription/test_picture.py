"""The picture of a recording shows frequencies, phonemes and words."""

from io import BytesIO

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes

from phonemes.inventory import ARPABET_STRESS
from phonemes.transcription.picture import png
from phonemes.transcription.segments import Segment, Track

BANDS = tuple(np.linspace(100, 4900, 40).tolist())
TRACK = Track(0.0, 0.01, np.zeros((300, 40), np.float32), np.zeros((300, 71)), ARPABET_STRESS)
PHONES = (Segment(0, 1, "SIL", 0.9), Segment(1, 2, "HH", 0.5), Segment(2, 3, "AY1", 0.5))


@pytest.fixture
def drawn(monkeypatch):
    """Return a function that draws tiers: their texts, the names of its axis, its height."""
    texts, ticks = [], []
    text, set_yticks = Axes.text, Axes.set_yticks

    def noted(self, x, y, word, **look):
        texts.append((word, x, y))
        return text(self, x, y, word, **look)

    def marked(self, places, names):
        ticks.append((places.tolist(), [*names]))
        return set_yticks(self, places, names)

    def draw(track, *tiers):
        texts.clear(), ticks.clear()
        monkeypatch.setattr(Axes, "text", noted)
        monkeypatch.setattr(Axes, "set_yticks", marked)
        image = matplotlib.image.imread(BytesIO(png(tiers, 3.0, track)))
        return texts, ticks[0], len(image)

    return draw


def test_words_stand_below_their_phonemes(drawn):
    plain, _, height = drawn(TRACK, PHONES, ())
    assert [(word, x) for word, x, _ in plain] == [("SIL", 0.5), ("HH", 1.5), ("AY1", 2.5)]
    words = (Segment(1, 3, "hi", 0.5),)
    both, _, higher = drawn(TRACK, PHONES, words)
    (word, x, y) = both[-1]
    assert (word, x) == ("hi", 2.0)
    assert y < min(place for _, _, place in both[:-1]) and higher > height


def test_the_axis_names_frequencies_where_they_are(drawn):
    _, (places, names), _ = drawn(TRACK._replace(bands=BANDS), PHONES)
    assert names == ["500", "1,000", "2,000", "4,000"]
    expected = [(np.interp(hertz, BANDS, range(40)) + 0.5) / 40 for hertz in (500, 4000)]
    assert [places[0], places[-1]] == pytest.approx(expected)


def test_bands_of_unknown_frequencies_are_not_named(drawn):
    assert drawn(TRACK, PHONES)[1] == ([], [])
