"""ARPAbet and TIMIT phones in the International Phonetic Alphabet, for General American.

AH and ER without stress are the reduced vowels of "sofa" and "butter". The stress of a vowel is
not marked: IPA marks it before the syllable, and syllables are not known. Silence is "".
"""

from collections.abc import Mapping
from types import MappingProxyType

from phonemes.inventory import TIMIT_FOLDED

CONSONANTS = {
    "P": "p", "B": "b", "T": "t", "D": "d", "K": "k", "G": "ɡ", "CH": "tʃ", "JH": "dʒ",
    "F": "f", "V": "v", "TH": "θ", "DH": "ð", "S": "s", "Z": "z", "SH": "ʃ", "ZH": "ʒ",
    "HH": "h", "M": "m", "N": "n", "NG": "ŋ", "L": "l", "R": "ɹ", "W": "w", "Y": "j",
}  # fmt: skip
VOWELS = {
    "IY": "i", "IH": "ɪ", "EY": "eɪ", "EH": "ɛ", "AE": "æ", "AA": "ɑ", "AO": "ɔ", "OW": "oʊ",
    "UH": "ʊ", "UW": "u", "AH": "ʌ", "ER": "ɝ", "AY": "aɪ", "AW": "aʊ", "OY": "ɔɪ",
}  # fmt: skip
REDUCED = {"AH0": "ə", "ER0": "ɚ"}
TIMIT_ALONE = {  # what TIMIT tells apart and ARPAbet does not
    "ao": "ɔ", "zh": "ʒ", "ax": "ə", "ax-h": "ə̥", "axr": "ɚ", "ix": "ɨ", "ux": "ʉ",
    "dx": "ɾ", "nx": "ɾ̃", "q": "ʔ", "hv": "ɦ", "el": "l̩", "em": "m̩", "en": "n̩", "eng": "ŋ̍",
    "bcl": "b̚", "dcl": "d̚", "gcl": "ɡ̚", "pcl": "p̚", "tcl": "t̚", "kcl": "k̚",
}  # fmt: skip


def _symbols() -> dict[str, str]:
    plain = CONSONANTS | VOWELS | {"SIL": "", "SPN": "", "DX": "ɾ"}
    stressed = {vowel + digit: symbol for vowel, symbol in VOWELS.items() for digit in "012"}
    timit = {name: plain[folded] for name, folded in TIMIT_FOLDED.items()}
    return plain | stressed | REDUCED | timit | TIMIT_ALONE


SYMBOLS: Mapping[str, str] = MappingProxyType(_symbols())
