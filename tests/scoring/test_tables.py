"""Tables show every phoneme and every kind of mistake, however many frames were scored."""

import numpy as np
import pytest

from phonemes.inventory import ARPABET_STRESS, phonetic_order
from phonemes.scoring.tables import (
    confused_pairs_table,
    confusion_table,
    phoneme_table,
    shares_of_actual,
)

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


def test_shares_of_a_row_add_up_to_one_and_a_row_without_frames_is_zero(counts):
    assert shares_of_actual(counts).sum(axis=1) == pytest.approx([1, 0, 1, 1])


def test_the_confusion_table_holds_every_frame_and_all_of_the_diagonal(counts):
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
