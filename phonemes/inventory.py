"""Phoneme inventories: the label sets of the corpora, their order and how stress folds away.

A label is an index into an inventory, a tuple of phoneme names. ARPAbet vowels
carry a stress digit (0 none, 1 primary, 2 secondary); "folding" drops it.
"""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError

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

# Lee and Hon (1989), "Speaker-independent phone recognition using hidden Markov models",
# in the names of ARPABET_PLAIN; the glottal stop q is left out there and is silence here.
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


MANNERS = {  # and places of articulation: Ladefoged, "A course in phonetics"
    "stop": "P B T D K G DX",
    "affricate": "CH JH",
    "fricative": "F V TH DH S Z SH ZH HH",
    "nasal": "M N NG",
    "approximant": "L R W Y ER",
    "vowel": "AA AE AH AO EH IH IY UH UW",
    "diphthong": "AW AY EY OW OY",
}
PLACES = {
    "labial": "P B M F V W",
    "dental": "TH DH",
    "alveolar": "T D N S Z L DX",
    "postalveolar": "CH JH SH ZH R ER",
    "palatal": "Y",
    "velar": "K G NG",
    "glottal": "HH",
    "front": "IY IH EH AE EY",
    "central": "AH",
    "back": "AA AO UH UW OW",
    "gliding": "AW AY OY",
}
AUXILIARY = 3  # what `auxiliary_labels` tells of a phoneme


def auxiliary_labels(phonemes: Sequence[str]) -> NDArray[np.uint8]:
    """Return the stress-free class, the manner and the place of P phonemes, (P, 3), each < P.

    What is neither, silence and noise, has a manner and a place of its own.

    Raises:
        InputError: the names are neither ARPAbet's nor TIMIT's.
    """
    folded = fold(phonemes)
    if folded is None:
        raise InputError(
            "train.auxiliary needs the names of ARPAbet or TIMIT phonemes, and the labels have "
            f"others, such as {phonemes[0]}; set it to false"
        )
    kinds = [folded]
    for classes in (MANNERS, PLACES):
        named = {name: kind for kind, names in classes.items() for name in names.split()}
        kinds.append(tuple(named.get(name, "none") for name in folded))
    return np.stack([np.unique(kind, return_inverse=True)[1] for kind in kinds], 1).astype(np.uint8)


def default_inventory(classes: int) -> tuple[str, ...]:
    """Return the standard names of `classes` labels: 71 or 40 ARPAbet, else numbers."""
    for inventory in (ARPABET_STRESS, ARPABET_PLAIN):
        if len(inventory) == classes:
            return inventory
    return tuple(map(str, range(classes)))  # 138 and 346 are sub-phoneme states without names


def nearest(name: str, known: Sequence[str]) -> str:
    """Return "; did you mean X?" for the known name most like `name`, or ""."""
    close = get_close_matches(name.upper(), [item.upper() for item in known], n=1, cutoff=0.5)
    matches = [item for item in known if close and item.upper() == close[0]]
    return f"; did you mean {matches[0]}?" if matches else ""


def label_of(name: str, inventory: Sequence[str], where: str) -> int:
    """Return the index of phoneme `name`.

    Raises:
        InputError: the phoneme is unknown; names `where` and the nearest known one.
    """
    try:
        return inventory.index(name)
    except ValueError:
        raise InputError(f"{where}: unknown phoneme {name!r}{nearest(name, inventory)}") from None
