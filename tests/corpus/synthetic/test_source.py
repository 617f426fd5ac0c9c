"""A corpus without a download: exact labels, unseen voices, the same bytes from the same seed."""

import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from phonemes.corpus.pack import write_corpus
from phonemes.corpus.params import SyntheticParams
from phonemes.corpus.source import Source, Utterance
from phonemes.corpus.synthetic import source as synthetic
from phonemes.corpus.synthetic.sessions import Session
from phonemes.corpus.synthetic.source import VOICES, open_source, plan_sessions
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams
from phonemes.inventory import ARPABET_STRESS

HALF_A_MINUTE = SyntheticParams(minutes=0.5, seed=1)  # two voices in train, one each in dev, test


@pytest.fixture(scope="module")
def features(params) -> FeatureParams:
    return params.features


# The plan of what each voice says


@pytest.fixture(scope="module")
def plan() -> dict[str, list[Session]]:
    return plan_sessions(minutes=45, seed=11785)  # the default corpus


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


def test_no_voice_speaks_in_two_splits(plan):
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


def test_every_voice_is_a_variant_without_an_echo():
    espeakng_loader = pytest.importorskip("espeakng_loader")
    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    for voice in chain.from_iterable(VOICES.values()):
        lines = (variants / voice).read_text("utf-8").splitlines()
        assert not any(line.startswith("echo") for line in lines), voice


# What the voices say


def everything(source: Source) -> dict[str, list[Utterance]]:
    return {split: list(utterances()) for split, utterances in source.splits.items()}


def as_bytes(utterances: Iterable[Utterance]) -> list[bytes]:
    return [u.frames.tobytes() + u.labels.tobytes() for u in utterances]


@pytest.fixture(scope="module")
def corpus(features: FeatureParams) -> dict[str, list[Utterance]]:
    return everything(open_source(HALF_A_MINUTE, features, jobs=2))


@pytest.mark.heavy
def test_a_small_corpus_can_be_packed(corpus, tmp_path):
    splits = {split: partial(iter, utterances) for split, utterances in corpus.items()}
    summaries = write_corpus(Source(ARPABET_STRESS, splits), tmp_path)
    assert all(summary.labelled and summary.bands == 40 for summary in summaries.values())
    assert [summary.speakers for summary in summaries.values()] == [2, 1, 1]


@pytest.mark.heavy
def test_an_utterance_is_named_after_its_voice(corpus):
    names = [(u.name, u.speaker) for u in corpus["train"]]
    assert names[0] == ("m1-0000", "m1")
    assert names[-1] == ("f1-0002", "f1")


@pytest.mark.heavy
def test_labels_are_the_planned_phones_in_order(corpus):
    [session] = plan_sessions(HALF_A_MINUTE.minutes, HALF_A_MINUTE.seed)["test"]
    for utterance, sentence in zip(corpus["test"], session.sentences, strict=True):
        runs = utterance.labels[np.flatnonzero(np.diff(utterance.labels, prepend=-1))]
        spoken = [ARPABET_STRESS[label] for label in runs]
        asked = [phone for clause in sentence for word in clause for phone in word]
        asked = [p for p, before in zip(asked, ["", *asked], strict=False) if p != before]
        assert [phone for phone in spoken if phone not in ("SIL", "SPN")] == asked


@pytest.mark.heavy
def test_utterances_begin_and_end_in_silence(corpus):
    for utterance in chain.from_iterable(corpus.values()):
        assert {utterance.labels[0], utterance.labels[-1]} == {ARPABET_STRESS.index("SIL")}


@pytest.mark.heavy
def test_speech_is_louder_than_silence(corpus):
    for utterance in chain.from_iterable(corpus.values()):
        silent = utterance.labels == ARPABET_STRESS.index("SIL")
        power = utterance.frames.mean(axis=1)
        assert power[~silent].mean() > power[silent].mean() + 0.5


@pytest.mark.heavy
def test_the_same_seed_gives_the_same_bytes_whatever_the_jobs(corpus, features):
    again = open_source(HALF_A_MINUTE, features, jobs=1).splits["train"]()
    assert as_bytes(again) == as_bytes(corpus["train"])


@pytest.mark.heavy
def test_another_seed_gives_other_speech(corpus, features):
    other = open_source(replace(HALF_A_MINUTE, seed=2), features, jobs=1).splits["dev"]()
    assert as_bytes(other) != as_bytes(corpus["dev"])


# Processes


@pytest.mark.heavy
def test_espeak_stays_out_of_this_process(corpus):
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "libespeak" not in maps.read_text()


@pytest.mark.heavy
def test_a_process_that_dies_is_an_error_and_not_a_wait(features, monkeypatch, capfd):
    monkeypatch.setitem(VOICES, "dev", ["absent"])
    source = open_source(HALF_A_MINUTE, features, jobs=2)
    with pytest.raises(RuntimeError, match="voice absent: its process ended with exit code 1"):
        list(source.splits["dev"]())
    assert "espeak-ng has no voice absent" in capfd.readouterr().err


@pytest.mark.heavy
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
