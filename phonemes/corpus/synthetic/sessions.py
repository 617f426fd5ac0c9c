"""One session of one voice: sentences are synthesized, surrounded by pauses and noises, recorded.

SPN, a noise of the speaker, is a cough (a burst of coloured noise) or a mumble (a part of
the utterance played backwards), before or after the sentence.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.corpus.source import Utterance
from phonemes.corpus.synthetic.acoustics import coloured_noise, record, rms
from phonemes.corpus.synthetic.boundaries import correct_boundaries
from phonemes.corpus.synthetic.espeak import Espeak, Speech
from phonemes.corpus.synthetic.prompts import Pronunciation
from phonemes.features.log_mel import FeatureParams, label_times, log_mel
from phonemes.inventory import ARPABET_STRESS


class Session(NamedTuple):
    """Sentences of one voice, and the seed of everything random in them."""

    voice: str  # a variant file of espeak-ng
    seed: int
    first: int  # number of the first sentence
    sentences: Sequence[Sequence[Sequence[Pronunciation]]]  # each of clauses of words


class Recorded(NamedTuple):
    """One sentence as it was recorded."""

    name: str
    samples: NDArray[np.floating]  # (S,) at the rate that was asked for
    speech: Speech  # its phones, and where they start in samples of `speech.rate`


def hold_session(session: Session, features: FeatureParams) -> list[Utterance]:
    """Return one utterance a sentence; needs a fresh process, see `espeak`."""
    utterances = []
    for name, samples, speech in record_session(session, features.sample_rate):
        frames = log_mel(samples, features)
        labels = label_frames(speech, label_times(len(frames), features))
        utterances.append(Utterance(name, session.voice, frames, labels))
    return utterances


def record_session(session: Session, sample_rate: int) -> Iterator[Recorded]:
    """Yield the recordings of a session at `sample_rate` Hz; needs a fresh process, see `espeak`.

    A sentence in which the library speaks other phones is left out, so that labels are exact.
    """
    import soxr  # optional

    espeak = Espeak(session.voice, session.seed)
    for number, clauses in enumerate(session.sentences, session.first):
        name = f"{session.voice}-{number:04d}"
        rng = np.random.default_rng([session.seed, *name.encode()])
        rate, pitch, spread = rng.integers([115, 35, 30], [196, 66, 71])
        speech = espeak.say(clauses, int(rate), int(pitch), int(spread))
        if speech is None:
            continue
        speech = add_surroundings(correct_boundaries(speech), rng)
        # Played faster or slower: pitch and formants move as with the length of a vocal tract.
        speech = speech._replace(rate=round(speech.rate * rng.uniform(0.92, 1.08)))
        samples = soxr.resample(speech.samples, speech.rate, sample_rate)
        yield Recorded(name, record(samples, sample_rate, rng), speech)


def label_frames(speech: Speech, centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the label of the phone at each of `centres`, (T,), in seconds."""
    labels = np.array([ARPABET_STRESS.index(phone) for phone in speech.phones])
    return labels[np.searchsorted(speech.starts, centres * speech.rate, side="right") - 1]


def add_surroundings(speech: Speech, rng: np.random.Generator) -> Speech:
    """Return the speech between pauses of 80 to 350 ms; 3 in 10 have an SPN before or after it."""
    pieces = [speech]
    if rng.random() < 0.3:
        noise = _cough(speech, rng) if rng.random() < 0.5 else _mumble(speech, rng)
        pieces.insert(int(rng.integers(2)), _all_of("SPN", noise, speech.rate))
    parts = [_pause(speech.rate, rng)]
    for piece in pieces:
        parts += [piece, _pause(speech.rate, rng)]
    offsets = np.cumsum([0, *(len(part.samples) for part in parts[:-1])])
    return Speech(
        np.concatenate([part.samples for part in parts]),
        speech.rate,
        tuple(phone for part in parts for phone in part.phones),
        np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=True)]),
    )


def _all_of(phone: str, samples: NDArray[np.floating], rate: int) -> Speech:
    return Speech(samples.astype(np.float32), rate, (phone,), np.array([0]))


def _pause(rate: int, rng: np.random.Generator) -> Speech:
    return _all_of("SIL", np.zeros(int(rng.uniform(0.08, 0.35) * rate)), rate)


def _cough(speech: Speech, rng: np.random.Generator) -> NDArray[np.floating]:
    count = int(rng.uniform(0.12, 0.4) * speech.rate)
    envelope = np.hanning(count) ** rng.uniform(0.3, 2)
    loudness = rms(speech.samples) * rng.uniform(0.5, 1.6)
    return coloured_noise(count, rng.uniform(0, 0.8), rng) * envelope * loudness


def _mumble(speech: Speech, rng: np.random.Generator) -> NDArray[np.floating]:
    count = min(int(rng.uniform(0.2, 0.5) * speech.rate), len(speech.samples) // 2)
    start = int(rng.integers(len(speech.samples) - count))
    return speech.samples[start : start + count][::-1] * np.hanning(count) ** 0.3
