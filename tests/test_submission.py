"""A file of predictions passes as the pipeline writes it; what is wrong is named with its line."""

import tracemalloc

import numpy as np
import pytest

from phonemes.errors import InputError
from phonemes.storage.layout import Spelling
from phonemes.submission import FAIL, PASS, WARN, Expected, check_submission

HEADER = ("id", "label")
NAMES = ("[SIL]", "AA", "B")
GOOD = "id,label\n0,[SIL]\n1,AA\n2,[SIL]\n3,B\n"
FRAMES = np.array([50, 25, 25])


@pytest.fixture
def checked(tmp_path):
    """Return a function that checks a text, or bytes, for four test frames."""

    def check(content, as_text=True, rows=4, names=NAMES, header=HEADER):
        path = tmp_path / "predictions.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        expected = Expected(header, rows, Spelling(True, names), as_text, FRAMES)
        return {each.name: each[1:] for each in check_submission(path, expected)}

    return check


def failures(checks):
    return {name: detail for name, (result, detail) in checks.items() if result == FAIL}


def test_what_the_pipeline_writes_passes_every_check(checked):
    assert checked(GOOD) == {
        "encoding": (PASS, "UTF-8"),
        "line ends": (PASS, "line feeds"),
        "header": (PASS, "id,label"),
        "rows": (PASS, "4, one a test frame"),
        "ids": (PASS, "0 and on, in order"),
        "label type": (PASS, "phonemes"),
        "labels": (PASS, "3 of 3 occur"),
        "content": (PASS, "labels as in the training set, distance 0.00"),
    }


@pytest.mark.parametrize(
    "content",
    [
        GOOD.removesuffix("\n"),  # without an end of the last line
        'id,label\n0,"[SIL]"\n"1",AA\n2,[SIL]\n3,B\n',  # CSV may have quotes
    ],
)
def test_what_any_reader_of_csv_takes_passes(checked, content):
    assert {result for result, _ in checked(content).values()} == {PASS}


def test_the_header_is_that_of_the_edition(checked):
    assert failures(checked(GOOD.replace("id,label", "Id,Class"), header=("Id", "Class"))) == {}
    assert failures(checked(GOOD, header=("Id", "Class"))) == {
        "header": "line 1: 'id,label', expected Id,Class"
    }


def test_integers_pass_where_integers_are_asked_for(checked):
    checks = checked("id,label\n0,0\n1,1\n2,0\n3,2\n", as_text=False)
    assert failures(checks) == {}
    assert checks["label type"] == (PASS, "integers")


@pytest.mark.parametrize(
    ("content", "check", "detail"),
    [
        ("", "header", "line 1: the file is empty, expected id,label"),
        ("Id,Label\n" + GOOD[9:], "header", "line 1: 'Id,Label', expected id,label"),
        (GOOD[9:], "header", "line 1: '0,[SIL]', expected id,label"),
        (GOOD.replace("1,AA", "1,AA,0.9"), "header", "line 3: 3 columns, expected 2"),
        (GOOD.replace("1,AA", "1"), "header", "line 3: 1 column, expected 2"),
        (GOOD + "\n", "header", "line 6: 1 column, expected 2"),
        (GOOD + "4,B\n", "rows", "5 for 4 test frames: 1 too many"),
        (GOOD.removesuffix("3,B\n"), "rows", "3 for 4 test frames: 1 missing"),
        (GOOD.replace("1,AA\n2,[SIL]", "2,[SIL]\n1,AA"), "ids", "line 3: id '2', expected 1"),
        (GOOD.replace("1,", "0,"), "ids", "line 3: id '0', expected 1"),
        (GOOD.replace("1,", "1.0,"), "ids", "line 3: id '1.0', expected 1"),
        (
            GOOD.replace("AA", "1"),
            "label type",
            "line 3: label '1', expected a phoneme; set predict.label to what the course asks for",
        ),
        (GOOD.replace(",AA", ",aa"), "labels", "line 3: unknown label 'aa', expected AA"),
        (GOOD.replace(",AA", ", AA"), "labels", "line 3: unknown label ' AA', expected AA"),
        (
            GOOD.replace("0,[SIL]", "0,SIL"),
            "labels",
            "line 2: unknown label 'SIL', expected [SIL]",
        ),
        (GOOD.replace("AA", "AX"), "labels", "line 3: unknown label 'AX'; did you mean AA?"),
        (
            GOOD.replace("AA", "tensor(1)"),
            "labels",
            "line 3: unknown label 'tensor(1)'",
        ),
        (
            b"\xef\xbb\xbf" + GOOD.encode(),
            "encoding",
            "line 1: a byte order mark; save the file as UTF-8 without it",
        ),
        (
            GOOD.encode("utf-16"),
            "encoding",
            "line 1: a zero byte, as of UTF-16; save the file as UTF-8",
        ),
        (
            GOOD.replace("\n", "\r"),
            "line ends",
            "line 1: a carriage return alone; save it with line feeds",
        ),
    ],
)
def test_the_first_wrong_line_is_named_with_what_was_expected(checked, content, check, detail):
    assert failures(checked(content))[check] == detail


def test_only_the_check_that_is_at_fault_fails(checked):
    assert failures(checked(GOOD.replace("AA", "AB"))).keys() == {"labels"}
    assert failures(checked(GOOD.replace("1,", "7,"))).keys() == {"ids"}
    assert failures(checked(GOOD.replace("AA", "1"))).keys() == {"label type"}


def test_bytes_that_are_no_utf_8_are_named(checked):
    failed = failures(checked(GOOD.encode().replace(b"AA", b"\xc4")))
    assert failed["encoding"] == "line 3: no UTF-8; save the file as UTF-8"


def test_the_first_of_several_problems_counts(checked):
    assert failures(checked("id,label\n5,X\n6,Y\n7,B\n8,B\n")) == {
        "ids": "line 2: id '5', expected 0",
        "labels": "line 2: unknown label 'X'",
    }


def test_line_ends_of_windows_are_a_warning(checked):
    checks = checked(GOOD.replace("\n", "\r\n"))
    assert checks.pop("line ends") == (WARN, "those of Windows, which some refuse")
    assert {result for result, _ in checks.values()} == {PASS}


def test_one_label_for_all_rows_is_a_warning(checked):
    checks = checked("id,label\n" + "".join(f"{row},AA\n" for row in range(4)))
    assert checks["content"] == (WARN, "every label is AA; look at metrics/history.csv")
    assert failures(checks) == {}


def test_labels_far_from_those_of_the_training_set_are_a_warning(checked):
    checks = checked("id,label\n0,B\n1,AA\n2,B\n3,B\n")  # 0, 1/4 and 3/4 for 1/2, 1/4 and 1/4
    assert checks["content"] == (
        WARN,
        "labels unlike the training set's, distance 0.50; above all [SIL], 0.0 % here and 50.0 % "
        "there; look at the scores of dev",
    )
    near = checked("id,label\n0,B\n1,AA\n2,[SIL]\n3,B\n")  # 1/4, 1/4, 1/2
    assert near["content"] == (PASS, "labels as in the training set, distance 0.25")


def test_an_integer_is_shown_with_its_phoneme(checked):
    rows = "".join(f"{row},2\n" for row in range(4))
    content = checked("id,label\n" + rows, as_text=False)["content"]
    assert content[1].startswith("every label is 2 (B);")


def test_a_missing_file_is_named(tmp_path):
    expected = Expected(HEADER, 4, Spelling(True, NAMES), True, FRAMES)
    with pytest.raises(InputError, match=r"p.csv is missing; run `dvc repro predict` to make it"):
        check_submission(tmp_path / "p.csv", expected)
    with pytest.raises(InputError, match="cannot read"):
        check_submission(tmp_path, expected)


@pytest.mark.parametrize("line", [b"x" * 10_000_000, b"1,X\n" * 100_000, b"1,AA\n" * 100_000])
def test_a_large_file_needs_little_memory(checked, tmp_path, line):
    path = tmp_path / "predictions.csv"
    path.write_bytes(b"id,label\n" + line)
    expected = Expected(HEADER, 4, Spelling(True, NAMES), True, FRAMES)
    del line
    tracemalloc.start()
    try:
        assert failures({each.name: each[1:] for each in check_submission(path, expected)})
        assert tracemalloc.get_traced_memory()[1] < 200_000  # bytes
    finally:
        tracemalloc.stop()


def test_a_long_line_is_named_and_what_is_shown_is_cut(checked):
    failed = failures(checked(GOOD.replace("AA", "A" * 2_000)))
    assert failed["header"] == "line 3: more than 1,000 characters"
    failed = failures(checked(GOOD.replace("AA", "X" * 900)))
    assert failed["labels"] == f"line 3: unknown label '{'X' * 40}'..."
