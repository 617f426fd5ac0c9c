"""The page of a recording is one file that holds all that it shows, and no user's text as code."""

import io
import json
import re
import zlib
from base64 import b64decode

import numpy as np
import pytest
import soundfile
from pages.recordings import AH0, ARPABET_STRESS, IY1, RATE, N, S, T, speech, tones, transcript_of

from phonemes.corpus.audio.textgrid import Interval
from phonemes.pages.recording import kind, likeliest, recording_page
from phonemes.pages.reference import Tier
from phonemes.transcription.segments import Segment

HOSTILE = "</script><script>alert(1)</script>\u2028<!-- &amp; \"'"
MEGABYTE = 1_000_000


def data_of(page: str) -> dict:
    (text,) = re.findall(r'<script id="data" type="text/plain">([^<]*)</script>', page)
    return json.loads(zlib.decompress(b64decode(text)))


def sound_of(page: str) -> tuple[np.ndarray, int]:
    (text,) = re.findall(r'src="data:audio/flac;base64,([^"]*)"', page)
    return soundfile.read(io.BytesIO(b64decode(text)), dtype="float32")


@pytest.fixture(scope="module")
def page() -> str:
    transcript, samples = tones([Segment(0.4, 1.0, "sun", 0.8)])
    tier = Tier("phones", (Interval(0.4, 0.6, "AH1"), Interval(0.6, 0.9, "S")))
    return recording_page("tones.wav", transcript, samples, RATE, [tier])


def test_the_page_holds_the_sound_to_the_last_bit_of_16(page):
    samples, rate = sound_of(page)
    expected = tones()[1]
    assert rate == RATE and len(samples) == len(expected)
    assert np.abs(samples - expected).max() <= 1 / 32768


def test_the_page_holds_the_phonemes_and_words(page):
    data = data_of(page)
    assert data["duration"] == pytest.approx(2.0) and data["rate"] == RATE
    assert [phone[:4] for phone in data["phones"]] == [
        [0.0, 0.4, "SIL", 80],
        [0.4, 0.6, "AH0", 80],
        [0.6, 0.8, "S", 80],
        [0.8, 1.0, "N", 80],
        [1.0, 1.4, "IY1", 80],
        [1.4, 1.6, "S", 80],
        [1.6, 2.0, "SIL", 80],
    ]
    assert data["words"] == [[0.4, 1.0, "sun"]]
    assert data["kinds"]["AH0"] == "vowel" and data["kinds"]["S"] == "fricative"


def test_the_page_holds_the_likeliest_phonemes_of_each_frame(page):
    track = data_of(page)["track"]
    labels, percents = np.array(track["labels"]), np.array(track["percents"])
    assert labels.shape == percents.shape == (5, 200)
    assert labels[:3, 50].tolist() == [AH0, IY1, T]
    assert percents[:, 50].tolist() == [80, 15, 2, 0, 0]
    assert labels[:2, 110].tolist() == [IY1, N]
    names = [name for name, _ in track["rows"]]
    assert names == ["IY", "AH", "T", "S", "N", "SIL"]  # those that occur, in phonetic order
    assert [names[track["row"][label]] for label in (IY1, S)] == ["IY", "S"]


def test_stresses_of_a_vowel_share_a_row(page):
    posteriors = np.full((2, 71), 1e-6)
    labels = [ARPABET_STRESS.index(name) for name in ("AH0", "AH1", "AH2")]
    posteriors[:, labels] = 1 / 3
    transcript = transcript_of(np.array([labels[0]] * 2), posteriors)
    track = data_of(recording_page("", transcript, np.zeros(320, np.float32), RATE))["track"]
    assert track["rows"] == [["AH", "vowel"]]


def test_a_tier_is_marked_where_it_differs(page):
    (tier,) = data_of(page)["tiers"]
    assert tier["compared"] and tier["differences"] == [[0.8, 0.9]]
    assert tier["intervals"] == [[0.4, 0.6, "AH1", False], [0.6, 0.9, "S", False]]
    assert "agree with the reference <q>phones</q> for 80 % of the time" in page


def test_a_reference_without_phonemes_is_shown_and_not_compared():
    tier = Tier("words", (Interval(0.4, 1.0, "sun"),))
    page = recording_page("", *tones(), RATE, [tier])
    assert not data_of(page)["tiers"][0]["compared"]
    assert "none is compared" in page and "of the time" not in page.split("<main>")[0]


def test_a_tier_that_is_compared_is_next_to_the_phonemes():
    words, phones = Tier("words", (Interval(0, 1, "sun"),)), Tier("phones", (Interval(0, 1, "N"),))
    data = data_of(recording_page("", *tones(), RATE, [words, phones]))
    assert [tier["name"] for tier in data["tiers"]] == ["phones", "words"]


def test_the_likeliest_of_a_phone_are_means_over_the_frames_in_it():
    posteriors = np.full((4, 71), 1e-9)
    posteriors[:, [S, N]] = [(0.9, 0.1), (0.7, 0.3), (0.2, 0.8), (0.4, 0.6)]
    track = transcript_of(np.zeros(4, int), posteriors).track
    phones = [
        Segment(0.004, 0.016, "S", 1),
        Segment(0.016, 0.04, "N", 1),
        Segment(0.021, 0.024, "N", 1),
    ]
    assert track is not None
    names, percents = likeliest(phones, track)
    assert [each[:2] for each in names] == [["S", "N"], ["N", "S"], ["N", "S"]]
    assert [each[:2] for each in percents] == [[80, 20], [70, 30], [80, 20]]


@pytest.mark.parametrize(("given", "embedded"), [(48_000, 24_000), (4000, 8000), (22_050, 22_050)])
def test_the_sound_has_a_rate_that_browsers_take(given, embedded):
    transcript, _ = tones()
    samples = np.sin(np.arange(2 * given) / given * 2 * np.pi * 440).astype(np.float32) / 2
    found, rate = sound_of(page := recording_page("", transcript, samples, given))
    assert rate == embedded == data_of(page)["rate"]
    expected = np.sin(np.arange(2 * rate) / rate * 2 * np.pi * 440) / 2
    middle = slice(rate // 10, -rate // 10)
    assert len(found) == 2 * rate and np.abs(found - expected)[middle].max() < 0.002


def test_samples_beyond_full_scale_are_clipped():
    found, _ = sound_of(recording_page("", tones()[0], np.float32([2, -2, 0]), RATE))
    assert found.tolist() == pytest.approx([1, -1, 0], abs=1e-4)


def test_no_text_of_a_user_becomes_code():
    tier = Tier(HOSTILE, (Interval(0.4, 0.6, "AH1"), Interval(0.6, 0.9, "S")))
    words = [Segment(0.4, 1.0, HOSTILE, 0.8)]
    transcript, samples = tones(words)
    page = recording_page(
        HOSTILE, transcript, samples, RATE, [tier, Tier("x", (Interval(0, 1, HOSTILE),))]
    )
    assert "alert(1)</script>" not in page and "<!--" not in page and "\u2028<" not in page
    assert page.count("</script>") == page.count("<script") == 4
    data = data_of(page)
    assert data["words"][0][2] == HOSTILE == data["tiers"][0]["name"]


def test_a_name_that_is_no_unicode_can_be_written():
    page = recording_page("a\udcff.wav", *tones([Segment(0, 1, "\udcff", 1)]), RATE)
    assert "<h1>a?.wav</h1>" in page and page.encode("utf-8")


def test_the_page_asks_for_nothing_else(page):
    beside = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"https?:|url\(|@import|fetch\(|src=\"(?!data:)|href=", beside)


def test_a_transcript_without_its_track_has_no_page():
    transcript, samples = tones()
    object.__setattr__(transcript, "track", None)
    with pytest.raises(ValueError, match="needs the track"):
        recording_page("", transcript, samples, RATE)


def test_every_phoneme_has_a_kind():
    found = {name: kind(name) for name in ARPABET_STRESS}
    expected = {"AH0": "vowel", "OY2": "vowel", "T": "stop", "JH": "affricate", "HH": "fricative"}
    expected |= {"NG": "nasal", "L": "approximant", "Y": "approximant", "SPN": "silence"}
    assert expected.items() <= found.items() and "other" not in found.values()
    assert kind("state 17") == "other"


@pytest.mark.heavy
def test_ten_minutes_are_less_than_a_megabyte_beside_the_sound():
    transcript, samples = speech(600, np.random.default_rng(0))
    tier = Tier("phones", tuple(Interval(*phone[:3]) for phone in transcript.phones))
    page = recording_page("ten minutes", transcript, samples, RATE, [tier])
    assert len(data_of(page)["track"]["labels"][0]) == 60_000
    assert len(re.sub(r"base64,[^\"]*", "", page).encode()) < MEGABYTE
