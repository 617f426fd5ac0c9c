"""The stretch that fits a text worst is found, whether words lack in the text or are too many."""

import numpy as np
import pytest
from alignment.toys import STRIDE, acoustics, speech

from phonemes.alignment.fit import PHONEMES, log_ratios, worst_stretches


def ratios_of(aligned, spoken):
    found = acoustics()
    scores = found.scores(found.log_posteriors(speech(*spoken)))
    labels = np.repeat([found.labels[name] for name, _ in aligned], [n for _, n in aligned])
    return log_ratios(scores, labels, found.durations)


def test_frames_of_what_was_said_have_a_ratio_of_one():
    said = [("SIL", 5), ("K", 6), ("AE1", 8), ("T", 5)]
    np.testing.assert_allclose(ratios_of(said, said), 0, atol=1e-6)


def test_frames_of_something_else_have_a_low_ratio():
    ratios = ratios_of([("K", 6), ("IY1", 8), ("T", 5)], [("K", 6), ("AE1", 8), ("T", 5)])
    # of 71 phonemes 3 are IY and 3 AE
    expected = np.log(3 * 0.1 / 70) - np.log(0.9 + 2 * 0.1 / 70)
    np.testing.assert_allclose(ratios, [0] * 6 + [expected] * 8 + [0] * 5, atol=1e-5)


def test_the_worst_stretch_of_time_is_found():
    ratios = np.zeros(900, np.float32)
    ratios[400:700] = -2
    stretch, _ = worst_stretches(ratios, [(0, 900)], STRIDE)
    assert (stretch.begin, stretch.end) == (400, 700)
    assert stretch.fit == pytest.approx(-2)


def test_phonemes_count_alike_however_short_they_are():
    ratios = np.zeros(1000, np.float32)
    spans = [(time, time + 20) for time in range(0, 500, 20)]  # 25 long ones, said
    spans += [(time, time + 1) for time in range(500, 520)]  # 20 of a frame, not said
    spans += [(time, time + 20) for time in range(520, 1000, 20)]
    ratios[500:520] = -6
    stretch, run = worst_stretches(ratios, spans, STRIDE)
    assert (run.begin, run.end) == (500, 520)
    assert run.fit == pytest.approx(-6)
    assert stretch.fit == pytest.approx(-6 * 20 / 300)


def test_of_a_short_recording_all_counts():
    ratios = np.array([0, -1, -2, -3], np.float32)
    stretch, run = worst_stretches(ratios, [(0, 1), (2, 4)], STRIDE)
    assert stretch[:3] == (0, 4, pytest.approx(-1.5))
    assert run[:3] == (0, 4, pytest.approx(-1.25))
    assert len(ratios) < PHONEMES
