"""Other programs read a transcript as it is."""

import csv
import io
import json
from itertools import pairwise

import pytest

from phonemes.transcription.formats import TEXT, with_ipa, without_silence
from phonemes.transcription.segments import Segment
from phonemes.transcription.transcript import Transcript

PHONES = (
    Segment(0.0, 0.1 + 0.2, "SIL", 0.987654),
    Segment(0.1 + 0.2, 0.35, "HH", 0.5),
    Segment(0.35, 0.51, "AY1", 0.75),
    Segment(0.51, 0.7351875, "SIL", 1.0),
)
HI = Transcript(PHONES, 0.7351875, "english")
WORDS = Transcript(PHONES, 0.7351875, "english", (Segment(0.1 + 0.2, 0.51, 'say "hi"', 0.6),))


def written(name, transcript=HI):
    return TEXT[name][1](transcript, "a b")


def with_praat(path, text):
    parselmouth = pytest.importorskip("parselmouth")
    path.write_text(text, "utf-8")
    grid = parselmouth.read(str(path))

    def ask(*what):
        return parselmouth.praat.call(grid, *what)

    tiers = {}
    for tier in range(1, ask("Get number of tiers") + 1):
        tiers[ask("Get tier name", tier)] = [
            (
                ask("Get start time of interval", tier, number),
                ask("Get end time of interval", tier, number),
                ask("Get label of interval", tier, number),
            )
            for number in range(1, ask("Get number of intervals", tier) + 1)
        ]
    return ask("Get total duration"), tiers


def test_a_textgrid_may_have_a_tier_of_ipa(tmp_path):
    _, tiers = with_praat(tmp_path / "a.TextGrid", written("textgrid", with_ipa(WORDS)))
    assert [*tiers] == ["words", "ipa", "phones"]
    assert tiers["ipa"] == [
        (start, end, {"SIL": "", "HH": "h", "AY1": "aɪ"}[label])
        for start, end, label in tiers["phones"]
    ]
    assert written("csv", with_ipa(WORDS)) == written("csv", WORDS)


def test_phones_without_a_known_symbol_stay_as_they_are():
    phones = (Segment(0.0, 0.5, "17", 1.0), Segment(0.5, 1.0, "AH0", 1.0))
    assert [each.label for each in with_ipa(Transcript(phones, 1.0, "mine")).ipa] == ["17", "ə"]


def test_praat_reads_the_textgrid_and_its_ends_meet(tmp_path):
    duration, tiers = with_praat(tmp_path / "a.TextGrid", written("textgrid", WORDS))
    assert duration == pytest.approx(0.7351875, abs=1e-6)
    assert [*tiers] == ["words", "phones"]
    assert [label for _, _, label in tiers["phones"]] == ["SIL", "HH", "AY1", "SIL"]
    assert [label for _, _, label in tiers["words"]] == ["", 'say "hi"', ""]
    for intervals in tiers.values():
        assert intervals[0][0] == 0 and intervals[-1][1] == duration
        assert all(a[1] == b[0] for a, b in pairwise(intervals))
    assert tiers["phones"][1][:2] == (0.3, 0.35)


def test_empty_silence_is_an_empty_interval_of_praat(tmp_path):
    _, tiers = with_praat(tmp_path / "a.TextGrid", written("textgrid", without_silence(HI)))
    assert [label for _, _, label in tiers["phones"]] == ["", "HH", "AY1", ""]


def test_csv_has_the_word_of_each_phoneme_where_words_are_known():
    rows = [*csv.DictReader(io.StringIO(written("csv")))]
    assert rows[1] == {"start": "0.3", "end": "0.35", "phoneme": "HH", "confidence": "0.5000"}
    rows = [*csv.DictReader(io.StringIO(written("csv", WORDS)))]
    assert [row["word"] for row in rows] == ["", 'say "hi"', 'say "hi"', ""]


def test_json_says_what_was_labelled_by_what():
    values = json.loads(written("json", WORDS))
    assert (values["recording"], values["model"]) == ("a b", "english")
    assert values["duration"] == pytest.approx(0.7351875, abs=1e-6)
    assert values["phones"][1] == {"start": 0.3, "end": 0.35, "phoneme": "HH", "confidence": 0.5}
    assert values["words"] == [{"start": 0.3, "end": 0.51, "word": 'say "hi"', "confidence": 0.6}]
    assert "words" not in json.loads(written("json"))


def test_ctm_has_start_and_duration():
    assert written("ctm").splitlines()[1] == "a_b 1 0.300 0.050 HH 0.5000"


def test_mlf_has_times_of_100_ns():
    assert written("mlf").splitlines() == [
        "#!MLF!#",
        '"*/a b.lab"',
        "0 3000000 SIL 0.9877",
        "3000000 3500000 HH 0.5000",
        "3500000 5100000 AY1 0.7500",
        "5100000 7351875 SIL 1.0000",
        ".",
    ]


@pytest.mark.parametrize("name", ["csv", "json", "ctm", "mlf"])
def test_empty_silence_is_left_out(name):
    assert "SIL" in written(name)
    assert "SIL" not in written(name, without_silence(HI))
