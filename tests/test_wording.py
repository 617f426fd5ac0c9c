"""Counts, measured numbers and tables are written in one way."""

import pytest

from phonemes.wording import aligned, counted, rounded


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 speakers"), (1, "1 speaker"), (1234, "1,234 speakers")],
)
def test_a_count_has_separators_and_the_form_of_its_noun(number, text):
    assert counted(number, "speaker") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.4, "1"), (38.26, "38"), (3870.2, "3,870"), (228_080, "228,000"), (4_009_402, "4,010,000")],
)
def test_a_measured_number_has_three_digits(number, text):
    assert rounded(number) == text


def test_cells_of_a_table_stand_below_each_other():
    rows = [("", "frames", "labels"), ("train", "1,000", "yes"), ("dev", "20", "none")]
    assert aligned(rows).splitlines() == [
        "       frames  labels",
        "train   1,000  yes",
        "dev        20  none",
    ]
