"""Runs of labels, which of them are speech, and which last longer than anybody speaks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.inspection import labels as module
from phonemes.inspection.labels import kinds, label_counts, label_facts, runs

PHONEMES = ("SIL", "SPN", "AA1", "T", "S")
SIL, SPN, AA1, T, S = range(5)


def labelled(*runs):
    """Return labels, (T,), of (label, frames) pairs."""
    return np.concatenate([np.full(count, label, np.int16) for label, count in runs])


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_runs_repeat_to_the_labels_and_neighbours_differ(values):
    labels = np.array(values, np.int16)
    found = runs(labels)
    assert np.repeat(found.labels, found.lengths).tolist() == values
    assert (found.labels[1:] != found.labels[:-1]).all()
    assert found.starts.tolist() == (np.cumsum(found.lengths) - found.lengths).tolist()


def test_silence_is_known_by_its_names():
    names = ("[SIL]", "sil", "h#", "pau", "SPN", "AA", "bcl")
    assert kinds(names, 10).silent.tolist() == [True] * 4 + [False] * 3
    assert kinds(names, 10).spoken.tolist() == [False] * 5 + [True] * 2


def test_stops_are_held_for_half_a_second_others_for_one_and_pauses_for_three():
    assert kinds(PHONEMES, 10).longest[[SIL, AA1, T, S]].tolist() == [300, 100, 50, 100]
    assert kinds(PHONEMES, 20).longest[[SIL, AA1, T, S]].tolist() == [150, 50, 25, 50]
    assert kinds(PHONEMES, 10).longest[SPN] > 10**6  # of any length


def test_where_no_name_is_a_silence_any_label_may_be_a_pause():
    found = kinds(("0", "1"), 10)
    assert found.longest.tolist() == [300, 300]
    assert found.spoken.all()


def test_the_facts_of_an_utterance():
    labels = labelled((SIL, 20), (AA1, 10), (T, 60), (AA1, 30), (SIL, 200))
    facts = label_facts(labels, kinds(PHONEMES, 10))
    assert facts.distinct == 3
    assert facts.first == SIL
    assert (facts.spoken_runs, facts.spoken_frames, facts.median_run) == (3, 100, 30)
    assert facts.excess == pytest.approx(60 / 50)
    assert (facts.excess_label, facts.excess_start, facts.excess_frames) == (T, 30, 60)


def test_an_utterance_of_silence_has_no_phonemes():
    facts = label_facts(labelled((SIL, 5)), kinds(PHONEMES, 10))
    assert (facts.distinct, facts.spoken_runs, facts.spoken_frames) == (1, 0, 0)
    assert np.isnan(facts.median_run)


def test_counts_are_those_of_all_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 3)
    labels = labelled((SIL, 4), (T, 3), (AA1, 1))
    assert label_counts(labels, 5).tolist() == [4, 0, 1, 3, 0]
