"""Boundaries and refused texts are counted as the module says."""

import sys

import numpy as np
import pytest

from benchmarks import alignment
from benchmarks.alignment import (
    PackedCorpus,
    PocketSphinx,
    Recording,
    Word,
    generated,
    packed,
    refused,
    right_frames,
    score,
    spoken_in,
    true_words,
    words_in,
)
from phonemes.corpus.params import SyntheticParams
from phonemes.corpus.synthetic.espeak import Speech
from phonemes.corpus.synthetic.sessions import Recorded
from phonemes.transcription.recognizer import open_recognizer
from phonemes.transcription.segments import Segment


def test_words_of_a_generated_sentence_have_an_end_before_a_pause_only():
    phones = ("SIL", "K", "AE1", "T", "S", "AE1", "T", "SIL", "SPN", "SIL", "OW1", "SIL")
    starts = np.array([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99])
    speech = Speech(np.zeros(110, np.float32), 100, phones, starts)
    words = [("K", "AE1", "T"), ("S", "AE1", "T"), ("OW1",)]
    assert true_words(Recorded("a", np.zeros(1), speech), words) == (
        Word(("K", "AE", "T"), (0.1, 0.2, 0.3)),
        Word(("S", "AE", "T"), (0.4, 0.5, 0.6, 0.7)),
        Word(("OW",), (0.95, 0.99)),
    )


def test_words_of_an_alignment_have_their_phonemes():
    phones = [
        Segment(start, start + 0.1, label, 1.0)
        for start, label in ((0.0, "SIL"), (0.1, "K"), (0.2, "AE1"), (0.3, "T"), (0.4, "OW0"))
    ]
    words = [Segment(0.1, 0.4, "cat", 1.0), Segment(0.4, 0.5, "oh", 1.0)]
    assert [*words_in(words, phones)] == [
        Word(("K", "AE", "T"), (0.1, 0.2, 0.3, 0.4)),
        Word(("OW",), (0.4, 0.5)),
    ]


def test_boundaries_of_other_pronunciations_and_failures_count_as_missed():
    truth = [Word(("A", "B"), (0.0, 0.1, 0.3)), Word(("C",), (0.3,))]
    near = [Word(("A", "B"), (0.0, 0.115, 0.34)), Word(("C",), (0.31, 0.5))]
    other = [Word(("A", "D"), (0.0, 0.1, 0.3)), Word(("C",), (0.3, 0.5))]
    found = score([truth] * 3, [near, other, None])
    assert (found.boundaries, found.words, found.differing, found.failed) == (12, 6, 1, 1)
    np.testing.assert_allclose(found.errors, [0, 0.015, 0.04, 0.01, 0], atol=1e-9)
    # of 12: 0, 10, 0 ms within 10 ms; 15 ms within 20 ms; 40 ms within 50 ms
    assert found.cells() == ["25.0%", "33.3%", "41.7%", "80.0%", "10.0", "16.7%", "1"]


def test_texts_are_ones_own_anothers_longer_and_shorter():
    texts = [tuple("abcdefgh"), tuple("ABCDEFGH"), tuple("stuvwxyz")]
    tried = []

    def fits(number, text):
        tried.append((number, text))
        return text == texts[number]

    assert refused(texts, fits) == ["0.0%", "100.0%", "100.0%", "100.0%"]
    own, other, longer, shorter = (text for number, text in tried if number == 0)
    assert own == texts[0] and other in texts[1:]
    assert len(longer) == 11 and [*longer] != sorted(longer)
    assert [each for each in longer if each not in other[:3]] == [*own]
    assert len(shorter) == 5 and {*shorter} < {*own}


@pytest.mark.heavy
def test_generated_sentences_are_those_of_the_corpus_with_their_words():
    recordings = [*generated(SyntheticParams(0.1, 3))]
    assert len(recordings) == 4  # two of dev, two of test
    for samples, words, truth in recordings:
        assert len(words) == len(truth)
        assert 0 < truth[0].times[0] < truth[-1].times[-1] < len(samples) / alignment.RATE


@pytest.mark.heavy
def test_pocketsphinx_finds_the_words_of_a_sentence():
    pytest.importorskip("pocketsphinx")
    recordings, aligner = [*generated(SyntheticParams(0.1, 3))], PocketSphinx()
    found = [(each, words) for each in recordings if (words := aligner(each)) is not None]
    late = [
        word.times[0] - true.times[0]
        for each, words in found
        for word, true in zip(words, each.truth, strict=True)
    ]
    assert len(late) > 4 and abs(np.median(late)) < 0.03
    assert aligner(Recording(recordings[0].samples[:4000], recordings[0].words, ())) is None


def test_phonemes_of_frames_are_grouped_between_pauses():
    names = ["SIL", "K", "K", "AE1", "SPN", "SIL", "T", "T"]
    assert [[each[:3] for each in group] for group in spoken_in(names, 0.5)] == [
        [(0.5, 1.5, "K"), (1.5, 2.0, "AE1")],
        [(3.0, 4.0, "T")],
    ]


def test_a_frame_is_right_whatever_its_stress_and_kind_of_pause():
    names = ["SIL", "SPN", "AE0", "AE1", "T", "T"]
    phones = [
        Segment(0, 0.02, "SIL", 1.0),
        Segment(0.02, 0.05, "AE1", 1.0),
        Segment(0.05, 0.06, "T", 1.0),
    ]
    assert right_frames(phones, names, 0.01) == 5


@pytest.fixture
def corpus(tmp_path):
    """Return a packed corpus of two utterances of noise, and one of silence."""
    for name in ("frames", "lengths", "labels"):
        (tmp_path / name).mkdir()
    random = np.random.default_rng(0)
    names = ["SIL", "K", "AE1", "T"]
    (tmp_path / "phonemes.txt").write_text("\n".join(names))
    lengths = np.array([60, 30, 80])
    labels = [np.repeat([0, 1, 2, 3, 0], [20, 10, 10, 10, 10]), np.zeros(30, int)]
    labels.append(np.repeat([1, 2, 3, 1, 2], 16))
    np.save(tmp_path / "lengths/dev.npy", lengths)
    np.save(tmp_path / "labels/dev.npy", np.concatenate(labels).astype(np.int16))
    frames = random.normal(size=(170, 40)).astype(np.float32)
    np.save(tmp_path / "frames/dev.npy", frames)
    return tmp_path


@pytest.mark.heavy
def test_a_packed_corpus_is_measured_with_a_network(corpus):
    utterances = [*packed(corpus, "dev")]
    assert [len(each.frames) for each in utterances] == [60, 80]  # silence is left out
    measured = PackedCorpus(utterances, open_recognizer("english", "cpu"))
    aligned = measured.aligned(1, ["K AE1 T", "K AE1"])
    labels = [each.label for each in aligned.phones if each.label not in alignment.PAUSES]
    assert labels == ["K", "AE1", "T", "K", "AE1"]
    *cells, right = measured.boundaries()
    assert cells[5:] == ["0.0%", "0"] and right.endswith("%")
    assert measured.refused()[0] == "100.0%"  # it is noise


@pytest.mark.heavy
def test_the_tables_name_every_aligner(corpus, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["alignment", "--corpus", str(corpus), "--model", "english", "--device", "cpu"]
    )
    alignment.main()
    first, header, boundaries, texts, shares = capsys.readouterr().out.splitlines()
    assert first == f"2 utterances of {corpus}, dev"
    assert header.split()[-2:] == ["frames", "right"]
    assert boundaries.startswith("english ") and shares.startswith("english ")
    assert texts.split() == "texts refused own other 3 more 3 fewer".split()
