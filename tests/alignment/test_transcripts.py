"""The text of a recording is found next to it."""

import pytest

from phonemes.alignment.transcripts import Text, read_text, text_of
from phonemes.errors import InputError


@pytest.mark.parametrize("suffix", [".txt", ".lab", ".TXT"])
def test_a_text_has_the_name_of_its_recording(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_text("the cat\n")
    (tmp_path / "b.txt").write_text("the dog")
    assert text_of(tmp_path / "a.wav") == Text("the cat\n", tmp_path / f"a{suffix}")


def test_a_recording_without_text_has_none(tmp_path):
    (tmp_path / "ab.txt").write_text("x")
    (tmp_path / "1-2.trans.txt").write_text("1-2-0001 X\n")
    assert text_of(tmp_path / "a.wav") is None


def test_librispeech_has_the_texts_of_a_chapter_in_one_file(tmp_path):
    path = tmp_path / "84-121123.trans.txt"
    path.write_text("84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT IN LESS\n")
    assert text_of(tmp_path / "84-121123-0001.flac") == Text("BUT IN LESS", path, 2)
    assert text_of(tmp_path / "84-121123-0000.flac").where == f"{path}, line 1"


def test_a_recording_of_two_lines_is_refused(tmp_path):
    (tmp_path / "1-2.trans.txt").write_text("a X\na Y\n")
    with pytest.raises(InputError, match=r"1-2\.trans\.txt, line 2: a has another text above"):
        text_of(tmp_path / "a.wav")


@pytest.mark.parametrize("text", ["#\n0.5 100 sil\n", "0 1000 k\n1000 3000 ae\n", "0.1 0.25 pau"])
def test_a_lab_with_times_is_no_text(tmp_path, text):
    (tmp_path / "a.lab").write_text(text)
    with pytest.raises(InputError, match=r"a\.lab holds times: it is an alignment, not a text"):
        text_of(tmp_path / "a.wav")


def test_a_lab_with_numbers_is_a_text(tmp_path):
    (tmp_path / "a.lab").write_text("10 20 cats and 30 dogs")
    assert text_of(tmp_path / "a.wav").text.startswith("10 20 cats")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be"])
def test_a_text_may_begin_with_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("\ufeffcaf\xe9\r\n".encode(encoding.removesuffix("-sig")))
    assert read_text(tmp_path / "a.txt").text.strip() == "caf\xe9"


def test_a_text_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"cannot read the text .*a\.txt: .*; save it as UTF-8"):
        read_text(tmp_path / "a.txt")
