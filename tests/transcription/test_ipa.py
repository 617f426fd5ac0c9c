"""Every phoneme has its symbol of the International Phonetic Alphabet."""

import csv
import unicodedata

import pytest
from helpers import ROOT

from phonemes.inventory import INVENTORIES
from phonemes.transcription.ipa import SYMBOLS

# symbols that the Montreal Forced Aligner's dictionary, whose IPA marks more, writes otherwise
OTHERWISE = {"ɹ": "R", "eɪ": "EY", "oʊ": "OW", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "u": "UW",
             "ʌ": "AH", "ɔ": "AO"}  # fmt: skip


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_every_phoneme_of_an_inventory_has_a_symbol(inventory):
    names = INVENTORIES[inventory]
    silent = {name for name in names if not SYMBOLS[name]}
    assert silent <= {"SIL", "SPN", "h#", "pau", "epi"}
    assert len({SYMBOLS[name] for name in names if name not in silent}) >= 39


def test_symbols_mean_what_another_table_says():
    with (ROOT / "phonemes/corpus/audio/mfa_ipa.csv").open(encoding="utf-8") as file:
        known = {row["phone"]: row["phoneme"] for row in csv.DictReader(file)} | OTHERWISE
    for name in INVENTORIES["arpabet-stress"]:
        if SYMBOLS[name]:
            assert known[unicodedata.normalize("NFC", SYMBOLS[name])] == name.rstrip("012")


def test_the_table_of_the_documentation_is_that_of_the_code():
    page = (ROOT / "docs/recordings.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    cells = [cell for row in rows for cell in row if cell.strip()]
    listed = {}
    for names, symbols, _ in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        for name, symbol in zip(names.split(", "), symbols.split(", "), strict=True):
            listed[name.strip("`")] = symbol
    assert listed == {
        name: symbol
        for name, symbol in SYMBOLS.items()
        if (name in INVENTORIES["arpabet-plain"] and symbol) or name in ("AH0", "ER0")
    }
