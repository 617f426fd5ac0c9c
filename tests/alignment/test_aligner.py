"""A network aligns sentences that are really spoken."""

from pathlib import Path

import numpy as np
import pytest
from alignment.spoken import sentences, write

from phonemes.alignment.align import Spoken
from phonemes.alignment.aligner import aligner_of
from phonemes.alignment.dictionary import read_lexicons
from phonemes.alignment.transcripts import Text
from phonemes.errors import InputError
from phonemes.transcription.recognizer import open_recognizer

pytestmark = pytest.mark.heavy

pytest.importorskip("soundfile")
pytest.importorskip("soxr")

CMUDICT = read_lexicons(None)


@pytest.fixture(scope="module")
def aligner():
    return aligner_of(open_recognizer("english", "cpu"))


@pytest.fixture
def outcomes(aligner, tmp_path):
    """Return a function that aligns files, which hold sentences, with texts."""
    paths = [tmp_path / f"{number}.wav" for number in range(4)]
    assert len([*write(*paths)]) == 4

    def aligned(texts, sounds=paths, **options):
        given = [Text(text, Path(f"{number}.txt")) for number, text in enumerate(texts)]
        return [*aligner.align_all(sounds[: len(texts)], given, CMUDICT, **options).outcomes]

    return aligned


def text_of(sentence):
    return " ".join(sentence.words)


def test_words_begin_when_they_are_spoken(outcomes):
    found = outcomes([text_of(each) for each in sentences()])
    late = [
        word.start - true.times[0]
        for outcome, sentence in zip(found, sentences(), strict=True)
        for word, true in zip(outcome.aligned.words, sentence.truth, strict=True)
    ]
    assert len(late) == 28
    assert np.median(np.abs(late)) <= 0.02 and np.abs(late).max() < 0.2
    assert [outcome.aligned.misfit for outcome in found] == [""] * 4


def test_an_alignment_has_what_it_was_decided_from(outcomes):
    (outcome,) = outcomes([text_of(sentences()[0])])
    (phones, *_), track, samples = outcome
    assert len(samples) == len(sentences()[0].samples)
    assert track.log_posteriors.shape == (len(track.frames), 71)
    assert len(track.frames) == (len(samples) - 400) // 160 + 1
    assert phones[0].start == 0
    assert phones[-1].end == len(samples) / 16_000
    assert {phone.label for phone in phones} <= {*track.phonemes}


def test_what_fails_leaves_the_others(outcomes, tmp_path):
    (tmp_path / "1.wav").write_text("no sound")
    texts = [text_of(each) for each in sentences()]
    texts[2] = "..."
    texts[3] = text_of(sentences()[0])
    good, damaged, wordless, other = outcomes(texts)
    assert good.aligned.misfit == ""
    assert str(damaged).startswith(f"cannot read {tmp_path}/1.wav: ")
    assert str(wordless) == "2.txt has no words"
    assert str(other).startswith(
        f"{tmp_path}/3.wav does not fit its text from word 1, 'the', at 0."
    )
    assert str(other).endswith("; correct the text")


def test_a_text_that_does_not_fit_can_be_accepted(outcomes):
    (outcome,) = outcomes([text_of(sentences()[1])], accept=True)
    assert outcome.aligned.misfit.startswith("from word 1, 'existing', at 0.")
    assert len(outcome.aligned.words) == 6


def test_a_recording_that_is_too_short_is_named_with_numbers(outcomes, tmp_path):
    import soundfile

    short = tmp_path / "short.wav"
    soundfile.write(short, sentences()[0].samples[:1600], 16_000)
    (error,) = outcomes([text_of(sentences()[0])], [short])
    assert isinstance(error, InputError)
    assert str(error).startswith(f"{short}: it is too short for its text: 0.10 s are 8 frames, and")


def test_stress_is_named_as_asked_for():
    plain = aligner_of(open_recognizer("english", "cpu"), stress=False)
    words = [Spoken("shoe", [("SH", "UW1")]), Spoken("child", [("CH", "AY1", "L", "D")])]
    found = plain.align(sentences()[0].samples, words).aligned.phones
    spoken = [phone.label for phone in found if phone.label not in ("SIL", "SPN")]
    assert spoken == ["SH", "UW", "CH", "AY", "L", "D"]
