"""A small network's phonemes, and posteriors that say clearly what is spoken."""

from collections.abc import Sequence

import numpy as np

from phonemes.alignment.acoustics import Acoustics, acoustics_of
from phonemes.decoding.phone_model import Histories, PhoneModel
from phonemes.inventory import ARPABET_STRESS

STRIDE = 0.01


def phone_model(classes: int, leaving: float = 0.2) -> PhoneModel:
    """Return a model in which all phonemes are as frequent and last as long."""
    same = np.full(classes, 1 / classes)
    own, none = np.arange(classes), np.zeros(classes)
    unused = Histories(own, own, none, own, own, none, none)
    return PhoneModel(same, unused, np.full((3, classes), leaving), same)


def acoustics(phonemes: Sequence[str] = ARPABET_STRESS) -> Acoustics:
    return acoustics_of(phonemes, phone_model(len(phonemes)))


def speech(
    *spoken: tuple[str, int], phonemes: Sequence[str] = ARPABET_STRESS, sure: float = 0.9
) -> np.ndarray:
    """Return log posteriors, (T, P), of phonemes that last some frames each."""
    labels = np.repeat([phonemes.index(name) for name, _ in spoken], [n for _, n in spoken])
    shares = np.full((len(labels), len(phonemes)), (1 - sure) / (len(phonemes) - 1), np.float32)
    shares[np.arange(len(labels)), labels] = sure
    return np.log(shares)
