"""A phone is a phoneme of the inventory, whatever the names of the corpus it comes from."""
# ruff: noqa: RUF001  # letters of IPA that look like Latin ones

import os
import unicodedata
from dataclasses import replace

import pytest
from helpers import PARAMS

from phonemes.corpus.audio.phones import NO_TABLE, phoneme, read_table
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, INVENTORIES, TIMIT
from phonemes.params import load

PLAIN = replace(load(PARAMS).corpus.audio, phonemes="arpabet-plain")


@pytest.mark.parametrize("phonemes", INVENTORIES)
@pytest.mark.parametrize("name", ["", " ", "sil", "SIL", "sp", "<eps>", "h#", "SILENCE", "<p:>"])
def test_silence_has_many_spellings(name, phonemes):
    assert phoneme(name, phonemes, "") == 0


@pytest.mark.parametrize("name", ["spn", "SPN", "<unk>", "[noise]", "+SPN+", "<spn>"])
def test_spoken_noise_is_spn_or_silence_where_the_inventory_has_none(name):
    assert ARPABET_STRESS[phoneme(name, "arpabet-stress", "")] == "SPN"
    assert phoneme(name, "arpabet-plain", "") == 0
    assert phoneme(name, "timit", "") == 0


@pytest.mark.parametrize("phonemes", INVENTORIES)
def test_each_name_of_an_inventory_is_its_own_label_in_either_case(phonemes):
    for label, name in enumerate(INVENTORIES[phonemes]):
        assert phoneme(name.lower(), phonemes, "") == phoneme(name.upper(), phonemes, "") == label


def test_stress_folds_away_for_arpabet_plain():
    for name in ARPABET_STRESS[2:]:
        assert ARPABET_PLAIN[phoneme(name, "arpabet-plain", "")] == name.rstrip("012")


def test_all_of_timit_has_a_plain_name():
    plain = {name: ARPABET_PLAIN[phoneme(name, "arpabet-plain", "")] for name in TIMIT}
    assert set(plain.values()) == set(ARPABET_PLAIN)
    assert plain["ao"] == "AO" and plain["zh"] == "ZH" and plain["dx"] == "T"
    assert plain["bcl"] == plain["q"] == plain["pau"] == "SIL"
    assert plain["ax"] == plain["ax-h"] == "AH" and plain["axr"] == "ER" and plain["ux"] == "UW"


def test_of_timits_vowels_only_the_reduced_ones_have_a_known_stress():
    stressed = [ARPABET_STRESS[phoneme(n, "arpabet-stress", "")] for n in ["ax", "axr", "ix", "el"]]
    assert stressed == ["AH0", "ER0", "IH0", "L"]
    with pytest.raises(
        InputError, match=r"b.lab: vowel 'ao' has no .* set .*phonemes: arpabet-plain"
    ):
        phoneme("ao", "arpabet-stress", "b.lab")


@pytest.mark.parametrize(
    ("name", "phonemes", "message"),
    [
        ("AY3", "arpabet-stress", r"a.TextGrid, 0.500 s: phone 'AY3' is not .*; did you mean AY"),
        (
            "B1",
            "arpabet-plain",
            r"'B1' is not in corpus.audio.phonemes: arpabet-plain; did you mean",
        ),
        ("zz", "timit", r"'zz' is not in corpus.audio.phonemes: timit; did you mean z\?"),
        (
            "ø",
            "arpabet-plain",
            r"'ø' is not in corpus.audio.phonemes: arpabet-plain; translate other inv",
        ),
    ],
)
def test_an_unknown_phone_is_named_with_its_time(name, phonemes, message):
    with pytest.raises(InputError, match=message):
        phoneme(name, phonemes, "a.TextGrid, 0.500 s")


# Tables


def plain(name, table):
    return ARPABET_PLAIN[phoneme(name, "arpabet-plain", "a.TextGrid", table)]


def test_without_a_table_names_are_those_of_the_inventory(tmp_path):
    assert read_table(tmp_path, PLAIN) is NO_TABLE


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_table_translates_the_phones_of_any_inventory(separator, tmp_path):
    rows = [("phone", "phoneme"), ("{", "AE"), ("e\u0301", "ey1"), ("#1", "sil"), ("x,y", "K")]
    lines = [f'"{phone}"{separator}{name}' for phone, name in rows]
    (tmp_path / "map.csv").write_text("\n".join(lines), "utf-8")
    table = read_table(tmp_path, replace(PLAIN, map="map.csv"))
    assert [plain(p, table) for p in ["{", "é", "#1", "x,y"]] == ["AE", "EY", "SIL", "K"]
    assert [plain(p, table) for p in ["B", "spn", ""]] == ["B", "SIL", "SIL"]  # as without


def test_the_aligners_ipa_is_translated_into_arpabet(tmp_path):
    table = read_table(tmp_path, replace(PLAIN, map="mfa-ipa"))
    spelled = {  # words of the documentation of english_us_mfa
        "cʰ æ mʲ i ow": "K AE M IY OW",
        "tʲ ɪ ɫ t": "T IH L T",
        "d̪ ow z": "DH OW Z",
        "m aw t̪": "M AW TH",
        "dʒ ɐ ɲ c i": "JH AH N K IY",
        "j ʉː ʒ ʊ ɫ̩": "Y UW ZH UH L",
        "h aj ɾ": "HH AY T",
        "w ə ɾ̃ ə": "W AH N AH",
        "s ɪ ɾʲ i": "S IH T IY",
        "ç iː ʎ ɪ k s": "HH IY L IH K S",
        "ɟʷ ɛ n t": "G EH N T",
        "ʃ ɑː ʔ": "SH AA T",
        "f ɒ ɹ s": "F AO R S",
        "θ ɝ d ej": "TH ER D EY",
        "tʃ aj ə ɫ d ɔj": "CH AY AH L D OY",
        "sil spn": "SIL SIL",
    }
    for ipa, arpabet in spelled.items():
        for form in ("NFC", "NFD"):
            phones = unicodedata.normalize(form, ipa).split()
            assert " ".join(plain(phone, table) for phone in phones) == arpabet


def test_every_phone_of_the_aligners_dictionary_has_a_phoneme(tmp_path):
    phones = (  # versions 2.2.1 and 3.1.0
        "aj aw aː b bʲ c cʰ cʷ d dʒ dʲ d̪ ej f fʲ h i iː j k kʰ kʷ l m mʲ m̩ n n̩ ow p pʰ pʲ pʷ s t "
        "tʃ tʰ tʲ tʷ t̪ v vʲ w z æ ç ð ŋ ɐ ɑ ɑː ɒ ɒː ɔj ə ɚ ɛ ɝ ɟ ɟʷ ɡ ɡʷ ɪ ɫ ɫ̩ ɱ ɲ ɹ ɾ ɾʲ ɾ̃ ʃ ʉ ʉː "
        "ʊ ʎ ʒ ʔ θ"
    ).split()
    table = read_table(tmp_path, replace(PLAIN, map="mfa-ipa"))
    assert {unicodedata.normalize("NFC", phone) for phone in phones} == {*table}
    assert {plain(phone, table) for phone in phones} == {*ARPABET_PLAIN} - {"SIL"}
    read_table(tmp_path, replace(PLAIN, map="mfa-ipa", phonemes="timit"))
    with pytest.raises(InputError, match=r"vowel 'IY' has no stress .*phonemes: arpabet-plain"):
        read_table(tmp_path, replace(PLAIN, map="mfa-ipa", phonemes="arpabet-stress"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line is not phone,phoneme; add it"),
        ("a,AA\n", "its first line is not phone,phoneme; add it"),
        ("phone,phoneme\na,AA,x\n", r"map\.csv, line 2: expected phone,phoneme; got 3 columns"),
        ("phone,phoneme\n\na,AB\n", r"map\.csv, line 3: phone 'AB' is not in .*did you mean"),
        ("phone,phoneme\na,AA\na,AH\n", r"map\.csv, line 3: phone 'a' has another phoneme abo"),
        (b"phone,phoneme\n\xe6,AE\n", r"cannot read corpus\.audio\.map, .*or one of mfa-ipa"),
        (None, r"cannot read corpus\.audio\.map, .*map\.csv: .*expected CSV or TSV"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error(text, message, tmp_path):
    if text is not None:
        (tmp_path / "map.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        read_table(tmp_path, replace(PLAIN, map="map.csv"))


def test_a_table_that_dvc_does_not_watch_is_an_error(tmp_path):
    with pytest.raises(
        InputError, match=r"corpus\.audio\.map: \.\./map\.csv leads out of corpus\.p"
    ):
        read_table(tmp_path, replace(PLAIN, map="../map.csv"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "map.csv")
    with pytest.raises(InputError, match=r"corpus\.audio\.map, .*map\.csv: it is not a file; exp"):
        read_table(tmp_path, replace(PLAIN, map="map.csv"))
