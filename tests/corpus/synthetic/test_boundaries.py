"""Phones start where a phonetician would put them, and not where the synthesizer reports them."""

import numpy as np
import pytest

from phonemes.corpus.synthetic.boundaries import correct_boundaries
from phonemes.corpus.synthetic.espeak import Speech

RATE = 22_050


def tone(seconds: float, amplitude: float, hertz: float = 2000) -> np.ndarray:
    times = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def corrected(phones: str, starts: list[float], *tones: np.ndarray) -> list[float]:
    samples = np.concatenate(tones)
    speech = Speech(samples, RATE, tuple(phones.split()), (np.array(starts) * RATE).astype(int))
    return (correct_boundaries(speech).starts / RATE).tolist()


def test_a_closure_belongs_to_its_stop():
    starts = corrected("AA1 T", [0, 0.27], tone(0.2, 1), tone(0.07, 0), tone(0.1, 0.5))
    assert starts == pytest.approx([0, 0.2], abs=1e-3)


def test_a_pause_before_a_stop_keeps_most_of_its_time():
    starts = corrected("SIL T", [0, 0.3], tone(0.3, 0), tone(0.1, 1))
    assert starts == pytest.approx([0, 0.28], abs=1e-3)


def test_a_liquid_takes_its_time_from_the_vowel_before():
    starts = corrected("AA1 R T", [0, 0.2, 0.2], tone(0.3, 1))
    assert starts == pytest.approx([0, 0.12, 0.2], abs=1e-3)


def test_a_vowel_after_a_nasal_starts_where_its_energy_does():
    starts = corrected("N AA1", [0, 0.13], tone(0.1, 0.2, hertz=200), tone(0.2, 1))
    assert starts == pytest.approx([0, 0.1], abs=4e-3)


def test_a_vowel_after_a_glide_starts_within_the_transition():
    starts = corrected("W AA1", [0, 0.06], tone(0.3, 1))
    assert starts == pytest.approx([0, 0.045], abs=1e-3)


def test_a_phone_without_a_rule_stays_where_it_was_reported():
    assert corrected("AA1 S SIL", [0, 0.1, 0.2], tone(0.3, 1)) == pytest.approx([0, 0.1, 0.2])
