"""Confusion matrices that tests of tables share."""

import numpy as np

from phonemes.inventory import phonetic_order

NAMES = ("SIL", "T", "D", "AH0")  # of the fixture `counts`


def random_counts(classes, frames):
    """Return (P, P) counts of so many frames."""
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.ones(classes**2))
    return rng.multinomial(frames, shares).reshape(classes, classes)


def in_order(phonemes):
    """Return phonemes in the order of the axes."""
    return [phonemes[label] for label in phonetic_order(phonemes)]
