"""Which phoneme a phone's name means.

Names of phones are compared without case and without the brackets around "<eps>" or
"[noise]". Silence has many spellings and is SIL, h# for TIMIT's labels. Spoken noise,
such as MFA's spn, is SPN; the inventories without SPN call it silence. TIMIT's and
festival's names become ARPAbet as in Lee and Hon's folding (`inventory.TIMIT_FOLDED`),
but AO and ZH stay what they are and the flap dx is the T that dictionaries write. Of these
vowels only the reduced ones (ax, ax-h, axr, ix) have a known stress, 0.

Other inventories are translated by a table first (corpus.audio.map): CSV or TSV with the
columns phone and phoneme. `mfa_ipa.csv` translates the phones of the Montreal Forced
Aligner's dictionary english_us_mfa, versions 2.0 to 3.1, into ARPAbet without stress, as the
example words of its documentation are spelled in ARPAbet: dental stops are TH and DH ("think",
"those"), the glottal stop is the T of "that", a flap is T as TIMIT's is, a long a is AY ("night").
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from phonemes.corpus.audio.files import contained, read_file
from phonemes.corpus.params import AudioParams
from phonemes.corpus.source import composed
from phonemes.errors import InputError, did_you_mean, raise_true_cause
from phonemes.inventory import INVENTORIES, TIMIT_FOLDED, VOWELS

SILENCES = frozenset(["", *"sil silence sp ssil pau eps h# # p:".split()])  # p: is WebMAUS's
NOISES = frozenset("spn nsn unk oov noise breath brth".split())
TIMIT_TO_ARPABET = TIMIT_FOLDED | {"ao": "AO", "zh": "ZH", "dx": "T"}
REDUCED = {"ax": "AH0", "ax-h": "AH0", "axr": "ER0", "ix": "IH0"}
SHIPPED = {"mfa-ipa": Path(__file__).with_name("mfa_ipa.csv")}
NO_TABLE: Mapping[str, str] = MappingProxyType({})
LONGEST_SHOWN = 60  # characters of a phone in messages


def phoneme(phone: str, phonemes: str, where: str, table: Mapping[str, str] = NO_TABLE) -> int:
    """Return the label of a phone's name in the inventory named `phonemes`.

    Args:
        phone: as the alignment has it.
        phonemes: as in corpus.audio.phonemes.
        where: the alignment's file and time, for messages.
        table: phonemes of phones, from `read_table`.

    Raises:
        InputError: the phone is unknown, or a vowel without stress where stress is asked for.
    """
    inventory = INVENTORIES[phonemes]
    known = table.get(composed(phone.strip()), phone)
    name = known.strip().strip("<>[]{}()+").lower()
    if name in SILENCES and name not in inventory:
        return 0  # every inventory begins with its silence
    if name in NOISES:
        return inventory.index("SPN") if "SPN" in inventory else 0
    if phonemes == "arpabet-stress":
        name = REDUCED.get(name, TIMIT_TO_ARPABET.get(name, name.upper()))
        if name in VOWELS:
            raise InputError(
                f"{where}: vowel {phone!r} has no stress digit; set corpus.audio.phonemes: "
                "arpabet-plain"
            )
    elif phonemes == "arpabet-plain":
        name = TIMIT_TO_ARPABET.get(name, name.upper())
        name = name[:-1] if name[:-1] in VOWELS and name[-1] in "012" else name
    if name not in inventory:
        hint = did_you_mean(name[:LONGEST_SHOWN], inventory)
        raise InputError(
            f"{where}: phone {phone[:LONGEST_SHOWN]!r} is not in corpus.audio.phonemes: {phonemes}"
            f"{hint or '; translate other inventories by corpus.audio.map'}"
        )
    return inventory.index(name)


def read_table(path: Path, audio: AudioParams) -> Mapping[str, str]:
    """Return the table that corpus.audio.map names: phonemes of phones.

    Args:
        path: the corpus, in which a table of the user's own lies.
        audio: corpus.audio: map and phonemes.

    Raises:
        InputError: names the line and what is wrong there; or it lies outside `path`.
    """
    if not audio.map:
        return NO_TABLE
    file = SHIPPED.get(audio.map)
    if file is None:
        file = contained(path / audio.map, path, f"corpus.audio.map: {audio.map}")
    table: dict[str, str] = {}
    for line, phone, name in _rows(file):
        phoneme(name, audio.phonemes, f"corpus.audio.map, {file}, line {line}")
        if table.setdefault(phone, name) != name:
            raise InputError(f"{file}, line {line}: phone {phone!r} has another phoneme above")
    return table


def _rows(file: Path) -> list[tuple[int, str, str]]:
    """Return line, phone and phoneme of each row of a table."""
    try:
        text = read_file(file).decode("utf-8-sig")
        tabs = "\t" in text.partition("\n")[0]
        rows = csv.reader(text.splitlines(), delimiter="\t" if tabs else ",", strict=True)
        found = [(rows.line_num, [cell.strip() for cell in row]) for row in rows if row]
    except (OSError, ValueError, csv.Error) as error:
        raise_true_cause(error, file)
        raise InputError(
            f"cannot read corpus.audio.map, {file}: {error}; expected CSV or TSV in UTF-8, or one "
            f"of {', '.join(SHIPPED)}"
        ) from None
    if not found or found[0][1] != ["phone", "phoneme"]:
        raise InputError(f"{file}: its first line is not phone,phoneme; add it")
    for line, row in found[1:]:
        if len(row) != 2:
            raise InputError(f"{file}, line {line}: expected phone,phoneme; got {len(row)} columns")
    return [(line, composed(phone), name) for line, (phone, name) in found[1:]]
