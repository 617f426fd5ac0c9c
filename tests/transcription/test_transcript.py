import numpy as np

from phonemes.transcription.segments import Segment, runs
from phonemes.transcription.transcript import Transcript

HELLO = Transcript(
    (Segment(0.0, 0.25, "SIL", 0.99), Segment(0.25, 0.31, "HH", 0.5)), 0.31, "english"
)


def test_a_transcript_prints_as_a_table():
    assert str(HELLO).splitlines() == [
        " start, s    end, s  phoneme  confidence",
        "    0.000     0.250  SIL            0.99",
        "    0.250     0.310  HH             0.50",
    ]


def test_a_transcript_is_a_table_of_pandas():
    table = HELLO.to_pandas()
    assert table.to_dict("list") == {
        "start": [0.0, 0.25],
        "end": [0.25, 0.31],
        "phoneme": ["SIL", "HH"],
        "confidence": [0.99, 0.5],
    }


def test_runs_of_equal_labels_are_found():
    assert runs(np.array([0, 0, 5, 5, 5, 0])) == [(0, 2), (2, 5), (5, 6)]
    assert runs(np.array([3])) == [(0, 1)]
    assert runs(np.array([], int)) == []
