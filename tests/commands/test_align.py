"""`phonemes align` writes when words are spoken, goes on after a failure, and tells its cause."""

import json
from functools import partial

import numpy as np
import pytest
from alignment.spoken import sentences, write
from helpers import end_of

from phonemes.corpus.audio import textgrid
from phonemes.corpus.audio.alignments import frame_labels, read_alignment
from phonemes.inventory import ARPABET_STRESS

pytestmark = pytest.mark.heavy

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


align = partial(end_of, "align")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Enter a folder with four recordings, whose texts lie next to them in each of the ways."""
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / name for name in ("a.wav", "b/b.flac", "c/1-2-0001.wav", "c/1-2-0002.wav")]
    texts = [" ".join(sentence.words) for sentence in write(*paths)]
    (tmp_path / "a.txt").write_text(f"{texts[0].capitalize()}!\n")
    (tmp_path / "b/b.lab").write_text(texts[1].upper())
    lines = (f"1-2-000{number} {text}\n" for number, text in enumerate(texts[2:], 1))
    (tmp_path / "c/1-2.trans.txt").write_text("".join(lines))
    return tmp_path


def test_a_text_is_aligned_with_its_recording(folder, capsys):
    assert align("a.wav", "a.txt") == 0
    printed = capsys.readouterr()
    assert printed.err == "model: english (comes with the package; no network was trained here)\n"
    assert printed.out == "aligned 10 words of 1 recording, 3.4 s of sound: a.TextGrid\n"
    words, phones = textgrid.read(folder / "a.TextGrid")
    assert (words.name, phones.name) == ("words", "phones")
    spoken = [interval.text for interval in words.intervals if interval.text]
    assert spoken == ["The", *sentences()[0].words[1:]]
    starts = [interval.start for interval in words.intervals if interval.text]
    late = np.subtract(starts, [word.times[0] for word in sentences()[0].truth])
    assert np.median(np.abs(late)) <= 0.03


def test_praat_reads_both_tiers_with_the_same_times(folder):
    parselmouth = pytest.importorskip("parselmouth")
    assert align("a.wav") == 0  # the text next to it
    grid = parselmouth.read(str(folder / "a.TextGrid"))

    def tier(number):
        count = parselmouth.praat.call(grid, "Get number of intervals", number)
        return [
            (
                parselmouth.praat.call(grid, "Get start time of interval", number, place),
                parselmouth.praat.call(grid, "Get label of interval", number, place),
            )
            for place in range(1, count + 1)
        ]

    assert parselmouth.praat.call(grid, "Get number of tiers") == 2
    assert parselmouth.praat.call(grid, "Get total duration") == pytest.approx(
        len(sentences()[0].samples) / 16_000, abs=1e-5
    )
    words, phones = [each for each in tier(1) if each[1]], tier(2)
    assert [word for _, word in words] == ["The", *sentences()[0].words[1:]]
    assert phones[0] == (0, "SIL")
    assert {start for start, _ in words} <= {start for start, _ in phones}


def test_the_corpus_takes_what_is_written(folder):
    assert align(folder) == 0
    for number, name in enumerate(("a", "b/b", "c/1-2-0001", "c/1-2-0002")):
        alignment = read_alignment(folder / f"{name}.TextGrid", "phones", 16_000)
        seconds = len(sentences()[number].samples) / 16_000
        times = np.arange(0.005, seconds - 0.02, 0.01)
        labels = frame_labels(alignment, times, seconds, "arpabet-stress", name)
        spoken = {ARPABET_STRESS[label].rstrip("012") for label in labels} - {"SIL", "SPN"}
        true = {phone for word in sentences()[number].truth for phone in word.phones}
        assert len(spoken & true) >= 0.9 * len(true)


def test_a_folder_is_aligned_beside_its_recordings_in_the_formats_asked_for(folder, capsys):
    assert align(folder, "--to", "textgrid,json,csv") == 0
    printed = capsys.readouterr().out
    assert "words of 4 recordings, " in printed
    assert printed.endswith(": textgrid, json, csv next to them\n")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.TextGrid"))
    assert found == ["a.TextGrid", "b/b.TextGrid", "c/1-2-0001.TextGrid", "c/1-2-0002.TextGrid"]
    values = json.loads((folder / "c/1-2-0002.json").read_text())
    assert [word["word"] for word in values["words"]] == [*sentences()[3].words]
    assert all(0 < each["confidence"] <= 1 for each in values["words"] + values["phones"])
    assert (folder / "b/b.csv").read_text().startswith("start,end,phoneme,confidence,word\n")


def test_a_folder_goes_on_after_what_fails_and_lists_it(folder, capsys):
    (folder / "a.txt").unlink()
    (folder / "b/b.flac").write_text("no sound")
    (folder / "c/1-2-0001.txt").write_text("an entirely different sentence about umbrellas")
    ended = align(folder, "--out", "found")
    first, *failed = ended.splitlines()
    assert first == "error: 3 of 4 recordings failed:"
    assert failed[0] == (
        f"  {folder}/a.wav has no text: expected a.txt, a.lab or a line of a .trans.txt next to it"
    )
    assert failed[1].startswith(f"  cannot read {folder}/b/b.flac: ")
    assert failed[2].startswith(
        f"  {folder}/c/1-2-0001.wav does not fit its text from word 1, 'an',"
    )
    assert [*(folder / "found").rglob("*.*")] == [folder / "found/c/1-2-0002.TextGrid"]
    assert capsys.readouterr().out == (
        "aligned 5 words of 1 recording, 3.1 s of sound: textgrid in found\n"
    )


def test_what_is_there_is_left_alone_or_replaced_as_asked_for(folder, capsys):
    mine = folder / "a.TextGrid"
    mine.write_text("by hand")
    assert "a.TextGrid would be overwritten; pass --overwrite" in align(folder)
    assert align(folder, "--missing") == 0
    assert "words of 3 recordings, " in capsys.readouterr().out
    assert mine.read_text() == "by hand"
    assert align("a.wav", "--overwrite") == 0
    assert mine.read_text().startswith("File type")
    assert align(folder, "--missing") == 0
    assert "words of 0 recordings, " in capsys.readouterr().out.splitlines()[-1]


def test_what_is_missing_is_written_beside_what_was_corrected(folder):
    assert align("a.wav") == 0
    mine = folder / "a.TextGrid"
    mine.write_text(corrected := mine.read_text().replace('"SIL"', '"SPN"', 1))
    assert align("a.wav", "--missing", "--to", "textgrid,csv,html") == 0
    assert mine.read_text() == corrected
    assert (folder / "a.csv").exists()
    assert "agree with the reference" in (folder / "a.html").read_text()


def test_an_interruption_says_how_to_go_on(folder, monkeypatch):
    written = []

    def write(job, *_):
        if written:
            raise KeyboardInterrupt
        written.append(job)

    monkeypatch.setattr("phonemes.transcription.outputs.write", write)
    assert align(folder) == (
        "error: interrupted; what is written is whole: `--missing` goes on with the rest"
    )


def test_a_text_that_does_not_fit_is_refused_or_accepted(folder, capsys):
    (folder / "a.txt").write_text("an entirely different sentence about umbrellas")
    ended = align("a.wav", "a.txt")
    assert ended.startswith("error: a.wav does not fit its text from word 3, 'different', at 1.")
    assert not (folder / "a.TextGrid").exists()
    assert align("a.wav", "a.txt", "--accept-misfits") == 0
    assert "a.wav does not fit its text from word 3" in capsys.readouterr().err
    assert (folder / "a.TextGrid").exists()


def test_words_that_no_lexicon_has_are_listed_as_a_lexicon_has_them(folder, capsys):
    (folder / "a.txt").write_text("the warme shoo followd the thick story above the child")
    assert align("a.wav", "a.txt") == 0
    listed = capsys.readouterr().err.splitlines()[1:]
    assert listed[0].startswith("words that no lexicon has, as espeak-ng spells them; correct")
    assert [line.split()[0] for line in listed[1:]] == ["warme", "followd"]
    (folder / "own.dict").write_text("\n".join(listed[1:]))
    assert align("a.wav", "a.txt", "--lexicon", "own.dict", "--overwrite") == 0
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_pronunciations_of_ones_own_are_taken(folder):
    (folder / "own.dict").write_text("child CH AY1 L D AH0 S\n")
    assert align("a.wav", "a.txt", "--lexicon", "own.dict") == 0
    _, phones = textgrid.read(folder / "a.TextGrid")
    spoken = [each.text for each in phones.intervals if each.text not in ("SIL", "SPN")]
    assert spoken[-6:] == ["CH", "AY1", "L", "D", "AH0", "S"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.wav",), "there is no recording none.wav"),
        (("my", "talk.wav"), 'there is no recording my; a path with a space needs quotes, "my'),
        (("a.wav", "none.txt"), "cannot read the text none.txt: "),
        ((".", "a.txt"), ". is a folder: its texts lie next to its recordings; leave out a.txt"),
        (("a.wav", "--to", "srt"), "--to srt: no such format"),
        (("a.wav", "--to", ""), "--to names no format"),
        (("a.wav", "--to", "csv", "--ipa"), "--ipa is for TextGrids; add textgrid to --to"),
        (("a.wav", "--lexicon", "none.dict"), "cannot read the lexicon none.dict"),
        (("a.wav", "--model", "none"), "there is no model none"),
    ],
)
def test_what_cannot_be_used_ends_in_one_line(folder, arguments, message):
    (folder / "my talk.wav").touch()
    assert align(*arguments).startswith(f"error: {message}")


def test_pictures_are_drawn_of_an_alignment(folder):
    assert align("a.wav", "--to", "png,html", "--out", "shown") == 0
    assert sorted(path.name for path in (folder / "shown").iterdir()) == ["a.html", "a.png"]
