"""Recordings with a text and no alignment get one from a network, where that is asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus.audio.test_source import TEXTGRID, make_corpus
from helpers import PARAMS

from phonemes.alignment.align import Aligned, Batch, Outcome
from phonemes.alignment.fit import Stretch
from phonemes.corpus.audio.recordings import find_recordings
from phonemes.corpus.audio.source import open_source
from phonemes.errors import InputError
from phonemes.inventory import ARPABET_STRESS
from phonemes.params import load
from phonemes.transcription.segments import Segment, Track

pytest.importorskip("soundfile")
pytest.importorskip("soxr")

FEATURES = load(PARAMS).features
REFUSE = load(PARAMS).corpus.audio
ALIGN = replace(REFUSE, transcripts="align")
PHONES = (Segment(0, 0.3, "SIL", 1), Segment(0.3, 0.6, "AA1", 1), Segment(0.6, 1, "S", 1))
FITS = (Stretch(0, 98, 0.0, -1.0),) * 2
TRACK = Track(0.0, 0.01, np.zeros((0, 40)), np.zeros((0, 71)), ARPABET_STRESS)


@pytest.fixture
def corpus(tmp_path):
    """Return six recordings, two of which have a text instead of an alignment."""
    make_corpus(tmp_path)
    for name in ("train/a/0", "dev/d/3"):
        (tmp_path / f"{name}.TextGrid").unlink()
        (tmp_path / f"{name}.txt").write_text(f"the text of {name}")
    return tmp_path


def align(sounds, texts):
    """Align every text but "wrong"."""
    outcomes = (
        InputError(f"{sound} does not fit")
        if text.text == "wrong"
        else Outcome(Aligned(PHONES, (), FITS, ""), TRACK, np.zeros(0, np.float32))
        for sound, text in zip(sounds, texts, strict=True)
    )
    return Batch({"blat": (("B",),)}, outcomes)


def labels(source):
    return {
        utterance.name: [ARPABET_STRESS[label] for label in utterance.labels]
        for split in ("train", "dev", "test")
        for utterance in source.splits[split]()
    }


def test_texts_are_aligned_where_there_is_no_alignment(corpus):
    asked = []

    def noted(sounds, texts):
        asked.extend(zip(sounds, [text.text for text in texts], strict=True))
        return align(sounds, texts)

    source = open_source(corpus, ALIGN, FEATURES, jobs=1, align=noted)
    assert asked == [
        (corpus / "train/a/0.wav", "the text of train/a/0"),
        (corpus / "dev/d/3.wav", "the text of dev/d/3"),
    ]
    found = labels(source)
    assert len(found) == 6
    assert found["train/a/0"] == ["SIL"] * 30 + ["AA1"] * 30 + ["S"] * 38
    assert found["train/a/0"] == found["train/b/1"]  # whose TextGrid says the same
    assert source.notes() == [
        "aligned the texts of 2 recordings with a network that was trained before",
        "espeak-ng spelled 1 word that CMUdict lacks: blat",
    ]


def test_nothing_is_aligned_where_all_have_alignments(tmp_path):
    source = open_source(make_corpus(tmp_path), ALIGN, FEATURES, jobs=1, align=None)
    assert len(labels(source)) == 6
    refusing = open_source(tmp_path, ALIGN, FEATURES, 1, align=lambda *_: pytest.fail("aligned"))
    assert refusing.notes() == []


def test_a_map_translates_what_files_say_and_not_what_is_aligned(corpus):
    (corpus / "map.csv").write_text("phone,phoneme\nAA1,AE1\n")
    mapped = replace(ALIGN, map="map.csv")
    found = labels(open_source(corpus, mapped, FEATURES, jobs=1, align=align))
    assert "AA1" in found["train/a/0"] and "AE1" not in found["train/a/0"]
    assert "AE1" in found["train/b/1"] and "AA1" not in found["train/b/1"]


def test_texts_that_cannot_be_aligned_are_refused_with_the_first_cause(corpus):
    (corpus / "dev/d/3.txt").write_text("wrong")
    with pytest.raises(
        InputError, match=r"^1 of 2 texts cannot be aligned .*dev/d/3\.wav does not"
    ):
        open_source(corpus, ALIGN, FEATURES, jobs=1, align=align)


def test_texts_that_cannot_be_aligned_are_left_out_where_that_is_asked_for(corpus):
    (corpus / "dev/d/3.txt").write_text("wrong")
    skip = replace(ALIGN, unaligned="skip")
    source = open_source(corpus, skip, FEATURES, jobs=1, align=align)
    assert len(labels(source)) == 5
    assert source.notes()[-1].startswith("left out 1 recording whose text cannot be aligned, the")


def test_the_way_to_use_texts_is_told_where_they_are_not_aligned(corpus):
    with pytest.raises(
        InputError,
        match=r"1 of the 2 recordings in train have no alignment: .*; add them, align their texts "
        rf"with `phonemes align {corpus}` or with corpus\.audio\.transcripts: align, both by a",
    ):
        find_recordings(corpus, REFUSE)


def test_no_way_is_told_where_there_are_no_texts(corpus):
    (corpus / "train/a/0.txt").unlink()
    with pytest.raises(InputError) as refused:
        find_recordings(corpus, REFUSE)
    assert "phonemes align" not in str(refused.value)


def test_a_recording_without_text_is_refused_where_others_are_aligned(corpus):
    (corpus / "train/a/0.txt").unlink()
    with pytest.raises(InputError, match=r"1 of the 2 recordings in train have no alignment"):
        find_recordings(corpus, ALIGN)
    found = find_recordings(corpus, replace(ALIGN, unaligned="skip"))
    assert found.notes == ["left out 1 recording without alignment: 1 of train"]


def test_a_test_split_with_texts_is_labelled_and_without_is_not(tmp_path):
    make_corpus(tmp_path)
    for path in (tmp_path / "test").rglob("*.TextGrid"):
        path.unlink()
    assert [each.text for each in find_recordings(tmp_path, ALIGN).splits["test"]] == [None, None]
    for path in (tmp_path / "test").rglob("*.wav"):
        path.with_suffix(".lab").write_text("said")
    found = open_source(tmp_path, ALIGN, FEATURES, jobs=1, align=align)
    assert [len(utterance.labels) for utterance in found.splits["test"]()] == [98, 98]


def test_a_text_that_a_link_brings_from_elsewhere_is_refused(corpus, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.txt"
    outside.write_text("the text")
    (corpus / "train/a/0.txt").unlink()
    (corpus / "train/a/0.txt").symlink_to(outside)
    with pytest.raises(
        InputError, match=r"train/a/0\.txt is a link that leads out of corpus\.path"
    ):
        find_recordings(corpus, ALIGN)


def test_a_text_beside_an_alignment_is_no_matter(corpus):
    (corpus / "train/b/1.txt").write_text("not what was said")
    assert Path(corpus / "train/b/1.TextGrid").read_text() == TEXTGRID
    names = [each.name for each in find_recordings(corpus, ALIGN).splits["train"] if each.text]
    assert names == ["train/a/0"]
