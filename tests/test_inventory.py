"""A label is an index into a list of phonemes; each has a class without stress, and a place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.errors import InputError
from phonemes.inventory import (
    ARPABET_PLAIN,
    ARPABET_STRESS,
    CONSONANTS,
    INVENTORIES,
    PLACES,
    TIMIT,
    VOWELS,
    canonical_names,
    comparable,
    default_inventory,
    fold,
    label_of,
    phonetic_classes,
    phonetic_order,
    stress_of,
)

LEE_HON = set(
    "SIL AA AE AH AW AY B CH D DH DX EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH "
    "UW V W Y Z".split()
)  # the 39 classes of the paper's table, in capitals


@pytest.mark.parametrize("inventory", INVENTORIES.values(), ids=INVENTORIES)
def test_a_label_and_its_phoneme_find_each_other(inventory):
    for label, name in enumerate(inventory):
        assert label_of(name, inventory, "here") == label


@pytest.mark.parametrize(
    ("name", "count"), [("arpabet-stress", 71), ("arpabet-plain", 40), ("timit", 61)]
)
def test_the_inventories_have_the_sizes_of_their_corpora(name, count):
    assert len(INVENTORIES[name]) == len(set(INVENTORIES[name])) == count


def test_the_71_labels_are_silence_noise_and_then_the_alphabet():
    assert ARPABET_STRESS[:2] == ("SIL", "SPN")
    assert list(ARPABET_STRESS[2:]) == sorted(ARPABET_STRESS[2:])
    assert [ARPABET_STRESS.index(name) for name in ("AA0", "AA1", "B", "ZH")] == [2, 3, 20, 70]


def test_every_vowel_has_three_stresses_and_no_consonant_any():
    stressed = {name for name in ARPABET_STRESS if name[-1].isdigit()}
    assert stressed == {vowel + stress for vowel in VOWELS for stress in "012"}
    assert set(ARPABET_STRESS) - stressed == {"SIL", "SPN", *CONSONANTS}


def test_the_plain_inventory_is_silence_and_then_the_alphabet():
    assert ARPABET_PLAIN[0] == "SIL"
    assert list(ARPABET_PLAIN[1:]) == sorted(ARPABET_PLAIN[1:])


def test_stress_folds_71_labels_into_41_classes():
    folded = fold(ARPABET_STRESS)
    assert set(folded) == {*ARPABET_PLAIN, "SPN"} and len(folded) == 71
    assert folded[ARPABET_STRESS.index("AH0")] == folded[ARPABET_STRESS.index("AH2")] == "AH"
    assert folded[ARPABET_STRESS.index("HH")] == "HH"


def test_the_plain_inventory_folds_into_itself():
    assert fold(ARPABET_PLAIN) == ARPABET_PLAIN


def test_timit_folds_into_the_39_classes_of_lee_and_hon():
    assert set(fold(TIMIT)) == LEE_HON and len(LEE_HON) == 39


VARIANTS = [
    *["ao aa", "ax ah ax-h", "axr er", "hv hh", "ix ih", "el l", "em m", "en n nx", "eng ng"],
    *["zh sh", "ux uw", "h# pau epi bcl dcl gcl pcl tcl kcl q"],
]


@pytest.mark.parametrize("variants", VARIANTS)
def test_timits_variants_fold_together(variants):
    assert len(set(fold(variants.split()))) == 1


@given(st.permutations(ARPABET_STRESS), st.integers(1, 71))
def test_folding_looks_at_names_and_not_at_places(names, count):
    assert fold(names[:count]) == tuple(name.rstrip("012") for name in names[:count])


@pytest.mark.parametrize("names", [("0", "1"), ("SIL", "7"), ("SIL", "aa"), ("q", "QQ")])
def test_unknown_names_do_not_fold(names):
    assert fold(names) is None


@pytest.mark.parametrize("classes", [1, 2, 39, 61, 138, 346])
def test_other_numbers_of_labels_have_numbers_for_names(classes):
    names = default_inventory(classes)
    assert names == tuple(str(label) for label in range(classes))
    assert fold(names) is None


def test_71_and_40_labels_are_arpabet():
    assert default_inventory(71) == ARPABET_STRESS
    assert default_inventory(40) == ARPABET_PLAIN


@pytest.mark.parametrize(("name", "meant"), [("ah0", "AH0"), ("sil", "SIL"), ("ZHH", "ZH")])
def test_an_unknown_phoneme_is_named_with_the_nearest_known_one(name, meant):
    with pytest.raises(InputError) as refused:
        label_of(name, ARPABET_STRESS, "a.TextGrid at 0.5 s")
    expected = f"a.TextGrid at 0.5 s: unknown phoneme {name!r}; did you mean {meant}?"
    assert str(refused.value) == expected


def test_a_phoneme_like_no_other_gets_no_suggestion():
    with pytest.raises(InputError, match=r"here: unknown phoneme '\?\?'$"):
        label_of("??", ARPABET_STRESS, "here")


# Spelling


@pytest.mark.parametrize("inventory", INVENTORIES.values(), ids=INVENTORIES)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_an_inventory_is_known_in_capitals_and_in_lower_case(inventory, spell):
    assert canonical_names([*map(spell, inventory)]) == inventory


@pytest.mark.parametrize("inventory", [ARPABET_STRESS, ARPABET_PLAIN])
def test_silence_in_brackets_and_misread_zeros_are_known(inventory):
    misread = {"SIL": "[SIL]", "SPN": "[SPN]", **{f"{vowel}0": f"{vowel}O" for vowel in VOWELS}}
    assert canonical_names([misread.get(name, name) for name in inventory]) == inventory


@pytest.mark.parametrize(
    "names",
    [("s", "S", "z"), ("<SIL>", "<AA>"), ("0", "1"), ("ʃ", "ə"), ("sil", "X1"), ("aa", "b")],
)
def test_other_names_stay_as_they_are(names):
    assert canonical_names(names) == names


def test_spellings_are_compared_in_one_unicode_form():
    assert comparable("e\u0301") == comparable("\u00e9") == "\u00c9"


# Phonetic order


def in_order(phonemes):
    return [phonemes[label] for label in phonetic_order(phonemes)]


@pytest.mark.parametrize("inventory", [ARPABET_STRESS, ARPABET_PLAIN, TIMIT])
def test_every_phoneme_of_an_inventory_has_a_place(inventory):
    assert sorted(phonetic_order(inventory)) == list(range(len(inventory)))
    assert all(name.upper().rstrip("012") in PLACES for name in inventory)


def test_silence_and_noise_come_last_after_vowels_and_consonants():
    order = in_order(ARPABET_STRESS)
    assert order[:3] == ["IY0", "IY1", "IY2"]
    assert order[-2:] == ["SIL", "SPN"]
    assert order.index("OY2") < order.index("P") < order.index("S") < order.index("M")


def test_phonemes_that_sound_alike_are_next_to_each_other():
    assert " ".join(in_order(ARPABET_PLAIN)).endswith("S Z SH ZH HH M N NG L R W Y SIL")
    assert in_order(("z", "sh", "ix", "s", "iy")) == ["iy", "ix", "s", "z", "sh"]


def test_unknown_names_keep_their_own_order_after_the_known_ones():
    assert in_order(("9", "T", "10", "2", "AA1")) == ["AA1", "T", "9", "10", "2"]


def test_phonemes_of_known_inventories_have_a_phonetic_class():
    names = "IY1 AH0 OW2 OY1 T JH ZH NG R W SPN".split()
    assert phonetic_classes(names) == (
        "front vowels", "central vowels", "back vowels", "diphthongs", "stops", "affricates",
        "fricatives", "nasals", "liquids", "glides", "silence and noise",
    )  # fmt: skip
    assert phonetic_classes(("bcl", "dx", "ax-h")) == (
        "silence and noise",
        "stops",
        "central vowels",
    )


@pytest.mark.parametrize("names", [("0", "1"), ("T", "S", "{"), ("SIL", "AA1", "AA1_s1")])
def test_phonemes_of_other_inventories_have_none(names):
    assert phonetic_classes(names) is None


def test_only_vowels_have_stress():
    assert [stress_of(name) for name in ("AA0", "ER2", "AA", "SIL", "T1", "1", "")] == [
        "0", "2", "", "", "", "", ""
    ]  # fmt: skip
