"""Pronunciations of words that no lexicon has, and of numbers, by the rules of espeak-ng.

Its phonemes of American English become ARPAbet with stress. A vowel that it writes with an R
or an L in it becomes two phonemes. espeak-ng is under the GPL, version 3 or later: it is an
optional package, loaded in a process of its own.
"""

import ctypes
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context

from phonemes.alignment.lexicon import Pronunciation
from phonemes.corpus.processes import end_with_parent
from phonemes.corpus.synthetic.espeak import MNEMONICS
from phonemes.errors import InputError
from phonemes.inventory import VOWELS

# What espeak-ng 1.52 writes for en-us in addition to the mnemonics by which it is asked to speak.
_VARIANTS = {
    "0": "AA", "A": "AA", "A@": "AA R", "A~": "AA N", "aa": "AE", "@2": "AH", "@5": "AH",
    "@-": "AH", "a#": "AH", "@L": "AH L", "n-": "AH N", "O": "AO", "O2": "AO", "O@": "AO R",
    "o@": "AO R", "aI@": "AY AH", "aI3": "AY ER", "e": "EH", "e@": "EH R", "I#": "IH",
    "i@": "IY AH", "i@3": "IH R", "o": "OW", "U@": "UH R", "u": "UW", "aU@": "AW AH",
    "d#": "D", "x": "K", "l#": "L", "r-": "R", "t#": "T", "t2": "T", "?": "T",
}  # fmt: skip
ARPABET = {name: phoneme.rstrip("0") for phoneme, name in MNEMONICS.items()} | _VARIANTS
_STRESSES = {"'": "1", ",": "2"}
_PAIRS = re.compile(r"(\d{2})(\d{2})(?!\d)(.*)")

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000  # of espeak_Initialize
_UTF8, _SEPARATED = 1, ord("|") << 8  # of espeak_TextToPhonemes


def pronounce(words: Sequence[str]) -> dict[str, tuple[Pronunciation, ...]]:
    """Return how espeak-ng reads words and numbers; none for what it has no ARPAbet for.

    Numbers are read in each of the ways of `readings`.

    Raises:
        InputError: espeak-ng is not installed, or its process was killed.
    """
    if find_spec("espeakng_loader") is None:
        raise InputError(
            f"{', '.join(words[:3])}: not in the lexicon, and espeak-ng, which would spell it, is "
            "not installed; run `pip install 'phonemes[align]'`, or write its phonemes in a "
            "--lexicon"
        )
    try:
        with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
            spelled = pool.submit(_spell, [[*readings(word)] for word in words]).result()
    except BrokenProcessPool:
        raise InputError(
            "the process of espeak-ng ended abruptly; is there enough memory?"
        ) from None
    return dict(zip(words, spelled, strict=True))


def readings(word: str) -> Iterator[str]:
    """Yield the ways in which a word may be read: of 1984 also 19 84, and its digits."""
    yield word
    if pairs := _PAIRS.fullmatch(word):
        yield f"{pairs[1]} {pairs[2]}{pairs[3]}"
    if len(word) > 1 and word.isdecimal():
        yield " ".join(word)


def arpabet(written: str) -> Pronunciation | None:
    """Return the ARPAbet of phonemes as espeak-ng writes them, None where it is not known.

    Args:
        written: mnemonics separated by "|", words by spaces; ' and , mean stress.
    """
    found: list[str] = []
    for mnemonic in re.split(r"[| ]+", written):
        stress = next((_STRESSES[mark] for mark in mnemonic if mark in _STRESSES), "0")
        name = mnemonic.lstrip("',%=_!").rstrip("_!")
        if not name.strip(";:'"):
            continue
        if name not in ARPABET:
            return None
        for phoneme in ARPABET[name].split():
            if phoneme != "R" or found[-1:] != ["R"]:  # a vowel with an R in it, and an R
                found.append(phoneme + stress if phoneme in VOWELS else phoneme)
            stress = "0"
    return tuple(found) or None


def _spell(words: Sequence[Sequence[str]]) -> list[tuple[Pronunciation, ...]]:
    """Return the pronunciations of the readings of words; this runs in a process of its own."""
    import espeakng_loader  # optional

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    if library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT) <= 0:
        raise RuntimeError("espeak_Initialize failed")
    if library.espeak_SetVoiceByName(b"en-us"):
        raise RuntimeError("espeak-ng has no voice en-us")
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)

    def phonemes(text: str) -> str:
        buffer = ctypes.create_string_buffer(text.encode())
        place, parts = ctypes.c_void_p(ctypes.addressof(buffer)), []
        while place.value:  # a clause at a time
            part = library.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _SEPARATED)
            parts.append(part.decode())
        return " ".join(parts)

    spelled = ([arpabet(phonemes(reading)) for reading in each] for each in words)
    return [tuple(dict.fromkeys(filter(None, each))) for each in spelled]
