"""Sentences that espeak-ng speaks, for pictures and tests; light to import in a new process."""

from functools import cache
from itertools import islice
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.synthetic.sessions import Recorded, Session, label_frames, record_session
from phonemes.corpus.synthetic.source import plan_sessions
from phonemes.inventory import ARPABET_STRESS

RATE = 16_000  # Hz
VOICES, SENTENCES = ("m1", "steph"), 3  # which are spoken, and how many of each


def spoken(session: Session) -> list[Recorded]:
    """Return the first sentences of a voice; this runs in a fresh process."""
    return [*islice(record_session(session, RATE), SENTENCES)]


@cache
def sentences() -> list[Recorded]:
    """Return sentences of two voices of the generated corpus."""
    sessions = [each for each in plan_sessions(45, 11785)["train"] if each.voice in VOICES]
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.map(spoken, sessions, chunksize=1)
    return [each for session in found for each in session]


def sentence() -> Recorded:
    """Return one sentence, the second of the second voice."""
    return sentences()[-2]


def phones_at(recorded: Recorded, times: NDArray[np.float64]) -> list[str]:
    """Return the phone that is spoken at each of some times in s."""
    return [ARPABET_STRESS[label] for label in label_frames(recorded.speech, times)]
