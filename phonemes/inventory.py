"""Phoneme inventories: the label sets of the corpora, their order and how stress is dropped.

A label is an index into an inventory, a tuple of phoneme names. ARPAbet vowels
carry a stress digit (0 none, 1 primary, 2 secondary); "folding" drops it.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError, did_you_mean

VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())

ARPABET_STRESS = (
    "SIL",
    "SPN",
    *sorted([vowel + stress for vowel in VOWELS for stress in "012"] + list(CONSONANTS)),
)  # 71: silence, spoken noise, 45 stressed vowels, 24 consonants
ARPABET_PLAIN = ("SIL", *sorted(VOWELS + CONSONANTS))  # 40, without SPN
TIMIT = tuple(
    "h# aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl "
    "hh hv ih ix iy jh k kcl l m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z "
    "zh".split()
)  # 61, the labels of the .PHN files

INVENTORIES = {"arpabet-stress": ARPABET_STRESS, "arpabet-plain": ARPABET_PLAIN, "timit": TIMIT}
MISREAD = {f"{vowel}O": f"{vowel}0" for vowel in VOWELS}  # a 0 misread by a scanner, as in AEO
BRACKETED = re.compile(r"\[(SIL|SPN)\]")
LONGEST_SHOWN = 60  # characters of an unknown name in messages

# Lee and Hon (1989), "Speaker-independent phone recognition using hidden Markov models",
# in the names of ARPABET_PLAIN; the glottal stop q, which they leave out, is silence here.
TIMIT_FOLDED = (
    {name: name.upper() for name in TIMIT}
    | dict.fromkeys("h# pau epi bcl dcl gcl pcl tcl kcl q".split(), "SIL")
    | {"ao": "AA", "ax": "AH", "ax-h": "AH", "axr": "ER", "hv": "HH", "ix": "IH", "el": "L"}
    | {"em": "M", "en": "N", "nx": "N", "eng": "NG", "zh": "SH", "ux": "UW", "dx": "DX"}
)


def fold(phonemes: Sequence[str]) -> tuple[str, ...] | None:
    """Return each phoneme's stress-free class, or None where the names have no known folding.

    ARPAbet folds to 39 phones, SIL and SPN; TIMIT's 61 fold to the 39 of Lee and Hon.
    """
    if set(phonemes) <= set(TIMIT):
        return tuple(TIMIT_FOLDED[name] for name in phonemes)
    if set(phonemes) <= {*ARPABET_STRESS, *ARPABET_PLAIN}:
        return tuple(name.rstrip("012") for name in phonemes)
    return None


def default_inventory(classes: int) -> tuple[str, ...]:
    """Return the standard names of `classes` labels: 71 or 40 ARPAbet, else numbers."""
    for inventory in (ARPABET_STRESS, ARPABET_PLAIN):
        if len(inventory) == classes:
            return inventory
    return tuple(map(str, range(classes)))  # 138 and 346 are sub-phoneme states without names


def comparable(spelled: str) -> str:
    """Return what two spellings of one phoneme share, whatever their case and Unicode form.

    [SIL] and sil are SIL, and AEO is AE0.
    """
    name = unicodedata.normalize("NFC", spelled).upper()
    return MISREAD.get(name, BRACKETED.sub(r"\1", name))


def canonical_names(spelled: Sequence[str]) -> tuple[str, ...]:
    """Return the names of phonemes as an inventory that has them all spells them.

    Names that no inventory has stay as they are, but for [SIL] and misread zeros; so do those
    that differ in their case alone, as in X-SAMPA.
    """
    keys = [comparable(name) for name in spelled]
    inventories = INVENTORIES.values()
    if len({*keys}) == len(keys) and not any({*spelled} <= {*each} for each in inventories):
        for inventory in inventories:
            known = {comparable(name): name for name in inventory}
            if {*keys} <= {*known}:
                return tuple(known[key] for key in keys)
    return tuple(MISREAD.get(name, BRACKETED.sub(r"\1", name)) for name in spelled)


def label_of(name: str, inventory: Sequence[str], where: str) -> int:
    """Return the index of phoneme `name`.

    Raises:
        InputError: the phoneme is unknown; names `where` and the nearest known one.
    """
    try:
        return inventory.index(name)
    except ValueError:
        name = name[:LONGEST_SHOWN]  # it may be as long as its file
        raise InputError(
            f"{where}: unknown phoneme {name!r}{did_you_mean(name, inventory)}"
        ) from None


PHONETIC_GROUPS = {  # ARPAbet without stress, and what TIMIT adds, in capitals
    "front vowels": "IY IH IX EY EH AE",  # from close to open
    "central vowels": "AX AX-H AH ER AXR UX",
    "back vowels": "UW UH OW AO AA",  # from close to open
    "diphthongs": "AY AW OY",  # that cross the vowel space
    "stops": "P B T D DX K G",  # lips to velum
    "affricates": "CH JH",
    "fricatives": "F V TH DH S Z SH ZH HH HV",  # lips to glottis
    "nasals": "M EM N EN NX NG ENG",
    "liquids": "L EL R",
    "glides": "W Y",
    "silence and noise": "Q PCL BCL TCL DCL KCL GCL EPI PAU H# SIL SPN",  # with closures
}
PLACES = {
    name: (group, place)
    for group, names in enumerate(PHONETIC_GROUPS.values())
    for place, name in enumerate(names.split())
}
UNKNOWN = (len(PHONETIC_GROUPS), 0)


def phonetic_place(phoneme: str) -> tuple[int, int]:
    """Return the phonetic group of a phoneme, whatever its stress, and its place in the group."""
    name = phoneme.upper()
    return PLACES.get(name, PLACES.get(name.rstrip("012"), UNKNOWN))


def phonetic_order(phonemes: Sequence[str]) -> NDArray[np.int64]:
    """Return the labels, (P,), in the order in which axes show them.

    Vowels come first, by quality and then stress, then stops, affricates, fricatives,
    nasals, liquids, glides, silence and noise. Unknown names follow in their own order.
    """

    def key(label: int) -> tuple[tuple[int, int], str]:
        place = phonetic_place(phonemes[label])
        return place, "" if place == UNKNOWN else phonemes[label]

    return np.array(sorted(range(len(phonemes)), key=key), dtype=np.int64)


def phonetic_classes(phonemes: Sequence[str]) -> tuple[str, ...] | None:
    """Return each phoneme's group of PHONETIC_GROUPS, or None where names are of no inventory.

    The names of other inventories, as X-SAMPA's T, may mean another sound than here.
    """
    if fold(phonemes) is None:
        return None
    names = tuple(PHONETIC_GROUPS)
    return tuple(names[phonetic_place(name)[0]] for name in phonemes)


def stress_of(phoneme: str) -> str:
    """Return the stress digit of an ARPAbet vowel, or "" of what has none."""
    return phoneme[-1] if phoneme[:-1] in VOWELS and phoneme[-1] in "012" else ""
