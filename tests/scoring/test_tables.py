"""Tables show every phoneme and every kind of mistake, however many frames were scored."""

import numpy as np
import pytest
from scoring.confusions import NAMES, in_order, random_counts

from phonemes.inventory import ARPABET_STRESS
from phonemes.scoring.scores import Interval, independent_units
from phonemes.scoring.tables import (
    confused_pairs_table,
    confusion_counts,
    confusion_table,
    phoneme_table,
    score_table,
    shares_of_actual,
)


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


def test_a_phoneme_without_frames_has_no_share_and_one_that_is_never_found_a_share_of_zero(counts):
    counts[2, 2] = 0
    lines = confusion_table(counts, NAMES).to_csv(index=False, lineterminator="\n").split()
    assert "T,T,1,1,0," in lines
    assert "D,D,2,2,0,0.0" in lines


def test_the_confusion_table_is_no_larger_with_a_thousand_times_the_frames():
    sizes = [len(confusion_table(random_counts(71, 10**n), ARPABET_STRESS)) for n in (6, 9)]
    assert sizes[0] <= sizes[1] <= 71 * 71


def test_counts_of_confusions_are_those_of_a_plain_loop():
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 300).astype(np.int16)
    predicted = random.integers(0, 5, 300)
    expected = np.zeros((71, 71), int)
    for label, other in zip(labels, predicted, strict=True):
        expected[label, other] += 1
    np.testing.assert_array_equal(confusion_counts(labels, predicted, 71), expected)


def test_no_count_overflows_the_labels_small_type():
    labels = np.full(100_000, 345, np.int16)
    counts = confusion_counts(labels, labels, 346)
    assert counts[345, 345] == counts.sum() == 100_000


def test_scores_by_phoneme_are_those_of_their_definitions():
    counts = random_counts(71, 10**5)
    table = phoneme_table(counts, ARPABET_STRESS)
    assert table["phoneme"].tolist() == list(ARPABET_STRESS)
    for label, row in table.iterrows():
        hits, support, claimed = counts[label, label], counts[label].sum(), counts[:, label].sum()
        assert row["support"] == support
        expected = [hits / claimed, hits / support, 2 * hits / (claimed + support)]
        assert row[["precision", "recall", "f1"]].tolist() == pytest.approx(expected, abs=1e-6)


def test_an_absent_phoneme_and_one_that_is_never_found_look_different():
    #           never predicted  absent, predicted  absent  never found, predicted
    names = ("SIL", "B", "D", "T", "K")
    counts = np.zeros((5, 5), int)
    counts[0] = [3, 0, 1, 0, 0]
    counts[1] = [2, 0, 0, 0, 0]
    counts[4] = [1, 0, 0, 0, 1]
    counts[4, 4], counts[1, 4] = 0, 1
    table = phoneme_table(counts, names)
    assert table.to_csv(index=False, lineterminator="\n").splitlines() == [
        "phoneme,precision,recall,f1,support",
        "SIL,0.5,0.75,0.6,4",
        "B,,0.0,0.0,3",  # never predicted, and so never found
        "D,0.0,,,0",  # absent, and predicted once
        "T,,,,0",  # absent
        "K,0.0,0.0,0.0,1",  # never found, and predicted once
    ]


def test_scores_are_listed_with_what_their_intervals_count():
    scores = {"accuracy": Interval(0.123456, 0.05, 0.2), "macro_f1": Interval(0.5, np.nan, np.nan)}
    table = score_table(scores, independent_units(["a", "b", "a"]))
    assert table.to_csv(index=False, lineterminator="\n").splitlines() == [
        "score,value,low,high,unit,units",
        "accuracy,0.1235,0.05,0.2,speakers,2",
        "macro_f1,0.5,,,speakers,2",
    ]


def test_the_most_frequent_mistake_is_the_first_pair(counts):
    table = confused_pairs_table(counts, NAMES, pairs=3)
    assert table["pair"].tolist()[:3] == ["AH0 → SIL", "D → T", "SIL → AH0"]
    assert table["count"].tolist()[:3] == [20, 15, 10]
    assert table["share"].tolist()[:3] == [0.2, 0.1875, 0.1]


def test_all_pairs_are_listed_and_the_most_frequent_marked(counts):
    table = confused_pairs_table(counts, NAMES, pairs=3)
    assert table["top"].tolist() == [1, 1, 1, 0, 0]
    mistakes = counts - np.diag(np.diag(counts))
    assert table["count"].sum() == mistakes.sum()


def test_pairs_are_mistakes_that_were_made(counts):
    assert len(confused_pairs_table(counts, NAMES, pairs=30)) == 5
    assert confused_pairs_table(np.diag([3, 2]), ("A", "B"), pairs=30).empty


def test_equally_frequent_pairs_are_in_the_order_of_their_labels():
    pairs = confused_pairs_table(np.ones((3, 3), dtype=np.int64), ("A", "B", "C"), pairs=4)["pair"]
    assert pairs.tolist() == ["A → B", "A → C", "B → A", "B → C", "C → A", "C → B"]


def test_tables_leave_the_counts_as_they_were(counts):
    before = counts.copy()
    confused_pairs_table(counts, NAMES, 3)
    confusion_table(counts, NAMES)
    assert np.array_equal(counts, before)
