"""A report reads well at every width, in colour only where that is asked for, and as JSON."""

import io
import json

import numpy as np
import pytest
from inspection.speech import PHONEMES, STRIDE, inspected, made, speech
from rich.console import Console

from phonemes.inspection.corpus import Bands, inspect_corpus
from phonemes.inspection.report import as_json, as_text

HERTZ = np.array([100.0, 400.0, 1200.0, 5000.0])
NORMALIZED = {name: Bands(np.array([-0.001, 0.2]), np.ones(2)) for name in ("train", "dev", "test")}


@pytest.fixture(scope="module")
def report():
    """Return the report of a corpus with a copy, a silent utterance and a constant band."""

    def spoil(utterances):
        utterances[1] = speech(500)
        utterances[3][1][:] = 0

    def constant(utterances):
        for frames, _ in utterances:
            frames[:, 2] = 1.0

    return inspected(dev=made("dev", spoil), test=made("test", constant, labelled=False))


def printed(report, width=80, normalized=NORMALIZED, hertz=HERTZ, encoding="utf-8", **options):
    """Return what a console of some width shows."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return as_text(report, normalized, hertz, Console(file=file, width=width, **options))


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_numbers_of_every_split_stand_in_rows(report):
    lines = rows(printed(report))
    train, dev, test = report.splits.values()
    assert ["frames", *(f"{each.frames:,}" for each in (train, dev, test))] in lines
    assert ["utterances", "12", "10", "11"] in lines
    assert ["speakers", "3", "3", "3"] in lines
    silence = [f"{100 * each.silence:.1f} %" for each in (train, dev)]
    assert ["silence", *" ".join(silence).split(), "unknown"] in lines
    assert ["longest", *(f"{each.lengths[4] / 100:.2f}" for each in (train, dev, test))] in lines
    count = train.counts[2]
    (phoneme,) = [line for line in lines if line[:1] == ["AA1"]]
    assert phoneme[1:3] == [f"{count:,}", f"{100 * count / train.frames:.2f}"]
    band = f"{train.bands.mean[1]:.2f}", "±", f"{train.bands.deviation[1]:.2f}"
    assert ["1", "400", *band] in [line[:5] for line in lines]
    assert ["mean", "0.00", "to", "0.20"] in [line[:4] for line in lines]


def test_phonemes_come_by_their_frequency_with_bars(report):
    text = printed(report)
    names = [line[0] for line in rows(text) if line and line[0] in PHONEMES]
    counts = report.splits["train"].counts
    assert names == [PHONEMES[label] for label in np.argsort(-counts, kind="stable")]
    assert max(line.count("█") for line in text.splitlines()) == 12


def test_findings_name_the_utterances(report):
    text = printed(report)
    assert "test: constant bands (1): 2" in text
    assert "copies of utterances (1 group; 1 across splits)" in text
    assert "train train-0 = dev dev-1: identical" in text
    assert "dev: one label for all frames (1)" in text
    assert "dev-3  all " in text


def test_a_good_corpus_needs_no_attention():
    assert "nothing that needs attention" in printed(inspected())


@pytest.mark.parametrize("width", [25, 40, 60, 80, 200])
def test_nothing_is_cut_at_any_width(report, width):
    text = printed(report, width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    assert f"{report.splits['test'].frames:,}" in text
    assert f"{report.splits['dev'].bands.deviation[3]:.2f}" in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_names_are_shown_as_they_are():
    def spoil(utterances):
        utterances[0][1][:] = 0

    dev = made("dev", spoil)
    found = inspected(dev=dev._replace(names=["[red]ü:smile:[/red]", *dev.names[1:]]))
    assert "[red]ü:smile:[/red]  all " in printed(found)
    assert "[red]?:smile:[/red]  all " in printed(found, encoding="ascii")


def test_long_lists_are_cut_and_say_so():
    def spoil(utterances):
        for _, labels in utterances:
            labels[:] = 0

    text = printed(inspected(train=made("train", spoil)))
    assert "train: one label for all frames (12)" in text
    assert "and 2 more; --json FILE has all" in text


def test_a_terminal_without_unicode_gets_other_bars(report):
    assert "#" * 12 in printed(report, encoding="cp1252")


def test_colours_are_for_terminals_alone(report, monkeypatch):
    assert "\x1b[" not in printed(report)
    assert "\x1b[31m" in printed(report, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in printed(report, force_terminal=True, color_system="standard")


def test_a_corpus_without_labels_has_no_histogram():
    test = made("test", labelled=False)
    text = printed(inspect_corpus({"test": test}, PHONEMES, STRIDE), normalized={}, hertz=None)
    assert "Phonemes" not in text
    assert "After normalization" not in text
    assert "Hz" not in text


def test_json_has_everything(report):
    values = json.loads(json.dumps(as_json(report, NORMALIZED), allow_nan=False))
    train, test = values["splits"]["train"], values["splits"]["test"]
    assert train["hours"] == pytest.approx(report.splits["train"].frames / 360_000)
    assert train["labels"]["T"]["frames"] == report.splits["train"].counts[3]
    assert sum(each["share"] for each in train["labels"].values()) == pytest.approx(1)
    assert train["seconds"]["max"] == report.splits["train"].lengths[4] / 100
    assert (test["labels"], test["silence_share"]) == (None, None)
    assert test["bands"]["constant"] == [2]
    assert values["normalized"]["train"]["deviation"] == [1, 1]
    (found,) = values["splits"]["dev"]["suspicious"]
    assert (found["utterance"], found["reason"]) == ("dev-3", "one label for all frames")
    assert found["speaker"] == "dev-speaker-0"
    assert values["stride_ms"] == STRIDE


def test_json_names_copies_and_shared_speakers():
    dev = made("dev", lambda utterances: utterances.__setitem__(1, speech(500)))
    dev = dev._replace(speakers=["train-speaker-0", *dev.speakers[1:]])
    values = as_json(inspected(dev=dev), {})
    members = [{"split": "train", "name": "train-0"}, {"split": "dev", "name": "dev-1"}]
    assert values["copies"] == [{"identical": True, "utterances": members}]
    assert values["shared_speakers"] == {"train-speaker-0": ["train", "dev"]}


def test_short_corpora_are_counted_in_minutes_and_long_ones_in_hours(report):
    found = {line[0]: line[1:] for line in rows(printed(report)) if line}
    minutes = [each.frames / 6000 for each in report.splits.values()]
    assert [float(each) for each in found["minutes"]] == pytest.approx(minutes, rel=0.1)
    train = report.splits["train"]._replace(frames=540_000)
    longer = report._replace(splits=report.splits | {"train": train})
    assert ["hours", "1.5"] in [line[:2] for line in rows(printed(longer))]
