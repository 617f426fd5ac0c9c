"""Labels are indices or phonemes; the phonemes come from a list or from the labels themselves.

However the data spell a phoneme, it is one label; and that spelling comes back.
"""

import os

import numpy as np
import pytest
from helpers import ragged
from hypothesis import given
from hypothesis import strategies as st

from phonemes.corpus.arrays.labels import LabelReader, guess_phonemes, read_phoneme_list
from phonemes.errors import InputError
from phonemes.inventory import (
    ARPABET_PLAIN,
    ARPABET_STRESS,
    TIMIT,
    VOWELS,
    canonical_names,
    default_inventory,
)

KINDS = pytest.mark.parametrize("kind", ["U", "S", "O"])  # text, bytes and objects


def indices(names, kind="U"):
    return LabelReader(ARPABET_STRESS).indices(np.array(names, kind), "a.npy").tolist()


# Indices


@KINDS
@pytest.mark.parametrize("marks", [("<sos>", "<eos>"), ("[SOS]", "[EOS]"), ()])
def test_phonemes_become_indices_without_their_sentence_marks(marks, kind):
    names = [*marks[:1], "AA1", "[SIL]", "SIL", "AA1", *marks[1:]]
    assert indices(names, kind) == [3, 0, 0, 3]


def test_what_is_no_text_is_left_to_the_checks_of_the_corpus():
    for labels in (np.array([3, 0]), ragged(["AA1", np.zeros(2)]), np.array([["AA1"]])):
        assert LabelReader(ARPABET_STRESS).indices(labels, "a.npy") is labels


@KINDS
def test_an_unknown_phoneme_is_named_with_its_frame_and_the_nearest(kind):
    message = r"a\.npy, frame 2: unknown phoneme 'SILL'; did you mean SIL\?"
    with pytest.raises(InputError, match=message):
        indices(["<sos>", "AA0", "SIL", "SILL", "<eos>"], kind)


def test_an_unknown_phoneme_as_long_as_its_file_is_cut_in_the_message():
    with pytest.raises(InputError) as refused:
        indices(["A" * 100_000])
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("names", [["<sos>", "B", "B"], ["B", "B", "<sos>"]])
def test_one_sentence_mark_without_the_other_is_refused(names):
    message = f"a.npy: begins with '{names[0]}' and ends with '{names[-1]}'; .*add it or remove <so"
    with pytest.raises(InputError, match=message):
        indices(names)


def test_phonemes_that_differ_in_case_alone_stay_different():
    x_sampa = ("s", "S", "a", "A")
    reader = LabelReader(canonical_names(x_sampa), x_sampa)
    assert reader.indices(np.array(["A", "S", "s", "a"]), "a.npy").tolist() == [3, 1, 0, 2]
    with pytest.raises(InputError, match="unknown phoneme 'z'"):
        reader.indices(np.array(["z"]), "a.npy")


# How the data spell them


def misread(names):
    zeros = {f"{vowel}0": f"{vowel}O" for vowel in VOWELS}
    return [zeros.get(name, name) for name in names]


SPELLINGS = {
    "as the inventory does": (ARPABET_STRESS, [*ARPABET_STRESS]),
    "with [SIL]": (ARPABET_PLAIN, ["[SIL]", *ARPABET_PLAIN[1:]]),
    "with [sil] in lower case": (ARPABET_PLAIN, ["[sil]", *map(str.lower, ARPABET_PLAIN[1:])]),
    "misread": (ARPABET_STRESS, misread(ARPABET_STRESS)),
    "in lower case": (ARPABET_STRESS, [*map(str.lower, ARPABET_STRESS)]),
    "as TIMIT": (TIMIT, [*TIMIT]),
    "as TIMIT in capitals": (TIMIT, [*map(str.upper, TIMIT)]),
}


@KINDS
@pytest.mark.parametrize(("phonemes", "spelled"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_comes_back(tmp_path, phonemes, spelled, kind):
    labels = np.array(spelled, kind)
    assert guess_phonemes([labels], tmp_path) == phonemes
    reader = LabelReader(phonemes)
    assert reader.indices(labels, "a.npy").tolist() == [*range(len(phonemes))]
    assert reader.spelling() == (True, tuple(spelled))
    assert reader.mixtures() == []


@given(st.lists(st.sampled_from(["SIL", "[SIL]", "sil", "AA", "aa", "B"]), max_size=30))
def test_most_labels_of_a_phoneme_decide_its_spelling_and_a_tie_is_refused(names):
    reader = LabelReader(ARPABET_PLAIN)
    reader.indices(np.array(names, "U5"), "a.npy")
    counts = {
        label: {name: names.count(name) for name in spellings if name in names}
        for label, spellings in {0: ["SIL", "[SIL]", "sil"], 1: ["AA", "aa"]}.items()
    }
    most = {label: max(found.values(), default=0) for label, found in counts.items()}
    if any(list(found.values()).count(most[label]) > 1 for label, found in counts.items()):
        with pytest.raises(InputError, match=r"equally often .*; spell it in one way"):
            reader.spelling()
        return
    spelled = reader.spelling().phonemes
    for label, found in counts.items():
        assert not found or found[spelled[label]] == most[label]
    mixed = [found for found in counts.values() if len(found) > 1]
    assert len(reader.mixtures()) == len(mixed)


def test_a_mixture_is_reported_with_what_predictions_will_say():
    reader = LabelReader(ARPABET_PLAIN)
    reader.indices(np.array(["SIL", "[SIL]", "[SIL]"]), "a.npy")
    assert reader.mixtures() == [
        "labels spell SIL in 2 ways: '[SIL]' (2), 'SIL' (1); predictions will say '[SIL]'"
    ]


def test_labels_decide_before_the_list_and_the_list_before_the_inventory():
    reader = LabelReader(("SIL", "AE0", "B"), ("[SIL]", "AEO", "B"))
    assert reader.spelling() == (False, ("[SIL]", "AEO", "B"))
    reader.indices(np.array(["sil", "B"]), "a.npy")
    assert reader.spelling() == (True, ("sil", "AEO", "B"))


def test_integers_come_back_as_integers_and_labels_of_test_decide_nothing():
    reader = LabelReader(ARPABET_PLAIN)
    reader.indices(np.array([0, 1]), "a.npy")
    reader.indices(np.array(["[SIL]"]), "test.npy", counted=False)
    assert reader.spelling() == (False, ARPABET_PLAIN)


@pytest.mark.parametrize("order", [1, -1])
def test_integers_and_text_together_are_refused(order):
    first, second = (np.array([0, 1]), np.array(["AA"]))[::order]
    reader = LabelReader(ARPABET_PLAIN)
    reader.indices(first, "a.npy")
    with pytest.raises(InputError, match=r"b\.npy: labels are .*, those before are .*in one way"):
        reader.indices(second, "b.npy")


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
        (["h#", "b", "aa", "h#"], TIMIT),
        (["BCL", "B"], TIMIT),
        (["sil", "aa"], ARPABET_PLAIN),
        (["[SIL]", "AEO"], ARPABET_STRESS),
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


def test_a_list_is_returned_as_it_is_spelled(listed):
    names = misread(ARPABET_STRESS)
    lines = [f"{name}\t{n}\r\n" for n, name in enumerate(names)]
    assert listed("".join(reversed(lines))) == tuple(names)


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


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "phonemes.txt")
    with pytest.raises(InputError, match=r"phonemes\.txt is not a file; put a list of phonemes"):
        read_phoneme_list(tmp_path / "phonemes.txt")


def test_a_list_larger_than_any_is_refused_unread(listed):
    with pytest.raises(InputError, match="has 4,194,305 bytes; expected at most 4,194,304"):
        listed(b"a" * (2**22 + 1))
    with pytest.raises(InputError, match="lists 32,769 phonemes; expected at most 32768"):
        listed("".join(f"{n}\n" for n in range(2**15 + 1)))


def test_the_longest_list_is_read_at_once(listed):
    assert len(listed("".join(f"{n}\n" for n in range(2**15)))) == 2**15
