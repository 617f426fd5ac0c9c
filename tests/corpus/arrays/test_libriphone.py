"""NTU's libriphone is read as downloaded: each frame and label, in the order of its lists."""

import io
import os
import pickle
import re
import unicodedata
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from phonemes.corpus.arrays.source import open_source
from phonemes.corpus.pack import write_corpus
from phonemes.corpus.params import ArraysParams
from phonemes.errors import InputError
from phonemes.storage.read import read_array, read_phonemes, read_spelling, read_utterances

ARRAYS = ArraysParams(dev_share=0.25, seed=2)  # dev is speaker 40
TRAIN = ["103-1240-0001", "26-495-0000", "103-1240-0000", "40-222-0007", "27-123349-0002"]
TEST = ["26-495-0009", "1034-121119-0003"]  # one of a speaker of train


def tensor_of(name):
    """Return an utterance of its own length and values, (T, 6)."""
    generator = np.random.default_rng(sum(map(ord, name)))
    return torch.tensor(generator.normal(size=(int(name[-1]) + 3, 6)).astype(np.float32))


def labels_of(name):
    return [(int(name[-1]) + frame) % 41 for frame in range(len(tensor_of(name)))]


def line_of(name):
    return " ".join([name, *map(str, labels_of(name))])


@pytest.fixture
def raw(tmp_path):
    """Return a folder as the course's archive unpacks."""
    folder = tmp_path / "raw/libriphone"
    for split, names in (("train", TRAIN), ("test", TEST)):
        (folder / "feat" / split).mkdir(parents=True)
        for name in names:
            torch.save(tensor_of(name), folder / f"feat/{split}/{name}.pt")
        (folder / f"{split}_split.txt").write_text("".join(f"{name}\n" for name in names))
    lines = [line_of(name) for name in sorted(TRAIN)]  # in another order than the list
    (folder / "train_labels.txt").write_text("\n".join(lines) + "\n")
    return folder


def opened(folder, arrays=ARRAYS):
    """Return the utterances of each split."""
    source = open_source(folder, arrays)
    return {split: list(read()) for split, read in source.splits.items()}


def refused(folder, arrays=ARRAYS):
    """Return the one line that refuses a folder, on opening or packing it."""
    with pytest.raises(InputError) as error:
        write_corpus(open_source(folder, arrays), folder.parent / "packed")
    (line,) = str(error.value).splitlines()
    return line.replace(f"{folder}/", "")


# What is there comes back


@pytest.mark.parametrize("place", [".", ".."])
def test_every_frame_and_label_comes_back_in_the_order_of_the_lists(raw, place):
    splits = opened(raw / place)
    assert [item.name for item in splits["test"]] == TEST
    found = [item.name for item in (*splits["train"], *splits["dev"])]
    assert sorted(found) == sorted(TRAIN)
    for split, items in splits.items():
        assert [item.name for item in items] == [
            name for name in (TEST if split == "test" else TRAIN) if name in {i.name for i in items}
        ]
        for item in items:
            assert item.speaker == item.name.split("-")[0]
            assert np.array_equal(item.frames, tensor_of(item.name))
            if split == "test":
                assert item.labels is None
            else:
                assert item.labels.tolist() == labels_of(item.name)


def test_dev_is_a_seeded_share_of_the_speakers(raw):
    splits = opened(raw)
    speakers = {split: {item.speaker for item in items} for split, items in splits.items()}
    assert speakers["dev"] == {"40"}
    assert not speakers["dev"] & speakers["train"]
    assert len({item.speaker for item in opened(raw, replace(ARRAYS, dev_share=0.5))["dev"]}) == 2
    drawn = {opened(raw, replace(ARRAYS, seed=seed))["dev"][0].speaker for seed in range(20)}
    assert drawn == {"103", "26", "40", "27"}


def test_utterances_without_a_speaker_in_their_name_are_drawn_one_by_one(raw):
    names = [name.replace("-", "_") for name in TRAIN]
    for name, new in zip(TRAIN, names, strict=True):
        (raw / f"feat/train/{name}.pt").rename(raw / f"feat/train/{new}.pt")
    for file in ("train_split.txt", "train_labels.txt"):
        (raw / file).write_text((raw / file).read_text().replace("-", "_"))
    splits = opened(raw, replace(ARRAYS, dev_share=0.4))
    assert len(splits["dev"]) == 2
    assert {item.speaker for item in splits["train"]} == {""}


def test_the_corpus_is_packed_with_numbers_for_names_and_the_header_of_the_course(raw, tmp_path):
    source = open_source(raw, ARRAYS)
    assert source.header == ("Id", "Class")
    summaries = write_corpus(source, tmp_path / "packed")
    assert {split: each.labelled for split, each in summaries.items()} == {
        "train": True,
        "dev": True,
        "test": False,
    }
    names = tuple(map(str, range(41)))
    assert read_phonemes(tmp_path / "packed") == names
    assert read_spelling(tmp_path / "packed", 41) == (False, names)
    assert [name for name, _ in read_utterances(tmp_path / "packed", "test")] == TEST
    frames = read_array(tmp_path / "packed/frames/test.npy")
    assert np.array_equal(frames, torch.cat([tensor_of(name) for name in TEST]))


def test_phonemes_txt_names_the_classes(raw):
    names = [f"p{number}" for number in range(41)]
    (raw.parent / "phonemes.txt").write_text("\n".join(names))
    assert open_source(raw.parent, ARRAYS).phonemes == tuple(names)


def test_labels_of_test_are_taken_where_there_are_any(raw):
    (raw / "test_labels.txt").write_text("\n".join(map(line_of, TEST)))
    assert [item.labels.tolist() for item in opened(raw)["test"]] == [*map(labels_of, TEST)]


def test_lists_by_windows_and_with_empty_lines_are_read(raw):
    for file in ("train_split.txt", "test_split.txt", "train_labels.txt"):
        text = (raw / file).read_text().replace("\n", "\r\n\r\n")
        (raw / file).write_bytes(text.encode("utf-8-sig"))
    assert [item.name for item in opened(raw)["test"]] == TEST


def test_names_may_have_either_form_of_unicode_in_files_and_lists(raw):
    for split, names in (("train", TRAIN), ("test", TEST)):
        for name in names:
            path = raw / f"feat/{split}/{name}.pt"
            path.rename(path.with_stem(unicodedata.normalize("NFD", f"é{name}")))
    for path in raw.glob("*.txt"):
        lines = path.read_text().splitlines()
        path.write_text("".join(f"é{line}\n" for line in lines), "utf-8")
    found = opened(raw)
    assert [item.name for item in found["test"]] == [f"é{name}" for name in TEST]
    assert {item.speaker for item in found["test"]} == {"é26", "é1034"}


@pytest.mark.parametrize("pattern", ["*.pt", "train_split.txt", "*_labels.txt", "libriphone/"])
def test_files_that_dvc_ignores_are_refused(raw, pattern, monkeypatch):
    monkeypatch.chdir(raw.parent.parent)
    (raw.parent.parent / ".dvcignore").write_text(pattern)
    assert "is ignored by .dvcignore, so that DVC would not see it change" in refused(raw)


def test_tensors_by_torch_before_1_6_are_read(raw):
    path = raw / f"feat/test/{TEST[0]}.pt"
    torch.save(tensor_of(TEST[0]), path, _use_new_zipfile_serialization=False)
    assert np.array_equal(opened(raw)["test"][0].frames, tensor_of(TEST[0]))


# What is wrong is named in one line


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def appended(path, text):
    path.write_text(path.read_text() + text)


FIRST, LABELS = TRAIN[0], labels_of(TRAIN[0])
NINES = "9" * 999
FILE = f"feat/train/{FIRST}.pt"
WRONG = {
    "a missing tensor": (
        lambda raw: (raw / FILE).unlink(),
        f"train_split.txt, line 1: feat/train has no '{FIRST}'.pt; add the file or remove the line",
    ),
    "a missing tensor of test": (
        lambda raw: (raw / f"feat/test/{TEST[1]}.pt").unlink(),
        f"test_split.txt, line 2: feat/test has no '{TEST[1]}'.pt; add the file or remove the line",
    ),
    "an unlisted tensor": (
        lambda raw: torch.save(torch.ones(2, 6), raw / "feat/train/1-2-3.pt"),
        "feat/train/1-2-3.pt is not in train_split.txt; add or delete",
    ),
    "a name that leads elsewhere": (
        lambda raw: appended(raw / "test_split.txt", f"../train/{FIRST}\n"),
        f"test_split.txt, line 3: feat/test has no '../train/{FIRST}'.pt; add the file or remove "
        "the line",
    ),
    "a name listed twice": (
        lambda raw: appended(raw / "train_split.txt", FIRST),
        f"train_split.txt, line 6: '{FIRST}' is listed twice; expected a name a line",
    ),
    "a name in both lists": (
        lambda raw: (
            torch.save(tensor_of(FIRST), raw / f"feat/test/{FIRST}.pt"),
            appended(raw / "test_split.txt", FIRST),
        ),
        f"feat/test/{FIRST}.pt, test utterance {FIRST}: this name is taken by an utterance of "
        "train; give every utterance its own name",
    ),
    "two names on a line": (
        lambda raw: replaced(raw / "train_split.txt", "\n", " "),
        f"train_split.txt, line 1: '{FIRST}' is followed by more; expected a name a line",
    ),
    "labels of a name that is not listed": (
        lambda raw: appended(raw / "train_labels.txt", "1-2-3 0 0"),
        "train_labels.txt, line 6: '1-2-3' is not in train_split.txt; remove the line",
    ),
    "labels given twice": (
        lambda raw: appended(raw / "train_labels.txt", line_of(FIRST)),
        f"train_labels.txt, line 6: '{FIRST}' is labelled twice; remove the line",
    ),
    "no labels of a name": (
        lambda raw: replaced(raw / "train_labels.txt", line_of(FIRST), ""),
        f"train_labels.txt has no labels of '{FIRST}' and 0 more; every utterance in "
        "train_split.txt needs them",
    ),
    "a label too few": (
        lambda raw: replaced(raw / "train_labels.txt", line_of(FIRST), line_of(FIRST)[:-2]),
        f"{FILE}, train utterance {FIRST}: 4 frames but 3 labels; every frame needs one label",
    ),
    "a line without labels": (
        lambda raw: replaced(raw / "train_labels.txt", line_of(FIRST), FIRST),
        f"{FILE}, train utterance {FIRST}: 4 frames but 0 labels; every frame needs one label",
    ),
    "a label out of range": (
        lambda raw: replaced(raw / "train_labels.txt", line_of(FIRST), f"{FIRST} 0 41 0 0"),
        f"{FILE}, train utterance {FIRST}: frame 1 has label 41; expected 0 to 40; correct it, or "
        "list all phonemes",
    ),
    "a negative label": (
        lambda raw: replaced(raw / "train_labels.txt", line_of(FIRST), f"{FIRST} 0 -1 0 0"),
        f"train_labels.txt, {FIRST}: label 1 is '-1'; expected whole numbers from 0, separated by "
        "spaces",
    ),
    "a label of a thousand digits": (
        lambda raw: replaced(raw / "train_labels.txt", line_of(FIRST), f"{FIRST} 0 0 {NINES} 0"),
        f"train_labels.txt, {FIRST}: label 2 is '{NINES[:40]}'; expected whole numbers from 0, "
        "separated by spaces",
    ),
    "NaN": (
        lambda raw: torch.save(tensor_of(FIRST).index_fill(0, torch.tensor(2), np.nan), raw / FILE),
        f"{FILE}, train utterance {FIRST}: frame 2, coefficient 0 is nan; extract the utterance "
        "again or drop it",
    ),
    "another type": (
        lambda raw: torch.save(tensor_of(TEST[0]).double(), raw / f"feat/test/{TEST[0]}.pt"),
        f"feat/test/{TEST[0]}.pt holds float64, {FILE} holds float32; extract all with the same "
        "settings",
    ),
    "integers": (
        lambda raw: torch.save(tensor_of(FIRST).int(), raw / FILE),
        f"{FILE}: holds values of torch.IntStorage; expected floats: save tensor.float()",
    ),
    "another number of coefficients": (
        lambda raw: torch.save(torch.ones(7, 5), raw / f"feat/test/{TEST[0]}.pt"),
        f"feat/test/{TEST[0]}.pt, test utterance {TEST[0]}: has 5 coefficients a frame, those "
        "before have 6; extract all with the same settings, as (T, C)",
    ),
    "one axis": (
        lambda raw: torch.save(torch.ones(4), raw / FILE),
        f"{FILE}, train utterance {FIRST}: frames are float32 of shape (4,); expected floats (T, "
        "C)",
    ),
    "an exploit": (
        lambda raw: (raw / FILE).write_bytes(exploit()),
        f"{FILE}: names 'posix.system', which is no part of a tensor of floats: loading it could "
        "run code, so it is refused; get the file from a source you trust",
    ),
    "no labels at all": (
        lambda raw: (raw / "train_labels.txt").unlink(),
        "{raw} has no train_labels.txt; it holds feat, test_split.txt, train_split.txt: add "
        "what is missing",
    ),
    "no tensors of test": (
        lambda raw: (raw / "feat/test").rename(raw / "feat/testing"),
        "{raw} has no feat/test; it holds feat, test_split.txt, train_labels.txt, train_split.txt: "
        "add what is missing",
    ),
    "an empty list": (
        lambda raw: (raw / "test_split.txt").write_text("\n"),
        f"feat/test/{TEST[1]}.pt and 1 more are not in test_split.txt; add or delete",
    ),
    "a pipe": (
        lambda raw: ((raw / "test_split.txt").unlink(), os.mkfifo(raw / "test_split.txt")),
        "test_split.txt is not a file; put a list of utterances in its place",
    ),
    "a list that is no text": (
        lambda raw: (raw / "train_split.txt").write_bytes(b"\xff\xfe"),
        "train_split.txt cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: "
        "invalid start byte; save it as text in UTF-8",
    ),
    "a line without end": (
        lambda raw: appended(raw / "train_labels.txt", "0 " * 2**20),
        "train_labels.txt: a line has 1,048,576 characters or more, which no utterance needs; "
        "write one utterance a line",
    ),
}  # fmt: skip


class Exploit:
    def __reduce__(self):
        return os.system, ("touch trace",)


def exploit():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(Exploit(), 2))
    return file.getvalue()


@pytest.mark.parametrize(("spoil", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_in_one_line(spoil, message, raw, monkeypatch):
    monkeypatch.chdir(raw)
    spoil(raw)
    assert refused(raw) == message.replace("{raw}", str(raw))
    assert not (raw / "trace").exists()


def test_a_single_speaker_leaves_none_for_train(raw):
    for file in ("train_split.txt", "train_labels.txt"):
        (raw / file).write_text(re.sub(r"\b\d+(-\d+-\d+)", r"7\1", (raw / file).read_text()))
    for path in (raw / "feat/train").iterdir():
        path.rename(path.with_name(re.sub(r"^\d+", "7", path.name)))
    assert refused(raw) == (
        "corpus.arrays.dev_share leaves train no speaker: dev takes 1 of 1 in train_split.txt; "
        "add speakers or lower it"
    )
