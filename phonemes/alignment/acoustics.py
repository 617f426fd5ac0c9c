"""What a network's posteriors say of the phonemes of a dictionary.

Words are aligned in ARPAbet without stress: what a dictionary calls AA1 may sound like AA0,
and its T like TIMIT's closure and burst. The posteriors of a network's phonemes that are one
such class add up. A class's log weight in a frame is its log posterior less a part of that of
its prior (see `phonemes.decoding.forward_backward`). K classes, P phonemes, T frames.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.alignment.viterbi import Durations
from phonemes.corpus.audio.phones import TIMIT_TO_ARPABET
from phonemes.decoding.phone_model import PhoneModel
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_PLAIN, ARPABET_STRESS, TIMIT

PRIOR_SCALE = 0.25  # power of the prior that posteriors are divided by
LEAST_POSTERIOR = 1e-7  # of a class in a frame, so that one frame decides nothing alone
_PAUSES = ("SIL", "SPN")
_CLOSURES = {f"{stop}cl": stop.upper() for stop in "bdgkpt"}


class Acoustics(NamedTuple):
    """The classes of a network's phonemes, how frequent they are and how long they last."""

    classes: tuple[str, ...]  # (K,) ARPAbet without stress
    members: NDArray[np.float32]  # (P, K) 1 where a phoneme is of a class, else 0
    log_prior: NDArray[np.float32]  # (K,)
    durations: Durations  # (A, K)
    stress: bool  # whether vowels are named with their stress, as the network names them

    @property
    def labels(self) -> dict[str, int]:
        """Return the class of each phoneme that a dictionary may have, by its name."""
        known = {name: name.rstrip("012") for name in (*ARPABET_STRESS, *ARPABET_PLAIN)}
        places = {name: place for place, name in enumerate(self.classes)}
        return {name: places[each] for name, each in known.items() if each in places}

    @property
    def pauses(self) -> tuple[str, ...]:
        """Return what may be between two words: silence and, where it is known, spoken noise."""
        return tuple(name for name in _PAUSES if name in self.classes)

    def log_posteriors(self, log_posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log posteriors of the classes, (T, K), of those of phonemes, (T, P)."""
        return np.log(np.maximum(np.exp(log_posteriors) @ self.members, LEAST_POSTERIOR))

    def scores(self, log_posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return log weights, (T, K), of log posteriors of classes, (T, K)."""
        return log_posteriors - PRIOR_SCALE * self.log_prior


def acoustics_of(phonemes: Sequence[str], phones: PhoneModel) -> Acoustics:
    """Return the classes of a network's phonemes.

    Args:
        phonemes: (P,) in label order.
        phones: of the data that the network was trained on.

    Raises:
        InputError: they are neither of ARPAbet nor of TIMIT.
    """
    folded = [_class_of(name) for name in phonemes]
    unknown = [name for name, each in zip(phonemes, folded, strict=True) if not each]
    if unknown or "SIL" not in folded:
        raise InputError(
            f"words are aligned by phonemes of ARPAbet or TIMIT; the model's {len(phonemes)} "
            f"are others, such as {', '.join((unknown or phonemes)[:3])}: take another model"
        )
    classes = tuple(dict.fromkeys(folded))
    members = np.array([[each == name for name in classes] for each in folded], np.float64)
    prior = phones.frames @ members
    leaving = (phones.leaving * phones.frames) @ members / prior  # (A, K)
    return Acoustics(
        classes,
        members.astype(np.float32),
        np.log(prior).astype(np.float32),
        Durations(*(np.log(each).astype(np.float32) for each in (1 - leaving, leaving))),
        any(name[-1] in "012" for name in phonemes),
    )


def _class_of(phoneme: str) -> str:
    """Return the class of a network's phoneme, "" where it is of no known inventory."""
    if phoneme in TIMIT:
        return _CLOSURES.get(phoneme, TIMIT_TO_ARPABET[phoneme])
    return phoneme.rstrip("012") if phoneme in (*ARPABET_STRESS, *ARPABET_PLAIN) else ""
