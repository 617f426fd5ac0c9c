"""Predict: labels leave as those of the training set came, or as predict.label says."""

import numpy as np
import pandas as pd
import pytest
from helpers import run_stages, set_params
from pipeline.bad_data import LENGTHS, NAMES, RAW, begin, write_flat, write_libriphone, write_tree

from phonemes.storage.layout import PREDICTIONS


@pytest.fixture
def flat(tmp_path, monkeypatch):
    """Enter a small project whose labels are integers."""
    monkeypatch.chdir(tmp_path)
    begin()
    write_flat()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Enter a small project whose labels are phonemes in lower case."""
    monkeypatch.chdir(tmp_path)
    begin()
    write_tree()
    for file in RAW.glob("*/transcript/*.npy"):
        names = np.load(file)
        np.save(file, np.array([*names[:1], *map(str.lower, names[1:-1]), *names[-1:]]))


def predicted(label, *stages):
    set_params({"predict": {"label": label}})
    run_stages(*stages)
    return pd.read_csv(PREDICTIONS, dtype=str, keep_default_na=False).label.tolist()


def test_integers_leave_as_integers_unless_phonemes_are_asked_for(flat):
    (RAW / "phonemes.txt").write_text("\n".join(["[SIL]", *map(str.lower, NAMES[1:])]))
    stages = ("corpus", "normalize", "context", "train", "predict")
    integers = predicted("auto", *stages)
    assert integers == predicted("int", "predict")
    spelled = ["[SIL]", *map(str.lower, NAMES[1:])]
    assert predicted("phoneme", "predict") == [spelled[int(label)] for label in integers]


def test_text_leaves_as_the_data_spell_it_unless_integers_are_asked_for(tree, capsys):
    names = predicted("auto", "corpus", "normalize", "context", "train", "predict")
    assert "labels are phonemes" in capsys.readouterr().out
    assert names == predicted("phoneme", "predict")
    integers = predicted("int", "predict")
    assert "labels are integers" in capsys.readouterr().out
    seen = {name.lower() for file in RAW.glob("*/transcript/*.npy") for name in np.load(file)}
    for name, label in zip(names, integers, strict=True):
        assert name == (NAMES[int(label)].lower() if name in seen else NAMES[int(label)])
    assert {*names} & seen


def test_rows_have_the_header_that_the_edition_asks_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin()
    write_libriphone()
    run_stages()
    table = pd.read_csv(PREDICTIONS, dtype=str)
    assert [*table] == ["Id", "Class"]
    assert table.Id.astype(int).tolist() == [*range(sum(LENGTHS["test"]))]
    assert {*table.Class.astype(int)} <= {*range(41)}
    (RAW / "test_split.txt").write_text("1-test-1\n0-test-0")
    run_stages("corpus", "normalize", "context", "predict")
    again = pd.read_csv(PREDICTIONS, dtype=str)
    first = LENGTHS["test"][0]
    assert again.Class.tolist() == [*table.Class[first:], *table.Class[:first]]


def test_editions_of_the_other_course_ask_for_id_and_label(flat):
    run_stages("corpus", "normalize", "context", "train", "predict")
    assert PREDICTIONS.read_text().startswith("id,label\n0,")
