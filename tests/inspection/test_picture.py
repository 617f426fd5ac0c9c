"""A picture shows every frame of an utterance and each run of labels where it is spoken."""

import matplotlib.image
import numpy as np
import pytest
from inspection.speech import PHONEMES, STRIDE, speech

from phonemes.features.log_mel import FeatureParams, band_corners
from phonemes.inspection.labels import runs
from phonemes.inspection.picture import utterance_figure
from phonemes.pictures import save_png

FEATURES = FeatureParams(16_000, 25.0, 10.0, 40, 20.0, 8000.0, 512, 1e-6, "stride")


def drawn(frames, labels, features=None, stride=STRIDE):
    return utterance_figure(frames, labels, PHONEMES, stride, features, "train a $x$")


def images(figure):
    """Return the axes with frames, in the order of time."""
    named = [axes for axes in figure.axes if axes.get_ylabel() in ("coefficient", "Hz")]
    found = [axes for axes in named if axes.images]
    return sorted(found, key=lambda axes: axes.get_xlim())


def strips(figure):
    return [axes for axes in figure.axes if axes.patches and axes.texts]


def test_every_frame_is_drawn_once_in_order():
    frames, labels = speech(0, phones=150)
    figure = drawn(frames, labels)
    shown = [axes.images[0].get_array().T for axes in images(figure)]
    assert len(shown) == -(-len(frames) // 500)
    assert np.array_equal(np.concatenate(shown), frames)
    assert max(map(len, shown)) - min(map(len, shown)) < len(shown)  # rows are balanced
    assert [axes.get_xlim() for axes in images(figure)][-1][1] == pytest.approx(len(frames) / 100)


def test_phonemes_stand_below_the_frames_that_they_label():
    frames, labels = speech(0)
    (strip,) = strips(drawn(frames, labels))
    (image,) = images(drawn(frames, labels))
    assert strip.get_xlim() == image.get_xlim()
    left, right = (axes.get_position() for axes in (strip, image))
    assert (left.x0, left.width) == (right.x0, right.width)
    found = runs(labels)
    assert [text.get_text() for text in strip.texts] == [PHONEMES[each] for each in found.labels]
    edges = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in strip.patches]
    ends = (found.starts + found.lengths) / 100
    assert np.array(edges) == pytest.approx(np.stack([found.starts / 100, ends], 1))
    assert [text.get_position()[0] for text in strip.texts] == pytest.approx(
        (found.starts / 100 + ends) / 2
    )


def test_a_run_that_reaches_into_the_next_row_is_named_in_both():
    frames, labels = speech(0, phones=100)
    labels[:] = 2
    figure = drawn(frames, labels)
    assert [text.get_text() for strip in strips(figure) for text in strip.texts] == ["AA1"] * len(
        images(figure)
    )


def test_a_run_too_narrow_for_its_name_has_none():
    frames, labels = speech(0)
    labels[:] = 0
    labels[50] = 3
    (strip,) = strips(drawn(frames, labels))
    assert [text.get_text() for text in strip.texts] == ["SIL", "SIL"]
    assert len(strip.patches) == 3


def test_frames_without_labels_have_no_phonemes():
    figure = drawn(speech(0)[0], None)
    assert strips(figure) == []
    assert len(images(figure)) == 1


def test_bands_are_named_by_their_frequencies_where_they_are_known():
    frames = np.random.default_rng(0).normal(size=(100, 40)).astype(np.float32)
    (axes,) = images(drawn(frames, None, FEATURES))
    assert axes.get_ylabel() == "Hz"
    names = [int(text.get_text().replace(",", "")) for text in axes.get_yticklabels()]
    assert names == [250, 500, 1000, 2000, 4000]
    centres = band_corners(FEATURES)[1:-1]
    for place, hertz in zip(axes.get_yticks(), names, strict=True):
        below, above = int(np.floor(place)), int(np.ceil(place))
        assert centres[below] <= hertz <= centres[above]
    assert images(drawn(frames, None))[0].get_ylabel() == "coefficient"


def test_a_long_utterance_is_cut_and_says_so():
    frames = np.zeros((7000, 4), np.float32)
    figure = drawn(frames, np.zeros(7000, np.int16))
    assert sum(axes.images[0].get_array().shape[1] for axes in images(figure)) == 6000
    assert figure.texts[0].get_text() == "train a $x$, the first 60 s"


@pytest.mark.parametrize("length", [1, 2, 499, 500, 501])
def test_any_length_is_drawn(length, tmp_path):
    frames, labels = np.zeros((length, 4), np.float32), np.zeros(length, np.int16)
    save_png(drawn(frames, labels), tmp_path / "a.png")
    assert matplotlib.image.imread(tmp_path / "a.png").shape[1] > 300


def test_the_same_utterance_gives_the_same_bytes(tmp_path, monkeypatch):
    frames, labels = speech(0)
    save_png(drawn(frames, labels), tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30, "image.origin": "upper"}):
        save_png(drawn(frames, labels), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
