"""Synthesize ARPAbet with the espeak-ng library, which reports where each phone starts.

Pronunciations are passed as espeak-ng's own mnemonics between [[ and ]], so that every
phone and its stress are known. The library calls back with the waveform and one event a
phone (speak_lib.h of espeak-ng 1.52, the version in espeakng-loader's wheels).

It keeps the state of its oscillators from one text to the next and cannot be reset:
the same texts in the same order give the same samples in a fresh process only.
espeak-ng is under the GPL, version 3 or later. Nothing here links or copies it: it is
an optional package, loaded in a process of its own.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.synthetic.prompts import Pronunciation

MNEMONICS = {
    "AA": "A:", "AE": "a", "AH": "V", "AO": "O:", "AW": "aU", "AY": "aI", "EH": "E", "ER": "3:",
    "EY": "eI", "IH": "I", "IY": "i:", "OW": "oU", "OY": "OI", "UH": "U", "UW": "u:",
    "B": "b", "CH": "tS", "D": "d", "DH": "D", "F": "f", "G": "g", "HH": "h", "JH": "dZ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "N", "P": "p", "R": "r", "S": "s", "SH": "S", "T": "t",
    "TH": "T", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "Z",
    "AH0": "@", "ER0": "3", "IH0": "I2", "IY0": "i",  # reduced vowels have their own
}  # fmt: skip
STRESS_MARKS = {"0": "", "1": "'", "2": ","}
# What the library's rules for English make of a phone; its label stays the requested one.
ALLOPHONES = {"T": "t#", "AH0": "3"}  # a flap between vowels; a schwa coloured by the R after it
INSERTED = {";", "r-"}  # glides that it adds; they belong to the phone before

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_PHONEME_EVENTS, _DONT_EXIT = 0x1, 0x8000  # options of espeak_Initialize
_UTF8, _PHONEMES = 0x1, 0x100  # flags of espeak_Synth: encoding, and [[ ]] is read
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_EVENT_END, _EVENT_PHONEME = 0, 7  # espeak_EVENT_TYPE


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Speech(NamedTuple):
    """Samples and the phones in them; pauses are SIL."""

    samples: NDArray[np.float32]  # (S,) in [-1, 1]
    rate: int  # samples a second
    phones: tuple[str, ...]
    starts: NDArray[np.int64]  # the sample where each phone starts, ascending from 0


class Espeak:
    """The library with one voice; make only one in a process, and that a fresh one."""

    def __init__(self, voice: str, seed: int) -> None:
        import espeakng_loader  # optional; imported only where it is used

        data = Path(espeakng_loader.get_data_path())
        if not (data / "voices" / "!v" / voice).exists():  # the library would take another one
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS,
            0,
            str(data).encode(),
            _PHONEME_EVENTS | _DONT_EXIT,
        )
        if self.rate <= 0:
            raise RuntimeError(f"espeak_Initialize failed with {self.rate}")
        self._library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._library.espeak_ng_SetRandSeed(seed)  # else it takes the time of day
        if self._library.espeak_SetVoiceByName(f"en-us+{voice}".encode()):
            raise RuntimeError(f"espeak-ng cannot speak en-us+{voice}")
        self._library.espeak_Synth.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        )
        self._chunks: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []  # sample, mnemonic
        self._callback = _Callback(self._receive)  # kept: the library holds a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(
        self, clauses: Sequence[Sequence[Pronunciation]], rate: int, pitch: int, spread: int
    ) -> Speech | None:
        """Return the clauses as speech, or None where the library spoke other phones.

        Args:
            clauses: pronunciations of words, with a pause between two clauses.
            rate: words a minute.
            pitch: 0 to 100, 50 is the voice's own.
            spread: range of the pitch, 0 to 100, 50 is the voice's own.

        Raises:
            RuntimeError: the library reports an error.
        """
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, spread)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        self._events.clear()
        # Commas stand outside the brackets: inside they mean secondary stress.
        text = ", ".join(f"[[{' '.join(map(spelling, clause))}]]" for clause in clauses).encode()
        flags = _UTF8 | _PHONEMES
        if self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, flags, None, None):
            raise RuntimeError("espeak_Synth failed")
        requested = [phone for clause in clauses for word in clause for phone in word]
        matched = match_phones(requested, self._events)
        if matched is None:
            return None
        samples = np.concatenate(self._chunks).astype(np.float32) / np.float32(32768)
        phones, starts = matched
        return Speech(samples, self.rate, phones, np.clip(starts, 0, len(samples)))

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        """Store a chunk of samples and its events; the library goes on after a 0."""
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_PHONEME:
                self._events.append((events[index].sample, events[index].id.string.decode()))
            index += 1
        return 0


def _mnemonic(phone: str) -> str:
    """Return the library's name of an ARPAbet phone, stress mark included."""
    bare, stress = phone.rstrip("012"), STRESS_MARKS.get(phone[-1], "")
    return stress + MNEMONICS.get(phone, MNEMONICS[bare])


def spelling(pronunciation: Pronunciation) -> str:
    """Return a word in mnemonics, as it stands in [[ ]]: t|S are two phones, tS is one."""
    return "|".join(map(_mnemonic, pronunciation))


def match_phones(
    requested: Sequence[str], events: Sequence[tuple[int, str]]
) -> tuple[tuple[str, ...], list[int]] | None:
    """Return the phones and their starts, with pauses as SIL; None where other phones were spoken.

    Args:
        requested: ARPAbet phones, without pauses.
        events: the sample where each phone starts and its mnemonic, as the library reports them.
    """
    phones, starts = ["SIL"], [0]
    remaining = iter(requested)
    for sample, spoken in events:
        if spoken in INSERTED:
            continue
        if spoken.startswith("_"):
            phones.append("SIL")
        else:
            phone = next(remaining, None)
            if phone is None or spoken not in (_mnemonic(phone), ALLOPHONES.get(phone)):
                return None
            phones.append(phone)
        starts.append(sample)
    return None if next(remaining, None) else (tuple(phones), starts)
