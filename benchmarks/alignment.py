"""How exactly words are aligned: where phonemes begin, and which texts are refused.

    python -m benchmarks.alignment [--model FILE ...] [--minutes 45]
    python -m benchmarks.alignment --corpus data/corpus [--split dev] [--model FILE ...]

The first speaks sentences with the dev and test voices of the generated corpus, whose
boundaries are known, and aligns their words with each model, by default the one of models/ and
`english`, and with pocketsphinx's aligner. The second takes a split of a packed corpus, whose
frames the models must know: the phonemes of each utterance's labels are aligned with its
posteriors, and compared with the labels. There words are unknown: a text is a list of
phonemes, with a pause possible after each fourth.

A boundary is where a phoneme of a word begins, or a word ends before a pause. Compared are
phonemes without stress. Where an aligner chose another pronunciation of a word, and where it
gave no alignment, boundaries count as missed. "compared" is the share within 20 ms of all
others, "median" their median distance in ms.

Texts that are tried are a recording's own, that of another one, its own with three words of
another at a random place, and its own without three. One that has more phonemes than the
recording has frames counts as refused.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.alignment.acoustics import acoustics_of
from phonemes.alignment.align import Aligned, Clock, Spoken, align
from phonemes.alignment.aligner import aligner_of
from phonemes.alignment.dictionary import prepare, read_lexicons
from phonemes.alignment.transcripts import Text
from phonemes.corpus.params import SyntheticParams
from phonemes.corpus.synthetic.prompts import read_lexicon, write_prompts
from phonemes.corpus.synthetic.sessions import Recorded, Session, record_session
from phonemes.corpus.synthetic.source import plan_sessions
from phonemes.errors import InputError, reported
from phonemes.storage.layout import MODEL, Frames
from phonemes.storage.read import read_frames, read_labels, read_lengths, read_phonemes
from phonemes.transcription.recognizer import ENGLISH, Recognizer, open_recognizer
from phonemes.transcription.segments import Segment, runs

RATE = 16_000  # Hz
SEED = 11785  # that of params.yaml
SPLITS = ("dev", "test")  # whose voices no model was trained on
PAUSES = ("SIL", "SPN")
WITHIN = (0.01, 0.02, 0.05)  # s
PIECE = 4  # phonemes of a packed corpus that stand for a word
HEADER = ["10 ms", "20 ms", "50 ms", "compared", "median", "other words", "failed"]
REFUSED = ["own", "other", "3 more", "3 fewer"]


def row(name: str, cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"{name[-30:]:30}" + "".join(f"{cell:>13}" for cell in cells)


# What was spoken


class Word(NamedTuple):
    """When a word is spoken."""

    phones: tuple[str, ...]  # without stress
    times: tuple[float, ...]  # s; when each begins and, where it counts, when the last ends


class Recording(NamedTuple):
    """A sentence, with what is known of it."""

    samples: NDArray[np.float32]  # (S,) at RATE
    words: tuple[str, ...]
    truth: tuple[Word, ...]


def generated(params: SyntheticParams) -> Iterator[Recording]:
    """Yield the sentences of the dev and test voices of the generated corpus."""
    lexicon = read_lexicon()
    prompts = write_prompts(lexicon, np.random.default_rng(params.seed))
    for split, sessions in plan_sessions(params.minutes, params.seed).items():
        for session in sessions:
            said = [*islice(prompts, len(session.sentences))]  # in the order of the plan
            if split not in SPLITS:
                continue
            with get_context("spawn").Pool(1) as pool:
                recordings = pool.apply(record, (session,))
            for recorded in recordings:
                number = int(recorded.name.rpartition("-")[2]) - session.first
                words = tuple(word for clause in said[number] for word in clause)
                truth = true_words(recorded, [lexicon[word] for word in words])
                yield Recording(recorded.samples.astype(np.float32), words, truth)


def record(session: Session) -> list[Recorded]:
    """Return the recordings of a session; this runs in a fresh process."""
    return [*record_session(session, RATE)]


def true_words(recorded: Recorded, words: Sequence[Sequence[str]]) -> tuple[Word, ...]:
    """Return when the words of a generated sentence are spoken.

    Args:
        recorded: the sentence.
        words: the phonemes of each word.
    """
    _, rate, phones, starts = recorded.speech
    times = [*(starts / rate).tolist(), len(recorded.speech.samples) / rate]
    segments = [
        Segment(start, end, phone, 1.0)
        for phone, start, end in zip(phones, times[:-1], times[1:], strict=True)
        if phone not in PAUSES
    ]
    spoken, found = iter(segments), []
    for phonemes in words:
        found.append([*islice(spoken, len(phonemes))])
    return tuple(_with_ends(found))


def _with_ends(words: Sequence[Sequence[Segment]]) -> Iterator[Word]:
    """Yield words given by their phonemes, with an end where the next does not begin there."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        times = [phone.start for phone in word]
        if following is None or following[0].start > word[-1].end + 1e-6:
            times.append(word[-1].end)
        yield Word(tuple(phone.label.rstrip("012") for phone in word), tuple(times))


# Aligners

Align = Callable[[Recording], Sequence[Word] | None]  # None where it gives no alignment


class Network:
    """The project's aligner with a network."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._aligner = aligner_of(recognizer)
        self._lexicon = read_lexicons(None)

    def __call__(self, recording: Recording) -> list[Word] | None:
        """Align a recording."""
        with suppress(InputError):  # more phonemes than frames
            aligned, *_ = self._aligner.align(recording.samples, self._spoken(recording.words))
            return [*words_in(aligned.words, aligned.phones)]
        return None

    def fits(self, recording: Recording, words: Sequence[str]) -> bool:
        """Return whether a text is not refused."""
        with suppress(InputError):
            aligned, *_ = self._aligner.align(recording.samples, self._spoken(words))
            return not aligned.misfit
        return False

    def _spoken(self, words: Sequence[str]) -> list[Spoken]:
        (spoken,), _ = prepare([Text(" ".join(words), Path("text"))], self._lexicon)
        assert not isinstance(spoken, InputError)
        return spoken


def words_in(words: Sequence[Segment], phones: Sequence[Segment]) -> Iterator[Word]:
    """Yield the words of an alignment with their phonemes and ends."""
    for word in words:
        own = [phone for phone in phones if word.start <= phone.start < word.end]
        names = tuple(phone.label.rstrip("012") for phone in own)
        yield Word(names, (*(phone.start for phone in own), word.end))


class PocketSphinx:
    """The aligner of pocketsphinx: words first, then their phonemes in a second pass."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=RATE, loglevel="FATAL")
        self._lexicon = read_lexicon()

    def __call__(self, recording: Recording) -> list[Word] | None:
        """Align a recording."""
        for word in recording.words:
            if self._decoder.lookup_word(word) is None:
                plain = [phone.rstrip("012") for phone in self._lexicon[word]]
                self._decoder.add_word(word, " ".join(plain), True)
        try:
            self._decoder.set_align_text(" ".join(recording.words))
            self._pass(recording)
            self._decoder.set_alignment()
            self._pass(recording)
        except RuntimeError:  # no path reached the end
            return None
        found = []
        for entry in self._decoder.get_alignment():
            if entry.name[0] not in "<[(+":  # silence and noise
                phones = [*entry]
                starts = [phone.start / 100 for phone in phones]
                end = (phones[-1].start + phones[-1].duration) / 100
                found.append(Word(tuple(phone.name for phone in phones), (*starts, end)))
        return found if len(found) == len(recording.words) else None  # it may break off

    def _pass(self, recording: Recording) -> None:
        sound = (np.clip(recording.samples, -1, 1) * 32767).astype(np.int16)
        self._decoder.start_utt()
        self._decoder.process_raw(sound.tobytes(), full_utt=True)
        self._decoder.end_utt()


# What is measured


class Score(NamedTuple):
    """How far boundaries are off."""

    boundaries: int
    errors: NDArray[np.float64]  # s, of those of words with the same phonemes
    words: int
    differing: int  # words with other phonemes
    failed: int  # recordings without alignment

    def cells(self) -> list[str]:
        """Return it as cells of a row under HEADER."""
        off = np.abs(self.errors) - 1e-6  # times are floats
        shares = [(off <= most).sum() / self.boundaries for most in WITHIN]
        return [
            *(f"{share:.1%}" for share in (*shares, (off <= WITHIN[1]).mean())),
            f"{1000 * np.median(np.abs(self.errors)):.1f}",
            f"{self.differing / self.words:.1%}",
            str(self.failed),
        ]


def score(truths: Sequence[Sequence[Word]], found: Sequence[Sequence[Word] | None]) -> Score:
    """Compare alignments with the truth; see the top of this module."""
    errors: list[float] = []
    differing = 0
    for truth, words in zip(truths, found, strict=True):
        if words is None:
            continue
        for true, word in zip(truth, words, strict=True):
            if true.phones == word.phones:
                errors += np.subtract(word.times[: len(true.times)], true.times).tolist()
            else:
                differing += 1
    return Score(
        sum(len(word.times) for truth in truths for word in truth),
        np.array(errors),
        sum(map(len, truths)),
        differing,
        sum(words is None for words in found),
    )


def refused(
    texts: Sequence[tuple[str, ...]], fits: Callable[[int, tuple[str, ...]], bool]
) -> list[str]:
    """Return the shares of texts that are refused, as cells under REFUSED.

    Args:
        texts: of each recording, in words or what stands for them.
        fits: whether a text is not refused for a recording, given by its number.
    """
    random = np.random.default_rng(0)
    counts = np.zeros((len(REFUSED), 2), int)
    for number, own in enumerate(texts):
        other = texts[(number + int(random.integers(1, len(texts)))) % len(texts)]
        at = int(random.integers(max(1, len(own) - 3)))
        tried = (own, other, own[:at] + other[:3] + own[at:], own[:at] + own[at + 3 :])
        for kind, text in enumerate(tried):
            if text and (kind == 0 or text != own):
                counts[kind] += (not fits(number, text), 1)
    return [f"{bad / tried:.1%}" if tried else "-" for bad, tried in counts.tolist()]


def measure_generated(recognizers: Sequence[Recognizer], minutes: float) -> None:
    """Print how well networks and pocketsphinx align generated speech."""
    recordings = [*generated(SyntheticParams(minutes, SEED))]
    truths = [recording.truth for recording in recordings]
    boundaries = sum(len(word.times) for truth in truths for word in truth)
    print(f"{len(recordings)} generated sentences of unseen voices, {boundaries:,} boundaries")
    print(row("boundaries within", HEADER))
    networks = {each.name: Network(each) for each in recognizers}
    aligners: dict[str, Align] = {**networks, "pocketsphinx": PocketSphinx()}
    for name, aligner in aligners.items():
        print(row(name, score(truths, [*map(aligner, recordings)]).cells()))
    print(row("texts refused", REFUSED))
    for name, network in networks.items():

        def fits(number: int, text: tuple[str, ...], network: Network = network) -> bool:
            return network.fits(recordings[number], text)

        print(row(name, refused([recording.words for recording in recordings], fits)))


class Utterance(NamedTuple):
    """An utterance of a packed corpus."""

    frames: Frames  # (T, C)
    names: tuple[str, ...]  # (T,) phonemes of its labels


def packed(corpus: Path, split: str) -> Iterator[Utterance]:
    """Yield the utterances of a split of a packed corpus in which something is said."""
    phonemes = read_phonemes(corpus)
    lengths = read_lengths(corpus, split)
    count = int(lengths.sum())
    frames = read_frames(corpus / f"frames/{split}.npy", count)
    labels = read_labels(corpus / f"labels/{split}.npy", count, len(phonemes))
    for end, length in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True):
        of = slice(end - length, end)
        names = tuple(phonemes[label] for label in labels[of])
        if not {*names} <= {*PAUSES}:
            yield Utterance(frames[of], names)


def spoken_in(names: Sequence[str], stride: float) -> list[list[Segment]]:
    """Return the phonemes of frames, (T,), between two pauses each."""
    _, label = np.unique(names, return_inverse=True)
    groups: list[list[Segment]] = [[]]
    for begin, end in runs(label):
        if names[begin] in PAUSES:
            groups.append([])
        else:
            groups[-1].append(Segment(begin * stride, end * stride, names[begin], 1.0))
    return [group for group in groups if group]


def right_frames(phones: Sequence[Segment], names: Sequence[str], stride: float) -> int:
    """Return how many of T frames have the phoneme of their label; stress and kind of pause aside.

    Args:
        phones: of an alignment.
        names: (T,) of the labels.
        stride: s from one frame to the next.
    """
    found = [
        _plain(phone.label)
        for phone in phones
        for _ in range(round(phone.start / stride), round(phone.end / stride))
    ]
    return sum(_plain(name) == each for name, each in zip(names, found, strict=True))


def _plain(name: str) -> str:
    return "SIL" if name in PAUSES else name.rstrip("012")


class PackedCorpus:
    """A packed corpus and the posteriors of a network."""

    def __init__(self, utterances: Sequence[Utterance], recognizer: Recognizer) -> None:
        self._utterances, self._stride = utterances, recognizer.stride
        self._acoustics = acoustics_of(recognizer.phonemes, recognizer.phones)
        self._posteriors = recognizer.log_posteriors([each.frames for each in utterances])
        self._groups = [spoken_in(each.names, self._stride) for each in utterances]

    def aligned(self, number: int, text: Sequence[str]) -> Aligned:
        """Align an utterance with phonemes, those of a word together."""
        posteriors = self._posteriors[number]
        clock = Clock(0.0, self._stride, len(posteriors) * self._stride)
        words = [Spoken(word, [word.split()]) for word in text]
        return align(posteriors, words, self._acoustics, clock)

    def fits(self, number: int, text: tuple[str, ...]) -> bool:
        """Return whether a text is not refused."""
        with suppress(InputError):
            return not self.aligned(number, text).misfit
        return False

    def boundaries(self) -> list[str]:
        """Return how far boundaries are off, and the share of frames that are right, as cells."""
        truths, found, right = [], [], 0
        for number, groups in enumerate(self._groups):
            own = [" ".join(phone.label for phone in group) for group in groups]
            aligned = self.aligned(number, own)
            truths.append([*_with_ends(groups)])
            found.append([*words_in(aligned.words, aligned.phones)])
            right += right_frames(aligned.phones, self._utterances[number].names, self._stride)
        frames = sum(len(each.names) for each in self._utterances)
        return [*score(truths, found).cells(), f"{right / frames:.1%}"]

    def refused(self) -> list[str]:
        """Return the shares of texts that are refused, as cells."""
        texts = [tuple(_pieces(groups)) for groups in self._groups]
        return refused(texts, self.fits)


def _pieces(groups: Sequence[Sequence[Segment]]) -> Iterator[str]:
    """Yield the phonemes between pauses in pieces of a few."""
    for group in groups:
        for first in range(0, len(group), PIECE):
            yield " ".join(phone.label for phone in group[first : first + PIECE])


def measure_packed(recognizers: Sequence[Recognizer], corpus: Path, split: str) -> None:
    """Print how well networks align the labels of a packed corpus."""
    utterances = [*packed(corpus, split)]
    print(f"{len(utterances)} utterances of {corpus}, {split}")
    corpora = {each.name: PackedCorpus(utterances, each) for each in recognizers}
    print(row("boundaries within", [*HEADER, "frames right"]))
    for name, measured in corpora.items():
        print(row(name, measured.boundaries()))
    print(row("texts refused", REFUSED))
    for name, measured in corpora.items():
        print(row(name, measured.refused()))


def main() -> None:
    """Measure generated speech, or a packed corpus."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", action="append", help="a model file, or english; several times")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=45, help="of the whole generated corpus")
    parser.add_argument("--corpus", type=Path, help="a packed corpus, as data/corpus")
    parser.add_argument("--split", default="dev")
    arguments = parser.parse_args()
    with reported():
        models = arguments.model or [*([str(MODEL)] if MODEL.exists() else []), ENGLISH]
        recognizers = [open_recognizer(model, arguments.device) for model in models]
        if arguments.corpus:
            measure_packed(recognizers, arguments.corpus, arguments.split)
        else:
            measure_generated(recognizers, arguments.minutes)


if __name__ == "__main__":
    main()
