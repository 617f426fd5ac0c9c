"""A corpus without a download: exact labels, unseen voices, the same bytes from the same seed."""

import multiprocessing
import sys
from collections import Counter
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from phonemes.corpus import Source, Utterance, write_corpus
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_STRESS
from phonemes.params import Features, Params, Synthetic
from phonemes.sources import synthetic
from phonemes.sources.acoustics import coloured_noise, decibels, record, reverberate, rms
from phonemes.sources.boundaries import correct_boundaries
from phonemes.sources.espeak import Speech
from phonemes.sources.prompts import read_lexicon, write_prompts
from phonemes.sources.sessions import Session, add_surroundings, label_frames
from phonemes.sources.synthetic import VOICES, open_source, plan_sessions

RATE = 22_050
HALF_A_MINUTE = Synthetic(minutes=0.5, seed=1)  # two voices in train, one in dev, one in test


def everything(source: Source) -> dict[str, list[Utterance]]:
    return {split: list(utterances()) for split, utterances in source.splits.items()}


def as_bytes(corpus: dict[str, list[Utterance]]) -> list[bytes]:
    return [u.frames.tobytes() + u.labels.tobytes() for split in corpus.values() for u in split]


@pytest.fixture(scope="module")
def features(shipped: Params) -> Features:
    return shipped.features


@pytest.fixture(scope="module")
def corpus(features: Features) -> dict[str, list[Utterance]]:
    return everything(open_source(HALF_A_MINUTE, features, jobs=2))


# The plan: who says what


@pytest.fixture(scope="module")
def plan(shipped: Params) -> dict[str, list[Session]]:
    return plan_sessions(shipped.corpus.synthetic.minutes, shipped.corpus.synthetic.seed)


def phones_of(sessions: list[Session]) -> Counter[str]:
    return Counter(
        phone
        for session in sessions
        for sentence in session.sentences
        for clause in sentence
        for word in clause
        for phone in word
    )


def test_every_phoneme_is_said_in_every_split_and_often_in_train(plan):
    speech = set(ARPABET_STRESS) - {"SIL", "SPN"}
    train = phones_of(plan["train"])
    assert set(train) == set(phones_of(plan["dev"])) == set(phones_of(plan["test"])) == speech
    assert min(train.values()) >= 20


def test_nobody_speaks_in_two_splits(plan):
    speakers = [{session.voice for session in sessions} for sessions in plan.values()]
    assert speakers == [set(voices) for voices in VOICES.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers))


def test_no_sentence_comes_twice(plan):
    sentences = [
        str(sentence)
        for sessions in plan.values()
        for session in sessions
        for sentence in session.sentences
    ]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("minutes", [1e-3, 1])
def test_a_tiny_corpus_has_utterances_in_every_split(minutes):
    for sessions in plan_sessions(minutes, seed=1).values():
        assert sum(len(session.sentences) for session in sessions) >= 2


def test_a_voice_with_much_to_say_goes_on_in_another_session(monkeypatch):
    monkeypatch.setattr(synthetic, "MOST_A_SESSION", 10)
    sessions = [s for s in plan_sessions(45, seed=1)["train"] if s.voice == "m1"]
    assert [session.first for session in sessions] == [0, 10, 20]
    assert [len(session.sentences) for session in sessions] == [10, 10, 4]


def test_every_word_of_the_templates_is_in_the_lexicon():
    lexicon = read_lexicon()
    prompts = write_prompts(lexicon, np.random.default_rng(1))
    for _ in range(500):
        assert {word for clause in next(prompts) for word in clause} <= lexicon.keys()


def test_every_voice_is_a_variant_without_an_echo():
    espeakng_loader = pytest.importorskip("espeakng_loader")
    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    for voice in chain.from_iterable(VOICES.values()):
        lines = (variants / voice).read_text("utf-8").splitlines()
        assert not any(line.startswith("echo") for line in lines), voice


# What is heard


def test_a_small_corpus_can_be_packed(corpus, tmp_path):
    splits = {split: partial(iter, utterances) for split, utterances in corpus.items()}
    summaries = write_corpus(Source(ARPABET_STRESS, splits), tmp_path)
    assert all(summary.labelled and summary.bands == 40 for summary in summaries.values())
    assert [summary.speakers for summary in summaries.values()] == [2, 1, 1]


def test_an_utterance_is_named_after_its_voice(corpus):
    names = [(u.name, u.speaker) for u in corpus["train"]]
    assert names[0] == ("m1-0000", "m1")
    assert names[-1] == ("f1-0002", "f1")


def test_labels_are_the_planned_phones_in_order(corpus):
    [session] = plan_sessions(HALF_A_MINUTE.minutes, HALF_A_MINUTE.seed)["test"]
    for utterance, sentence in zip(corpus["test"], session.sentences, strict=True):
        runs = utterance.labels[np.flatnonzero(np.diff(utterance.labels, prepend=-1))]
        heard = [ARPABET_STRESS[label] for label in runs]
        asked = [phone for clause in sentence for word in clause for phone in word]
        asked = [p for p, before in zip(asked, ["", *asked], strict=False) if p != before]
        assert [phone for phone in heard if phone not in ("SIL", "SPN")] == asked


def test_utterances_begin_and_end_in_silence(corpus):
    for utterance in chain.from_iterable(corpus.values()):
        assert {utterance.labels[0], utterance.labels[-1]} == {ARPABET_STRESS.index("SIL")}


def test_speech_is_louder_than_silence(corpus):
    for utterance in chain.from_iterable(corpus.values()):
        silent = utterance.labels == ARPABET_STRESS.index("SIL")
        power = utterance.frames.mean(axis=1)
        assert power[~silent].mean() > power[silent].mean() + 0.5


def test_the_same_seed_gives_the_same_bytes_whatever_the_jobs(corpus, features):
    assert as_bytes(everything(open_source(HALF_A_MINUTE, features, jobs=1))) == as_bytes(corpus)


def test_another_seed_gives_other_speech(corpus, features):
    other = open_source(Synthetic(minutes=0.5, seed=2), features, jobs=1)
    assert as_bytes({"dev": list(other.splits["dev"]())}) != as_bytes({"dev": corpus["dev"]})


# Processes


def test_espeak_stays_out_of_this_process(corpus):
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "libespeak" not in maps.read_text()


def test_a_process_that_dies_is_an_error_and_not_a_wait(features, monkeypatch, capfd):
    monkeypatch.setitem(VOICES, "dev", ["nobody"])
    source = open_source(HALF_A_MINUTE, features, jobs=2)
    with pytest.raises(RuntimeError, match="voice nobody: its process ended with exit code 1"):
        list(source.splits["dev"]())
    assert "espeak-ng has no voice nobody" in capfd.readouterr().err


def test_a_reader_that_stops_early_leaves_no_process(features):
    utterances = open_source(HALF_A_MINUTE, features, jobs=2).splits["train"]()
    next(utterances)
    utterances.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("module", ["espeakng_loader", "soxr"])
def test_a_missing_library_is_named_with_its_fix(module, features, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # makes importing it fail
    message = rf"needs {module}.* run `pip install -e '\.\[synthetic\]'`.* arrays or audio"
    with pytest.raises(InputError, match=message):
        open_source(HALF_A_MINUTE, features, jobs=1)


# Labels and boundaries


def tone(seconds: float, amplitude: float, hertz: float = 2000) -> np.ndarray:
    times = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def corrected(phones: str, starts: list[float], *tones: np.ndarray) -> list[float]:
    samples = np.concatenate(tones)
    speech = Speech(samples, RATE, tuple(phones.split()), (np.array(starts) * RATE).astype(int))
    return (correct_boundaries(speech).starts / RATE).tolist()


def test_a_frame_has_the_label_of_the_phone_at_its_centre():
    speech = Speech(np.zeros(400, np.float32), 100, ("SIL", "AA1", "T"), np.array([0, 100, 250]))
    labels = label_frames(speech, np.array([0.0, 0.99, 1.0, 2.49, 2.5, 3.9]))
    assert [ARPABET_STRESS[label] for label in labels] == ["SIL", "SIL", "AA1", "AA1", "T", "T"]


def test_a_closure_belongs_to_its_stop():
    starts = corrected("AA1 T", [0, 0.27], tone(0.2, 1), tone(0.07, 0), tone(0.1, 0.5))
    assert starts == pytest.approx([0, 0.2], abs=1e-3)


def test_a_pause_before_a_stop_keeps_most_of_its_time():
    starts = corrected("SIL T", [0, 0.3], tone(0.3, 0), tone(0.1, 1))
    assert starts == pytest.approx([0, 0.28], abs=1e-3)


def test_a_liquid_takes_its_time_from_the_vowel_before():
    starts = corrected("AA1 R T", [0, 0.2, 0.2], tone(0.3, 1))
    assert starts == pytest.approx([0, 0.12, 0.2], abs=1e-3)


def test_a_vowel_after_a_nasal_starts_where_its_energy_does():
    starts = corrected("N AA1", [0, 0.13], tone(0.1, 0.2, hertz=200), tone(0.2, 1))
    assert starts == pytest.approx([0, 0.1], abs=4e-3)


def test_a_vowel_after_a_glide_starts_within_the_transition():
    starts = corrected("W AA1", [0, 0.06], tone(0.3, 1))
    assert starts == pytest.approx([0, 0.045], abs=1e-3)


def test_a_phone_without_a_rule_stays_where_it_was_reported():
    assert corrected("AA1 S SIL", [0, 0.1, 0.2], tone(0.3, 1)) == pytest.approx([0, 0.1, 0.2])


def test_surroundings_shift_the_phones_with_their_samples():
    speech = Speech(tone(0.5, 1), RATE, ("AA1", "T"), np.array([0, 4000]))
    for seed in range(20):
        longer = add_surroundings(speech, np.random.default_rng(seed))
        start = longer.starts[longer.phones.index("AA1")]
        assert longer.starts[longer.phones.index("T")] == start + 4000
        np.testing.assert_array_equal(longer.samples[start:][: len(speech.samples)], speech.samples)


# Acoustics


def test_recording_changes_neither_length_nor_timing():
    click = np.zeros(RATE, np.float32)
    click[9000] = 1
    for seed in range(20):
        heard = record(click, RATE, np.random.default_rng(seed))
        assert len(heard) == len(click)
        assert abs(int(np.abs(heard).argmax()) - 9000) <= 3


def test_the_level_of_a_recording_lies_between_30_and_18_db_below_full_scale():
    levels = [rms(record(tone(1, 1), RATE, np.random.default_rng(seed))) for seed in range(20)]
    assert decibels(-30) <= min(levels) < max(levels) <= decibels(-18)


def test_the_direct_sound_comes_first():
    click = np.zeros(RATE)
    click[0] = 1
    heard = reverberate(click, RATE, np.random.default_rng(1))
    assert heard[0] == pytest.approx(1)
    assert np.abs(heard[1:60]).max() < 1e-9
    assert np.abs(heard[66:]).max() > 1e-3


def test_tilted_noise_is_stronger_at_low_frequencies():
    spectrum = np.abs(np.fft.rfft(coloured_noise(40_000, 0.5, np.random.default_rng(1)))) ** 2
    assert spectrum[1000:2000].mean() / spectrum[10_000:20_000].mean() == pytest.approx(10, rel=0.2)
