"""Phoneme inventories: the label sets of the corpora, their order and how stress folds away.

A label is an index into an inventory, a tuple of phoneme names. ARPAbet vowels
carry a stress digit (0 none, 1 primary, 2 secondary); "folding" drops it.
"""

from collections.abc import Sequence
from difflib import get_close_matches

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
