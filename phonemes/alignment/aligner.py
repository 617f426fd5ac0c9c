"""Align recordings with a trained network: samples and words, or files and texts.

S samples, T frames.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.alignment.acoustics import Acoustics, acoustics_of
from phonemes.alignment.align import Batch, Clock, Outcome, Spoken, align
from phonemes.alignment.dictionary import prepare
from phonemes.alignment.lexicon import Lexicon
from phonemes.alignment.transcripts import Text
from phonemes.errors import InputError, MachineError
from phonemes.features.log_mel import samples_of
from phonemes.storage.layout import Frames
from phonemes.transcription.blocks import blocks, framed
from phonemes.transcription.recognizer import Recognizer
from phonemes.transcription.segments import Track
from phonemes.transcription.sound import pieces

PIECE = 2**17  # samples whose frames are computed at once
BATCH = 16  # blocks whose posteriors are


class Aligner(NamedTuple):
    """A network, and what its phonemes are in ARPAbet."""

    recognizer: Recognizer
    acoustics: Acoustics

    def align(self, samples: NDArray[np.float32], words: Sequence[Spoken]) -> Outcome:
        """Return when the words and phonemes of a recording are spoken.

        Args:
            samples: (S,) at the rate of the recognizer.
            words: of its text.

        Raises:
            InputError: it is too short for its text, or for a frame.
        """
        track = self._track(samples)
        duration = len(samples) / self.recognizer.rate
        clock = Clock(track.start, track.stride, duration)
        aligned = align(track.log_posteriors, words, self.acoustics, clock)
        return Outcome(aligned, track, samples)

    def _track(self, samples: NDArray[np.float32]) -> Track:
        """Return the frames of a recording and their posteriors, which are not smoothed."""
        network = self.recognizer
        width = samples_of(network.features.frame_width, network.features)
        if len(samples) < width:
            raise InputError(
                f"it has {len(samples)} samples at {network.rate} Hz, and a frame has {width}"
            )
        pieces = (samples[begin : begin + PIECE] for begin in range(0, len(samples), PIECE))
        parts = blocks(framed(pieces, network.features), network.stride)
        found: list[tuple[Frames, NDArray[np.float32]]] = []
        while batch := [*islice(parts, BATCH)]:
            found += zip(batch, network.log_posteriors(batch), strict=True)
        frames, posteriors = map(np.concatenate, zip(*found, strict=True))
        return Track(
            network.start, network.stride, frames, posteriors, network.phonemes, network.bands
        )

    def align_all(
        self,
        sounds: Sequence[Path],
        texts: Iterable[Text | InputError],
        lexicon: Lexicon,
        *,
        accept: bool = False,
    ) -> Batch:
        """Align recordings while the outcomes are iterated; all words are looked up at once.

        Args:
            sounds: the recordings.
            texts: of each, or why there is none.
            lexicon: of words.
            accept: texts that do not fit their recordings.

        Raises:
            InputError: espeak-ng is needed and not installed.
        """
        prepared = prepare(texts, lexicon)
        pairs = zip(sounds, prepared.words, strict=True)
        outcomes = (self._outcome(sound, words, accept) for sound, words in pairs)
        return Batch(prepared.spelled, outcomes)

    def _outcome(
        self, sound: Path, words: list[Spoken] | InputError, accept: bool
    ) -> Outcome | InputError:
        """Return the alignment of a file, or what is wrong with it or its text."""
        if isinstance(words, InputError):
            return words
        try:
            samples = np.concatenate([*pieces(sound, self.recognizer.rate)])
            outcome = self.align(samples, words)
        except MachineError:  # the recording is not at fault
            raise
        except InputError as error:
            return error if str(sound) in str(error) else InputError(f"{sound}: {error}")
        if (misfit := outcome.aligned.misfit) and not accept:
            return InputError(f"{sound} does not fit its text {misfit}; correct the text")
        return outcome


def aligner_of(recognizer: Recognizer, stress: bool | None = None) -> Aligner:
    """Return what aligns with a network.

    Args:
        recognizer: the network.
        stress: whether vowels have the stress of the dictionary; None: as the network's have.

    Raises:
        InputError: its phonemes are neither of ARPAbet nor of TIMIT.
    """
    acoustics = acoustics_of(recognizer.phonemes, recognizer.phones)
    return Aligner(recognizer, acoustics if stress is None else acoustics._replace(stress=stress))
