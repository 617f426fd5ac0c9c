"""Labels are indices or phonemes; the phonemes come from a list or from the labels themselves."""

import numpy as np
import pytest
from helpers import ragged

from phonemes.corpus.arrays.labels import guess_phonemes, label_indices, read_phoneme_list
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, VOWELS, default_inventory

KINDS = pytest.mark.parametrize("kind", ["U", "S", "O"])  # text, bytes and objects


def indices(names, kind="U"):
    return label_indices(np.array(names, kind), ARPABET_STRESS, "a.npy").tolist()


# Indices


@KINDS
@pytest.mark.parametrize("marks", [("<sos>", "<eos>"), ("[SOS]", "[EOS]"), ()])
def test_phonemes_become_indices_without_their_sentence_marks(marks, kind):
    names = [*marks[:1], "AA1", "[SIL]", "SIL", "AA1", *marks[1:]]
    assert indices(names, kind) == [3, 0, 0, 3]


def test_what_is_no_text_is_left_to_the_checks_of_the_corpus():
    for labels in (np.array([3, 0]), ragged(["AA1", np.zeros(2)]), np.array([["AA1"]])):
        assert label_indices(labels, ARPABET_STRESS, "a.npy") is labels


@KINDS
def test_an_unknown_phoneme_is_named_with_its_frame_and_the_nearest(kind):
    message = r"a\.npy, frame 2: unknown phoneme 'sil'; did you mean SIL\?"
    with pytest.raises(InputError, match=message):
        indices(["<sos>", "AA0", "SIL", "sil", "<eos>"], kind)


@pytest.mark.parametrize("names", [["<sos>", "B", "B"], ["B", "B", "<sos>"]])
def test_one_sentence_mark_without_the_other_is_refused(names):
    message = f"a.npy: begins with '{names[0]}' and ends with '{names[-1]}'; .*add it or remove <so"
    with pytest.raises(InputError, match=message):
        indices(names)


# Which phonemes there are


@pytest.mark.parametrize(
    ("largest", "classes"), [(0, 40), (39, 40), (40, 71), (70, 71), (71, 138), (138, 346)]
)
def test_indices_name_the_smallest_edition_that_has_them(tmp_path, largest, classes):
    labels = [np.array([0]), np.array([1, largest], np.uint16)]
    assert guess_phonemes(labels, tmp_path) == default_inventory(classes)


@pytest.mark.parametrize(
    ("names", "phonemes"),
    [
        (["SIL", "AA", "B"], ARPABET_PLAIN),
        (["SIL", "B", "AA1"], ARPABET_STRESS),
        (["SIL", "SPN"], ARPABET_STRESS),
        (["SIL", "B"], ARPABET_PLAIN),
    ],
)
def test_phonemes_name_the_inventory_that_has_them(tmp_path, names, phonemes):
    assert guess_phonemes([np.array(["B"]), np.array(names)], tmp_path) == phonemes


def test_a_label_that_no_edition_has_needs_a_list_of_phonemes(tmp_path):
    message = "has label 346, but editions have at most 346 classes; add a phonemes.txt"
    with pytest.raises(InputError, match=message):
        guess_phonemes([np.array([0, 346])], tmp_path)


@pytest.fixture
def listed(tmp_path):
    """Return what reads a list of phonemes of this content."""

    def read(content):
        path = tmp_path / "phonemes.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_phoneme_list(path)

    return read


def test_a_list_gives_phonemes_in_label_order_or_each_with_its_index(listed):
    assert listed("SIL\nAA\nB\n") == listed("B 2\n\nSIL 0\nAA 1") == ("SIL", "AA", "B")


def test_scanning_errors_mean_a_zero(listed):
    misread = {f"{vowel}0": f"{vowel}O" for vowel in VOWELS}
    lines = [f"{misread.get(name, name)}\t{n}\r\n" for n, name in enumerate(ARPABET_STRESS)]
    assert listed("".join(reversed(lines))) == ARPABET_STRESS


@pytest.mark.parametrize(
    "text", ["", "SIL 1\nAA 2\n", "SIL 0\nAA 0\n", "SIL 0\nAA\nB 1", "SIL 0 x\n", "SIL zero\n"]
)
def test_phonemes_without_an_order_are_refused(listed, text):
    message = "expected a phoneme and its index on each line, 0 to the number of phonemes less 1"
    with pytest.raises(InputError, match=message):
        listed(text)


def test_a_phoneme_listed_twice_is_refused(listed):
    with pytest.raises(InputError, match="phoneme AE0 is listed twice; remove one"):
        listed("SIL\nAE0\nAEO\n")


def test_phonemes_that_are_no_text_are_refused(listed):
    with pytest.raises(InputError, match=r"phonemes\.txt cannot be read"):
        listed(b"\xff\xfe\0")
